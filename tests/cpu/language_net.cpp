#include "language_net.hpp"

#include "ir/dynamic.hpp"
#include "ops/half.hpp"

namespace quoin::cpu::testing {
namespace {

using V = ir::ValueId;
using Ints = std::vector<int64_t>;

class Model {
 public:
  Model(const LanguageShape& shape, uint32_t seed) : s(shape), random(seed), net(random, false) {}

  ir::Graph build() {
    tokens_ = input("tokens", DType::s64, {s.tokens}, s.dynamic);
    positions_ = input("positions", DType::s64, {s.tokens}, s.dynamic);
    for (int64_t i = 0; i < s.layers * 2; ++i) add_cache();
    frequencies_ = constant({s.length / 2}, 0.01f, 1);
    V x = add("aten.embedding.default", {weight(s.vocabulary, s.hidden), tokens_});
    for (int64_t layer = 0; layer < s.layers; ++layer) x = block(x, layer);
    if (s.last_only) x = add("aten.slice.Tensor", {x}, {{"start", int64_t{-1}}});
    const V logits = linear(norm(x), s.vocabulary);
    results_.insert(results_.begin(), logits);
    net.graph.set_outputs(results_);
    const auto marked = ir::mark_dynamic(net.graph);
    EXPECT_TRUE(marked) << (marked ? "" : marked.error().text());
    return std::move(net.graph);
  }

 private:
  V input(const std::string& name, DType dtype, Shape shape, bool dynamic) {
    const V id = net.graph.add_input(name, {dtype, std::move(shape), nullptr});
    net.graph.value(id).dynamic = dynamic ? 1u : 0u;
    return id;
  }
  void add_cache() {
    const Shape rows{s.context, s.kv_heads, s.length}, affine{s.context, s.kv_heads, 2};
    const std::string name = "cache" + std::to_string(caches_.size());
    caches_.push_back(input(name, s.int8_cache ? DType::s8 : DType::f32, rows, false));
    if (s.int8_cache) affines_.push_back(input(name + "_affine", DType::f32, affine, false));
  }
  V constant(Shape shape, float low, float high) {
    Tensor t(DType::f32, std::move(shape));
    for (float& v : t.as<float>()) v = std::uniform_real_distribution<float>(low, high)(random);
    return net.graph.add_constant(net.graph.unique_name("c"), std::move(t));
  }
  V add(const char* op, std::vector<V> inputs, Attrs attrs = {}) {
    return net.real(op, std::move(inputs), std::move(attrs));
  }
  V weight(int64_t rows, int64_t columns) {
    if (s.weights == Weights::f32) return constant({rows, columns}, -0.2f, 0.2f);
    if (s.weights == Weights::int8_channels) {
      net.typed = true;
      const V w = net.constant({rows, columns});
      net.typed = false;
      QParams q;
      q.scheme = Scheme::per_channel;
      q.axis = 0;
      q.scale.assign(static_cast<size_t>(rows), 0.002f);
      net.graph.value(w).type.qparams = std::make_shared<const QParams>(q);
      return w;
    }
    return grouped_weight(net, DType::s4, rows, (columns + 31) / 32 * 32, columns, 32, s.asymmetric);
  }
  V norm(V x) {
    const int64_t n = net.graph.value(x).type.shape.back();
    return add("aten.rms_norm.default", {x, constant({n}, 0.5f, 1.5f)}, {{"normalized_shape", Ints{n}}, {"eps", 1e-5}});
  }
  V linear(V x, int64_t out) {
    const int64_t n = net.graph.value(x).type.shape.back();
    const V w = weight(out, n);
    if (const int64_t padded = net.dim(w, 1); padded != n) {
      auto& pad = pads_[x];
      if (pad == 0)
        pad = add("aten.pad.default", {x},
                  {{"pad", Ints{0, padded - n}}, {"mode", std::string("constant")}, {"value", 0.0}});
      x = pad;
    }
    const bool dynamic = s.weights == Weights::int4_dynamic || s.weights == Weights::int8_channels;
    if (!dynamic) return add("aten.linear.default", {x, w});
    return add("quoin.linear_dynamic.default", {x, w}, {{"scheme", std::string("token")}});
  }
  V heads(V x, int64_t count) { return add("aten.view.default", {x}, {{"size", Ints{-1, count, s.length}}}); }
  V rope(V x) { return add("quoin.rope.default", {x, positions_, frequencies_}); }

