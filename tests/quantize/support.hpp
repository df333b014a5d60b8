// Builders with defaults for the quantize tests.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "host/services.hpp"
#include "ir/verify.hpp"
#include "quantize/quantize.hpp"

namespace quoin::quantize::test {

template <class T>
T ok(Result<T> result) {
  EXPECT_TRUE(result) << result.error().text();
  if (!result) throw std::runtime_error(result.error().text());
  return *std::move(result);
}
inline void ok(const Status& status) { EXPECT_TRUE(status) << status.error().text(); }

inline const quoin_host& host() {
  static host::Services services{host::Services::Options{}};
  return services.table();
}

inline Tensor floats(Shape shape, std::vector<float> values) {
  return Tensor::of<float>(DType::f32, std::move(shape), values);
}

inline Tensor random_tensor(Shape shape, unsigned seed, float low = -1, float high = 1) {
  Tensor out(DType::f32, std::move(shape));
  std::mt19937 engine(seed);
  std::uniform_real_distribution<float> uniform(low, high);
  for (float& x : out.as<float>()) x = uniform(engine);
  return out;
}

inline bool same(const ObserverState& a, const ObserverState& b) {
  return std::ranges::equal(a, b, [](const auto& x, const auto& y) {
    const Tensor &s = x.second, &t = y.second;
    return x.first == y.first && s.dtype() == t.dtype() && s.shape() == t.shape() &&
           std::memcmp(s.data(), t.data(), s.bytes()) == 0;
  });
}

// int8 affine per tensor, observed by minmax.
inline Spec activation() {
  Spec spec;
  spec.observer = "minmax";
  return spec;
}
// int8 symmetric -127..127, per channel of `axis` (or per tensor for -1).
inline Spec weight(int32_t axis = 0) {
  Spec spec;
  spec.qmin = -127;
  spec.symmetric = true;
  if (axis >= 0) {
    spec.scheme = Scheme::per_channel;
    spec.axis = axis;
  }
  return spec;
}
inline Spec share(ir::Place place) {
  Spec spec;
  spec.kind = SpecKind::shared;
  spec.sources = {place};
  return spec;
}
inline Spec dynamic(Scheme scheme) {
  Spec spec;
  spec.dynamic = true;
  spec.scheme = scheme;
  return spec;
}
inline ir::Place in(ir::NodeId node, uint32_t slot = 0) { return {node, slot, false}; }
inline ir::Place out(ir::NodeId node) { return {node, 0, true}; }

// A graph, its annotations, and the whole way to the typed form.
class Model {
 public:
  ir::Graph graph;
  Annotations annotations;
  Diagnostics diagnostics;

  void clear() {
    graph = {};
    annotations = {};
  }
  ir::ValueId input(Shape shape, const std::string& name = "x") {
    return graph.add_input(name, {DType::f32, std::move(shape), nullptr});
  }
  ir::ValueId constant(Tensor tensor, const std::string& name = "w") {
    return graph.add_constant(name, std::move(tensor));
  }
  ir::NodeId add(std::string_view op, std::vector<ir::ValueId> inputs, Attrs attrs = {}, const std::string& name = {},
                 std::vector<ir::ModuleFrame> modules = {}) {
    ir::Provenance provenance;
    provenance.modules = std::move(modules);
    provenance.debug_id = graph.node_capacity() + 1;
    return ok(graph.add_node(op, std::move(inputs), std::move(attrs), name, std::move(provenance)));
  }
  ir::ValueId value(ir::NodeId node) const { return graph.output(node); }
  void annotate(ir::Place place, Spec spec) { ok(annotations.set(graph, place, std::move(spec), "test")); }
  // Activation specs on data operands and the result, a weight spec on slot 1 of products.
  void annotate_product(ir::NodeId node, bool result = true, Spec weights = weight()) {
    annotate(in(node, 0), activation());
    annotate(in(node, 1), std::move(weights));
    if (result) annotate(out(node), activation());
  }
  void annotate_all(ir::NodeId node) {
    for (uint32_t slot = 0; slot < graph.node(node).inputs.size(); ++slot) annotate(in(node, slot), activation());
    annotate(out(node), activation());
  }
  Prepared prepared() { return ok(prepare(graph, annotations, {})); }
  // Calibrated with `samples`, converted.
  ir::Graph qdq(const std::vector<std::vector<Tensor>>& samples);
  ir::Graph typed(const ir::Graph& from) { return ok(to_typed(from, diagnostics)); }
};

class Samples final : public data::Dataset {
 public:
  explicit Samples(std::vector<std::vector<Tensor>> samples) : samples_(std::move(samples)) {}
  size_t size() const override { return samples_.size(); }
  Result<data::Sample> sample(size_t index) const override {
    return data::Sample{"sample" + std::to_string(index), samples_[index], {}, {}};
  }
  std::string describe() const override { return "test samples"; }
  uint64_t digest() const override { return 0; }

 private:
  std::vector<std::vector<Tensor>> samples_;
};

inline ir::Graph Model::qdq(const std::vector<std::vector<Tensor>>& samples) {
  Prepared state = prepared();
  const Samples dataset(samples);
  const kernels::KernelSet kernels;
  ok(calibrate(graph, state, samples.empty() ? nullptr : &dataset, kernels, host(), nullptr, diagnostics));
  return ok(convert(graph, state, diagnostics));
}

inline std::vector<Tensor> run(const ir::Graph& graph, const std::vector<Tensor>& inputs) {
  const kernels::KernelSet kernels;
  auto interpreter = ok(interpret::Interpreter::create(graph, kernels, host()));
  return ok(interpreter.run(inputs));
}

// Operators of the graph in order, without their namespace: "conv2d.default".
inline std::vector<std::string> ops(const ir::Graph& graph) {
  std::vector<std::string> names;
  for (const ir::NodeId id : graph.order()) {
    const std::string& op = graph.node(id).op();
    names.push_back(op.substr(op.find('.') + 1));
  }
  return names;
}
inline long count(const ir::Graph& graph, std::string_view op) {
  const auto names = ops(graph);
  return std::count(names.begin(), names.end(), op);
}
inline ir::NodeId find(const ir::Graph& graph, std::string_view op) {
  for (const ir::NodeId id : graph.order())
    if (graph.node(id).op().ends_with(op)) return id;
  ADD_FAILURE() << "no " << op;
  return ir::kNone;
}
inline bool mentions(const Error& error, std::string_view text) { return error.text().find(text) != std::string::npos; }

}  // namespace quoin::quantize::test
