// Small graphs with linear layers and embeddings, random numbers, and what quantized constants hold.
#pragma once

#include <gmock/gmock.h>

#include <random>

#include "../checkpoint/support.hpp"
#include "../nn/support.hpp"
#include "ir/print.hpp"
#include "kernels/portable/elements.hpp"
#include "source/quantizer.hpp"

namespace quoin::source::test {

using checkpoint::test::fails_with;
using nn::test::must;

// Normal numbers, the same for a seed.
inline Tensor random(Shape shape, unsigned seed, float deviation = 1) {
  Tensor out(DType::f32, std::move(shape));
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal(0, deviation);
  for (float& x : out.as<float>()) x = normal(engine);
  return out;
}

// Rows whose columns depend on each other: a few normal numbers mixed, and a little noise of their own.
inline Tensor correlated(int64_t rows, int64_t columns, unsigned seed) {
  const int64_t causes = std::max<int64_t>(columns / 4, 1);
  const Tensor mixing = random({causes, columns}, 1000), cause = random({rows, causes}, seed);
  Tensor out = random({rows, columns}, seed + 1, 0.1f);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t k = 0; k < causes; ++k)
      for (int64_t c = 0; c < columns; ++c)
        out.as<float>()[static_cast<size_t>(r * columns + c)] +=
            cause.as<float>()[static_cast<size_t>(r * causes + k)] *
            mixing.as<float>()[static_cast<size_t>(k * columns + c)];
  return out;
}

inline std::vector<int64_t> codes(const Tensor& tensor) {
  std::vector<int64_t> out(static_cast<size_t>(tensor.size()));
  kernels::read_integers({tensor.dtype(), tensor.shape().back()}, tensor.data(), 0, tensor.size(), out.data());
  return out;
}

// The numbers that codes stand for.
inline std::vector<float> reals(const Tensor& tensor, const QParams& qparams) {
  std::vector<int64_t> integers = codes(tensor);
  std::vector<float> out(integers.size());
  const size_t group = integers.size() / qparams.scale.size();
  for (size_t i = 0; i < out.size(); ++i)
    out[i] = static_cast<float>(integers[i] - qparams.zero_point_at(i / group)) * qparams.scale[i / group];
  return out;
}
inline std::vector<float> reals(const checkpoint::Quantized& weight) { return reals(weight.codes, *weight.qparams); }

class Net {
 public:
  ir::Graph graph;

  ir::ValueId input(Shape shape, DType dtype = DType::f32, const std::string& name = "x") {
    return graph.add_input(name, {dtype, std::move(shape), nullptr});
  }
  ir::ValueId node(std::string_view op, std::vector<ir::ValueId> inputs, Attrs attrs = {}, const std::string& name = {},
                   std::vector<std::string> modules = {}) {
    ir::Provenance provenance;
    for (const std::string& path : modules) provenance.modules.push_back({path, "Module"});
    return graph.output(must(graph.add_node(op, std::move(inputs), std::move(attrs), name, std::move(provenance))));
  }
  // In the module of its name, unless others are given, outermost first.
  ir::ValueId linear(ir::ValueId x, const std::string& name, Tensor weight, std::optional<Tensor> bias = {},
                     std::vector<std::string> modules = {}) {
    std::vector<ir::ValueId> operands{x, graph.add_constant(name + ".weight", std::move(weight))};
    if (bias) operands.push_back(graph.add_constant(name + ".bias", *std::move(bias)));
    if (modules.empty()) modules.push_back(name);
    return node("aten.linear.default", std::move(operands), {}, name, std::move(modules));
  }
  ir::ValueId embedding(ir::ValueId ids, const std::string& name, Tensor table) {
    return node("aten.embedding.default", {graph.add_constant(name + ".weight", std::move(table)), ids}, {}, name,
                {name});
  }
  Net& returns(std::vector<ir::ValueId> outputs) {
    graph.set_outputs(std::move(outputs));
    return *this;
  }
};

inline ir::NodeId find(const ir::Graph& graph, const std::string& name) {
  for (const ir::NodeId id : graph.order())
    if (graph.node(id).name == name) return id;
  ADD_FAILURE() << "no node " << name;
  std::abort();
}
// The weight of a layer by its node's name.
inline const ir::Value& weight_of(const ir::Graph& graph, const std::string& name) {
  const ir::NodeId id = find(graph, name);
  return graph.value(graph.input(id, graph.node(id).op() == "aten.embedding.default" ? 0 : 1));
}
inline checkpoint::Quantized quantized_weight(const ir::Graph& graph, const std::string& name) {
  const ir::Value& value = weight_of(graph, name);
  EXPECT_TRUE(value.type.qparams) << name << " is not quantized";
  return {*value.constant, value.type.qparams};
}

inline std::vector<Tensor> run(const ir::Graph& graph, const std::vector<Tensor>& inputs) {
  auto interpreter = must(interpret::Interpreter::create(graph, nn::test::portable(), nn::test::host()));
  return must(interpreter.run(inputs));
}

// x . w^T + bias in double.
inline std::vector<double> product(const Tensor& x, std::span<const float> weight, const Tensor* bias = nullptr) {
  const auto columns = static_cast<size_t>(x.shape().back()), rows = weight.size() / columns;
  const auto in = x.as<float>();
  std::vector<double> out;
  for (size_t t = 0; t * columns < in.size(); ++t)
    for (size_t r = 0; r < rows; ++r) {
      double sum = bias ? static_cast<double>(bias->as<float>()[r]) : 0;
      for (size_t c = 0; c < columns; ++c)
        sum += static_cast<double>(in[t * columns + c]) * static_cast<double>(weight[r * columns + c]);
      out.push_back(sum);
    }
  return out;
}

template <class A, class B>
double squared_distance(const A& a, const B& b) {
  EXPECT_EQ(std::size(a), std::size(b));
  double sum = 0;
  for (size_t i = 0; i < std::size(a); ++i) {
    const double difference = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    sum += difference * difference;
  }
  return sum;
}

inline Rule rule(std::optional<LayerConfig> config, const std::string& module = {}) {
  Rule out;
  if (!module.empty()) out.module = module;
  out.config = std::move(config);
  return out;
}
inline LayerConfig weights(uint32_t bits, int64_t group, Algorithm algorithm = Algorithm::min_max) {
  LayerConfig config;
  config.bits = bits;
  config.group = group;
  config.algorithm = algorithm;
  return config;
}

// A fixture with what quantizers take.
class Quantizing : public ::testing::Test {
 protected:
  Resources resources() { return {nn::test::host(), diagnostics, &nn::test::portable()}; }
  Result<Report> quantize(ir::Graph& graph, std::vector<Rule> rules, std::vector<Sample> samples = {},
                          const std::string& mask = {}) {
    return Quantizer(std::move(rules)).quantize(graph, {samples, mask}, resources());
  }
  std::vector<std::string> notes(Level level) const {
    std::vector<std::string> out;
    for (const Note& note : diagnostics.notes())
      if (note.level == level) out.push_back(note.text());
    return out;
  }
  Diagnostics diagnostics;
};

}  // namespace quoin::source::test
