// Runs one operator through the interpreter: the way every kernel is called.
#pragma once

#include <gtest/gtest.h>

#include <optional>

#include "host/services.hpp"
#include "interpret/interpreter.hpp"

namespace quoin::test {

inline const quoin_host& host() {
  static const host::Services services({.threads = 2, .isa = 0, .log = {}});
  return services.table();
}

inline std::shared_ptr<const QParams> per_tensor(DType dtype, float scale, int32_t zero_point) {
  QParams q;
  q.dtype = dtype;
  q.qmin = dtype == DType::u8 ? 0 : dtype == DType::s16 ? -32768 : dtype == DType::s32 ? INT32_MIN : -128;
  q.qmax = dtype == DType::u8 ? 255 : dtype == DType::s16 ? 32767 : dtype == DType::s32 ? INT32_MAX : 127;
  q.scale = {scale};
  q.zero_point = {zero_point};
  return std::make_shared<const QParams>(q);
}

inline std::shared_ptr<const QParams> per_channel(int32_t axis, std::vector<float> scale, DType dtype = DType::s8) {
  QParams q;
  q.dtype = dtype;
  q.scheme = Scheme::per_channel;
  q.axis = axis;
  if (dtype == DType::s32) q.qmin = INT32_MIN, q.qmax = INT32_MAX;
  q.scale = std::move(scale);
  return std::make_shared<const QParams>(q);
}

template <class T>
constexpr DType dtype_of() {
  if constexpr (std::is_same_v<T, float>)
    return DType::f32;
  else if constexpr (std::is_same_v<T, int8_t>)
    return DType::s8;
  else if constexpr (std::is_same_v<T, uint8_t>)
    return DType::u8;
  else if constexpr (std::is_same_v<T, int16_t>)
    return DType::s16;
  else if constexpr (std::is_same_v<T, int32_t>)
    return DType::s32;
  else
    return DType::s64;
}

template <class T>
Tensor tensor(Shape shape, std::vector<T> elements) {
  return Tensor::of<T>(dtype_of<T>(), std::move(shape), elements);
}
inline Tensor bools(Shape shape, std::vector<uint8_t> elements) {
  return Tensor::of<uint8_t>(DType::boolean, std::move(shape), elements);
}

// Deterministic pseudo-random elements.
class Random {
 public:
  explicit Random(uint64_t seed = 1) : state_(seed * 2654435761u + 1) {}
  uint32_t next() {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<uint32_t>(state_ >> 33);
  }
  int integer(int low, int high) { return low + static_cast<int>(next() % static_cast<uint32_t>(high - low + 1)); }
  float real(float low, float high) { return low + (high - low) * static_cast<float>(next() % 65536) / 65535.0f; }
  Tensor reals(Shape shape, float low = -2, float high = 2) {
    Tensor out(DType::f32, std::move(shape));
    for (float& x : out.as<float>()) x = real(low, high);
    return out;
  }
  template <class T>
  Tensor integers(Shape shape, int low, int high) {
    Tensor out(dtype_of<T>(), std::move(shape));
    for (T& x : out.as<T>()) x = static_cast<T>(integer(low, high));
    return out;
  }

 private:
  uint64_t state_;
};

// Op("aten.relu.default").in(x).run(): one result. The result of a quantized node is set by out().
class Op {
 public:
  explicit Op(std::string op) : op_(std::move(op)) {}
  Op& in(Tensor tensor, std::shared_ptr<const QParams> qparams = nullptr) {
    operands_.push_back(Operand{std::move(tensor), std::move(qparams)});
    return *this;
  }
  Op& absent() {
    operands_.emplace_back(std::nullopt);
    return *this;
  }
  Op& attr(std::string name, Attr value) {
    attrs_.insert_or_assign(std::move(name), std::move(value));
    return *this;
  }
  Op& out(std::shared_ptr<const QParams> qparams) {
    out_ = std::move(qparams);
    return *this;
  }
  Op& force(std::string kernel) {
    kernels_.force(op_, std::move(kernel));
    return *this;
  }
  Op& deny(std::string kernel) {
    kernels_.deny(std::move(kernel));
    return *this;
  }

  Result<std::vector<Tensor>> try_run() const {
    ir::Graph graph;
    std::vector<ir::ValueId> ids;
    std::vector<Tensor> tensors;
    for (size_t i = 0; i < operands_.size(); ++i) {
      if (!operands_[i]) {
        ids.push_back(ir::kNone);
        continue;
      }
      const auto& [tensor, qparams] = *operands_[i];
      ids.push_back(graph.add_input("x" + std::to_string(i), {tensor.dtype(), tensor.shape(), qparams}));
      tensors.push_back(tensor);
    }
    QUOIN_TRY(const ir::NodeId node, graph.add_node(op_, ids, attrs_));
    if (out_) {
      TensorType& type = graph.value(graph.output(node)).type;
      type.dtype = out_->dtype;
      type.qparams = out_;
    }
    graph.set_outputs(graph.node(node).outputs);
    QUOIN_TRY(auto interpreter, interpret::Interpreter::create(graph, kernels_, host()));
    return interpreter.run(tensors);
  }
  std::vector<Tensor> run_all() const {
    auto result = try_run();
    if (!result) {
      ADD_FAILURE() << result.error().text();
      return {};
    }
    return std::move(*result);
  }
  Tensor run() const {
    auto results = run_all();
    return results.empty() ? Tensor() : results[0];
  }
  std::string error() const {
    const auto result = try_run();
    return result ? "" : result.error().text();
  }

 private:
  struct Operand {
    Tensor tensor;
    std::shared_ptr<const QParams> qparams;
  };
  std::string op_;
  std::vector<std::optional<Operand>> operands_;
  Attrs attrs_;
  std::shared_ptr<const QParams> out_;
  kernels::KernelSet kernels_;
};

template <class T>
std::vector<T> elements(const Tensor& tensor) {
  EXPECT_EQ(tensor.dtype(), dtype_of<T>());
  const auto view = tensor.as<T>();
  return std::vector<T>(view.begin(), view.end());
}

inline void expect_near(const Tensor& tensor, const std::vector<float>& expected, float tolerance = 1e-5f) {
  ASSERT_EQ(tensor.dtype(), DType::f32);
  const auto found = tensor.as<float>();
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(found[i], expected[i], tolerance) << "element " << i;
}

}  // namespace quoin::test