  std::vector<V> update(size_t cache, V rows) {
    std::vector<V> inputs{caches_[cache]};
    if (s.int8_cache) inputs.push_back(affines_[cache]);
    inputs.insert(inputs.end(), {rows, positions_});
    const auto node =
        net.graph.add_node(s.int8_cache ? "quoin.kv_update_int8.default" : "quoin.kv_update.default", inputs, {});
    EXPECT_TRUE(node);
    const std::vector<V> outputs = net.graph.node(*node).outputs;
    results_.insert(results_.end(), outputs.begin(), outputs.end());
    return outputs;
  }
  V attention(V q, V k, V v, size_t layer) {
    std::vector<V> inputs{q};
    for (const auto& part : {update(2 * layer, k), update(2 * layer + 1, v)})
      inputs.insert(inputs.end(), part.begin(), part.end());
    inputs.push_back(positions_);
    return add(s.int8_cache ? "quoin.attention_int8.default" : "quoin.attention.default", inputs, {{"scale", 0.25}});
  }
  V block(V x, int64_t layer) {
    const V h = norm(x);
    const V q = rope(heads(linear(h, s.heads * s.length), s.heads));
    const V k = rope(heads(linear(h, s.kv_heads * s.length), s.kv_heads));
    const V v = heads(linear(h, s.kv_heads * s.length), s.kv_heads);
    const V mixed = add("aten.view.default", {attention(q, k, v, static_cast<size_t>(layer))},
                        {{"size", Ints{-1, s.heads * s.length}}});
    x = add("aten.add.Tensor", {x, linear(mixed, s.hidden)});
    const V g = norm(x);
    const V gate = add("aten.silu.default", {linear(g, s.inner)});
    const V inner = add("aten.mul.Tensor", {gate, linear(g, s.inner)});
    return add("aten.add.Tensor", {x, linear(inner, s.hidden)});
  }

  LanguageShape s;
  std::mt19937 random;
  Net net;
  V tokens_ = 0, positions_ = 0, frequencies_ = 0;
  std::vector<V> caches_, affines_, results_;
  std::map<V, V> pads_;
};

}  // namespace

V grouped_weight(Net& net, DType dtype, int64_t rows, int64_t columns, int64_t used, int64_t group, bool asymmetric) {
  const auto width = bits(dtype);
  QParams q;
  q.dtype = dtype;
  q.scheme = Scheme::per_group;
  q.group = static_cast<uint32_t>(group);
  q.qmin = -(1 << (width - 1));
  q.qmax = -q.qmin - 1;
  for (int64_t i = 0; i < rows * (columns / group); ++i) {
    const float scale = 0.02f + 0.03f * static_cast<float>(net.pick(0, 1000)) / 1000;
    q.scale.push_back(half_to_float(float_to_half(scale)));
    if (asymmetric) q.zero_point.push_back(static_cast<int32_t>(net.pick(q.qmin, q.qmax)));
  }
  Tensor t(dtype, {rows, columns});
  const int64_t row_bytes = (columns * width + 7) / 8;
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c) {
      const auto zero = q.zero_point_at(static_cast<size_t>(r * (columns / group) + c / group));
      const int64_t code = c < used ? net.pick(q.qmin, q.qmax) : zero;
      t.as<uint8_t>()[static_cast<size_t>(r * row_bytes + c * width / 8)] |=
          static_cast<uint8_t>((static_cast<uint64_t>(code) & ((1u << width) - 1)) << (c * width % 8));
    }
  return net.graph.add_constant(net.graph.unique_name("w"), std::move(t), std::make_shared<const QParams>(q));
}

ir::Graph language_graph(const LanguageShape& shape, uint32_t seed) { return Model(shape, seed).build(); }

std::vector<Tensor> language_inputs(const LanguageShape& s, int64_t first, std::mt19937& random) {
  Tensor tokens(DType::s64, {s.tokens}), positions(DType::s64, {s.tokens});
  for (int64_t i = 0; i < s.tokens; ++i) {
    tokens.as<int64_t>()[static_cast<size_t>(i)] = std::uniform_int_distribution<int64_t>(0, s.vocabulary - 1)(random);
    positions.as<int64_t>()[static_cast<size_t>(i)] = first + i;
  }
  std::vector<Tensor> out{tokens, positions};
  for (int64_t i = 0; i < s.layers * 2; ++i) {
    out.emplace_back(s.int8_cache ? DType::s8 : DType::f32, Shape{s.context, s.kv_heads, s.length});
    if (s.int8_cache) out.emplace_back(DType::f32, Shape{s.context, s.kv_heads, 2});
  }
  return out;
}

}  // namespace quoin::cpu::testing
