// Reductions over dims: mean, sum, norm, extremes, argmax.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/portable/products.hpp"
#include "kernels/portable/walk.hpp"
#include "ops/shape.hpp"

namespace quoin::kernels {
namespace {

// For each result, a walk over the elements that it is made of.
struct Reduction : Kernel {
  Walk kept, gone;  // offsets of the first elements; offsets within a reduction

  Status prepare(const NodeView& node) override {
    QUOIN_TRY(const auto dims, reduced_dims(node.attrs, "dim", node.in_shape().size()));
    split(node.in_shape(), dims);
    return {};
  }
  void split(const Shape& shape, const std::vector<int64_t>& dims) {
    const Dims strides = Dims::dense(shape);
    Dims kept_shape, kept_strides, gone_shape, gone_strides;
    for (size_t i = 0; i < shape.size(); ++i) {
      const bool reduce = std::find(dims.begin(), dims.end(), static_cast<int64_t>(i)) != dims.end();
      (reduce ? gone_shape : kept_shape).push_back(shape[i]);
      (reduce ? gone_strides : kept_strides).push_back(strides[i]);
    }
    kept = Walk(kept_shape, {kept_strides});
    gone = Walk(gone_shape, {gone_strides});
  }

  // Makes one result from the elements at `first` + the offsets of `gone`.
  virtual void reduce(const Run& run, int64_t result, int64_t first) const = 0;
  Status run(const Run& run) const final {
    parallel(run.host, kept.count(), 4 * gone.count(), [&](int64_t begin, int64_t end, uint32_t) {
      for (int64_t i = begin; i < end; ++i) reduce(run, i, kept.offsets_at(i)[0]);
    });
    return {};
  }
  // f(offset) over the elements of one reduction, in row-major order.
  template <class F>
  void elements(int64_t offset, const F& f) const {
    for (int64_t row = 0; row < gone.row_count(); ++row) {
      const int64_t first = offset + gone.offsets_of(row)[0];
      for (int64_t i = 0; i < gone.row_length(); ++i) f(first + i * gone.row_steps()[0]);
    }
  }
};

// Sums run in binary64 (or s64) and are rounded once.
struct Sum : Reduction {
  bool mean = false, integers = false;

  Status prepare(const NodeView& node) override {
    mean = node.is("aten.mean.dim");
    integers = node.in(0).dtype == DType::s64;
    return Reduction::prepare(node);
  }
  void reduce(const Run& run, int64_t result, int64_t first) const override {
    if (integers) {
      uint64_t sum = 0;
      elements(first, [&](int64_t at) { sum += static_cast<uint64_t>(run.in<int64_t>(0)[at]); });
      run.out<int64_t>()[result] = static_cast<int64_t>(sum);
      return;
    }
    double sum = 0;
    elements(first, [&](int64_t at) { sum += static_cast<double>(run.in<float>(0)[at]); });
    run.out<float>()[result] = static_cast<float>(mean ? sum / static_cast<double>(gone.count()) : sum);
  }
};

struct IntegerMean : Reduction {
  PerTensor x, y;
  float multiplier = 1;

  static bool accepts(const NodeView& view) {
    return tensor_quantized(view.in(0)) && tensor_quantized(view.out()) && numel(view.in_shape()) > 0;
  }
  Status prepare(const NodeView& node) override {
    QUOIN_CHECK(Reduction::prepare(node));
    x = PerTensor::of(node.in(0));
    y = PerTensor::of(node.out());
    multiplier = numerics::average_multiplier(x.scale, y.scale, gone.count());
    return {};
  }
  void reduce(const Run& run, int64_t result, int64_t first) const override {
    int64_t sum = 0;
    elements(first, [&](int64_t at) { sum += x.read(run.inputs[0], at); });
    y.write(sum, multiplier, run.out(), result);
  }
};

// (sum |x|^ord)^(1 / ord); ord 0 counts what is not 0, infinite orders take the extreme.
struct Norm : Reduction {
  double order = 2;

  Status prepare(const NodeView& node) override {
    order = node.get_number("ord");
    return Reduction::prepare(node);
  }
  void reduce(const Run& run, int64_t result, int64_t first) const override {
    double sum = order == -INFINITY ? INFINITY : 0;
    elements(first, [&](int64_t at) {
      const double value = std::fabs(static_cast<double>(run.in<float>(0)[at]));
      if (order == 2)
        sum += value * value;
      else if (order == 0)
        sum += value != 0;
      else if (std::isinf(order))
        sum = order > 0 ? std::max(sum, value) : std::min(sum, value);
      else
        sum += std::pow(value, order);
    });
    if (order == 2)
      sum = std::sqrt(sum);
    else if (order != 0 && !std::isinf(order))
      sum = std::pow(sum, 1 / order);
    run.out<float>()[result] = static_cast<float>(sum);
  }
};

// amax, amin on the stored elements of any type: qparams keep the order. NaN wins.
struct Extreme : Reduction {
  DType dtype = DType::f32;
  bool largest = false;

  static bool accepts(const NodeView& view) { return bits(view.out().dtype) >= 8; }
  Status prepare(const NodeView& node) override {
    dtype = node.out().dtype;
    largest = node.is("aten.amax.default");
    return Reduction::prepare(node);
  }
  template <class T>
  T best(const void* x, int64_t first, T (*read)(DType, const void*, int64_t)) const {
    T out = read(dtype, x, first);
    elements(first, [&](int64_t at) {
      const T value = read(dtype, x, at);
      if ((largest ? value > out : value < out) || value != value) out = value;
    });
    return out;
  }
  void reduce(const Run& run, int64_t result, int64_t first) const override {
    if (is_floating(dtype)) {
      const double value = best(run.inputs[0], first, number_at);
      write_numbers({dtype, 1}, run.out(), result, 1, &value);
    } else {
      const int64_t value = best(run.inputs[0], first, integer_at);
      write_integers({dtype, 1}, run.out(), result, 1, &value);
    }
  }
};

// The first of the largest elements; over all elements without dim. NaN counts as largest.
struct ArgMax : Reduction {
  static constexpr bool kOwnResult = true;

  Status prepare(const NodeView& node) override {
    const Shape& x = node.in_shape();
    std::vector<int64_t> dims(x.size());
    std::iota(dims.begin(), dims.end(), 0);
    if (node.has("dim")) {
      QUOIN_TRY(const int64_t dim, wrap_dim(node.get_int("dim"), x.size()));
      dims = {dim};
    }
    split(x, dims);
    return {};
  }
  void reduce(const Run& run, int64_t result, int64_t first) const override {
    const float* x = run.in<float>(0);
    int64_t position = 0, best = 0;
    float largest = x[first];
    elements(first, [&](int64_t at) {
      const float value = x[at];
      if (value > largest || (value != value && largest == largest)) {
        largest = value;
        best = position;
      }
      ++position;
    });
    run.out<int64_t>()[result] = best;
  }
};

constexpr Row kRows[] = {
    integer_row<IntegerMean>("aten.mean.dim"), float_row<Sum>("aten.mean.dim"),
    number_row<Sum>("aten.sum.dim_IntList"),   float_row<Norm>("aten.linalg_vector_norm.default"),
    move_row<Extreme>("aten.amax.default"),    move_row<Extreme>("aten.amin.default"),
    float_row<ArgMax>("aten.argmax.default"),
};

}  // namespace

Rows reduction_rows() { return kRows; }

}  // namespace quoin::kernels
