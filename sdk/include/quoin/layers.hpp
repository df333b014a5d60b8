// Convolutions and linear layers on int8, as a backend wants them: checked, of one form, with the numbers that
// requantization takes; and that form in a blob. A linear layer is a convolution of one tap on images of one pixel.
//
//   rules:    .pattern = kLayerPattern, .constraint = kLayerConstraint, .check = check_layer
//   backend:  partition: claim_layers(rules(), request, claims);   compile: write_layer(read_layer(request.graph),
//   blob); delegate: load_layer(load.blob), once; every run computes with it.
//
// Header-only; functions are thread safe and throw Failure.
#pragma once

#include <quoin/numerics.hpp>
#include <quoin/rules.hpp>

#include <cstdlib>
#include <initializer_list>
#include <limits>

namespace quoin::sdk {

inline constexpr std::string_view kLayerPattern = "conv2d|linear [> relu|relu6|hardtanh|clamp|clamp_min|clamp_max]";
inline constexpr std::string_view kLayerConstraint =
    "static shapes; weight and bias are constants; int8 weights are symmetric, per tensor or per output channel";

// Elements, not bytes. Data is [batch][channels][height][width], the weight [out_channels][group_depth()][kernel_h]
// [kernel_w]. No padding bytes, so that it can lie in a blob.
struct LayerShape {
  int64_t batch = 0, in_channels = 0, in_h = 1, in_w = 1, out_channels = 0, out_h = 1, out_w = 1, groups = 1;
  int64_t kernel_h = 1, kernel_w = 1, stride_h = 1, stride_w = 1, pad_h = 0, pad_w = 0, dilation_h = 1, dilation_w = 1;
  int32_t zero_x = 0, zero_y = 0;  // zero points of operand and result
  int32_t low = 0, high = 0;       // limits of the result's integers, cut by the clamp
  uint64_t debug_id = 0;           // of the node, for profiler events
  int64_t group_depth() const { return in_channels / groups; }
  int64_t input_size() const { return batch * in_channels * in_h * in_w; }
  int64_t output_size() const { return batch * out_channels * out_h * out_w; }
  int64_t filter_size() const { return group_depth() * kernel_h * kernel_w; }
};

// y = numerics::requantize(bias[c] + sum of (x - zero_x) * w, multiplier[c], zero_y, low, high) for output channel c;
// taps outside the image add nothing. No int8 input makes the sum overflow int32.
struct Layer : LayerShape {
  std::vector<float> multiplier;   // per output channel: scale_x * scale_w / scale_y
  std::vector<int32_t> bias;       // per output channel
  std::span<const int8_t> weight;  // borrowed: from the graph or the blob
};

// Bounds of relu, relu6, hardtanh, clamp, clamp_min and clamp_max nodes; nothing for other operators.
struct Clamp {
  float low = -std::numeric_limits<float>::infinity(), high = std::numeric_limits<float>::infinity();
};
inline std::optional<Clamp> clamp_of(const Node& node) {
  const std::string_view op = node.op();
  const Params a = node.attrs();
  const auto number = [&](const char* name, float missing) { return static_cast<float>(a.number(name, missing)); };
  const Clamp none;
  if (op == "aten.relu.default") return Clamp{0, none.high};
  if (op == "aten.relu6.default") return Clamp{0, 6};
  if (op == "aten.hardtanh.default") return Clamp{number("min_val", -1), number("max_val", 1)};
  if (op == "aten.clamp.default" || op == "aten.clamp_min.default" || op == "aten.clamp_max.default")
    return Clamp{number("min", none.low), number("max", none.high)};
  return std::nullopt;
}

namespace detail {

inline constexpr int64_t kMaxDim = int64_t{1} << 24, kMaxElements = int64_t{1} << 40;

// The factors are 0 to kMaxDim.
inline bool fits(std::initializer_list<int64_t> factors) {
  int64_t product = 1;
  for (const int64_t f : factors)
    if ((product *= f) > kMaxElements) return false;
  return true;
}

// Why such a layer cannot be, or "". Afterwards no index or size computed from the shape overflows.
inline std::string fault(const LayerShape& s) {
  const auto outside = [](int64_t low) { return [low](int64_t v) { return v < low || v > kMaxDim; }; };
  const int64_t sizes[] = {s.batch,  s.in_channels, s.in_h,     s.in_w,     s.out_channels, s.out_h,      s.out_w,
                           s.groups, s.kernel_h,    s.kernel_w, s.stride_h, s.stride_w,     s.dilation_h, s.dilation_w};
  if (std::any_of(std::begin(sizes), std::end(sizes), outside(1)) || outside(0)(s.pad_h) || outside(0)(s.pad_w))
    return "a size of the layer is zero or above 2^24";
  if (s.in_channels % s.groups != 0 || s.out_channels % s.groups != 0) return "the groups do not divide the channels";
  if (!fits({s.batch, s.in_channels, s.in_h, s.in_w}) || !fits({s.batch, s.out_channels, s.out_h, s.out_w}) ||
      !fits({s.out_channels, s.group_depth(), s.kernel_h, s.kernel_w}))
    return "a tensor of the layer has more than 2^40 elements";
  const auto byte = [](int32_t v) { return v >= -128 && v <= 127; };
  if (!byte(s.zero_x) || !byte(s.zero_y) || !byte(s.low) || !byte(s.high) || s.low > s.high)
    return "the layer's zero points or limits are not int8";
  return {};
}

// For the worst int8 input, in every output channel.
inline bool sums_fit_int32(const LayerShape& s, std::span<const int32_t> bias, std::span<const int8_t> weight) {
  const int64_t reach = std::max(127 - s.zero_x, s.zero_x + 128);
  const auto filter = static_cast<size_t>(s.filter_size());
  for (size_t c = 0; c < static_cast<size_t>(s.out_channels); ++c) {
    int64_t sum = 0;
    for (const int8_t w : weight.subspan(c * filter, filter)) sum += std::abs(int32_t{w});
    const int64_t most = std::numeric_limits<int32_t>::max() - std::abs(int64_t{bias.empty() ? 0 : bias[c]});
    if (sum > most / reach) return false;
  }
  return true;
}

inline LayerShape shape_of(const Match& m) {
  const std::span<const int64_t> x = m.input(0).dims(), w = m.input(1).dims(), y = m.output().dims();
  LayerShape s;
  s.debug_id = m.root().raw.debug_id;
  s.out_channels = w[0];
  if (w.size() == 2) {
    s.in_channels = w[1];
    s.batch = w[1] > 0 ? m.input(0).numel() / w[1] : 0;
    return s;
  }
  const Params a = m.root().attrs();
  const auto pair = [&](const char* name, int64_t& h, int64_t& v) {
    const auto both = a.integers(name);
    if (both.size() != 2) throw Failure(QUOIN_INVALID, "expected two integers '" + std::string(name) + "'");
    h = both[0];
    v = both[1];
  };
  s.batch = x[0], s.in_channels = x[1], s.in_h = x[2], s.in_w = x[3];
  s.out_h = y[2], s.out_w = y[3], s.kernel_h = w[2], s.kernel_w = w[3];
  s.groups = a.integer("groups", 1);
  pair("stride", s.stride_h, s.stride_w);
  pair("padding", s.pad_h, s.pad_w);
  pair("dilation", s.dilation_h, s.dilation_w);
  return s;
}

inline bool same(const QParams& a, const QParams& b) {
  return a.scale[0] == b.scale[0] && a.zero_point() == b.zero_point() && a.qmin == b.qmin && a.qmax == b.qmax;
}

inline void quantize(const Match& m, LayerShape& s) {
  const QParams x = *m.input(0).qparams(), y = *m.output().qparams();
  const Clamp clamp = m.nodes.size() > 1 ? clamp_of(m.last()).value_or(Clamp{}) : Clamp{};
  const auto bound = [&](float v) { return numerics::clamp_bound(v, y.scale[0], y.zero_point(), y.qmin, y.qmax); };
  s.zero_x = x.zero_point();
  s.zero_y = y.zero_point();
  s.high = bound(clamp.high);
  s.low = std::min(bound(clamp.low), s.high);
}

inline std::string check_shapes(const Match& m) {
  const Value x = m.input(0), w = m.input(1);
  const bool linear = m.root().op() == "aten.linear.default";
  if (!w.is_constant()) return "the weight is not a constant";
  if (m.root().has_input(2) && !m.input(2).is_constant()) return "the bias is not a constant";
  if (!x.is_static() || !m.output().is_static()) return "the shape is not static";
  if (w.raw.rank != (linear ? 2u : 4u))
    return linear ? "the weight is not [out, in]" : "the weight is not [O, C, H, W]";
  if (!linear && (x.raw.rank != 4 || m.output().raw.rank != 4)) return "the operand is not [N, C, H, W]";
  return fault(shape_of(m));
}

inline std::string check_weight(const Match& m, const QParams& q) {
  if (m.input(1).dtype() != QUOIN_S8) return "the weight is not int8";
  const auto zero = [](int32_t z) { return z == 0; };
  if (!std::all_of(q.zero_points.begin(), q.zero_points.end(), zero)) return "the weight is not symmetric";
  const bool one = q.scheme == QUOIN_PER_TENSOR && q.scale.size() == 1;
  const bool channels =
      q.scheme == QUOIN_PER_CHANNEL && q.axis == 0 && static_cast<int64_t>(q.scale.size()) == m.input(1).dims()[0];
  return one || channels ? "" : "the weight has neither one scale nor one per output channel";
}

inline std::string check_typed(const Match& m) {
  const auto x = m.input(0).qparams(), w = m.input(1).qparams(), inner = m.graph.output(m.root()).qparams(),
             y = m.output().qparams();
  if (!x || !w || !inner || !y) return "operand, weight and result are not all int8";
  if (std::string no = check_weight(m, *w); !no.empty()) return no;
  for (const Value& v : {m.input(0), m.graph.output(m.root()), m.output()})
    if (v.dtype() != QUOIN_S8 || v.qparams()->scheme != QUOIN_PER_TENSOR || v.qparams()->scale.size() != 1)
      return "operand and result are not int8 with one scale";
  if (!same(*inner, *y)) return "the clamp changes the scale";
  if (m.root().has_input(2) && m.input(2).dtype() != QUOIN_S32) return "the bias is not int32";
  LayerShape s = shape_of(m);
  quantize(m, s);
  if (std::string no = fault(s); !no.empty()) return no;
  const auto weight = m.input(1).constant<int8_t>();
  const auto bias = m.root().has_input(2) ? m.input(2).constant<int32_t>() : std::span<const int32_t>();
  if (static_cast<int64_t>(weight.size()) != s.out_channels * s.filter_size() ||
      (m.root().has_input(2) && static_cast<int64_t>(bias.size()) != s.out_channels))
    return "weight and bias have other sizes than the layer";
  return sums_fit_int32(s, bias, weight) ? "" : "some input makes a sum overflow int32";
}

}  // namespace detail

// Why the match of kLayerPattern cannot be taken, or "". For the float graph that is annotated and the typed one that
// is lowered.
inline std::string check_layer(const Match& m) {
  if (std::string no = detail::check_shapes(m); !no.empty()) return no;
  if (m.input(0).qparams() || m.input(1).qparams() || m.output().qparams()) return detail::check_typed(m);
  const bool real = m.input(0).dtype() == QUOIN_F32 && m.input(1).dtype() == QUOIN_F32;
  return real ? "" : "operand and weight are not f32";
}

// A claim for each layer, with the clamp behind it; the other nodes are declined with the reasons of the table.
inline void claim_layers(const RuleTable& table, const LowerRequest& request, Claims& claims) {
  static const Pattern pattern(kLayerPattern);
  const Graph& graph = request.graph;
  std::vector<bool> taken(graph.num_nodes());
  for (uint32_t i = 0; i < graph.num_nodes(); ++i) {
    if (taken[i]) continue;
    if (const std::string no = table.why_not(graph, graph.node(i)); !no.empty()) {
      claims.decline(i, no);
      continue;
    }
    Match match{graph, pattern.match(graph, graph.node(i), [&](uint32_t id) { return !taken[id]; })};
    if (match.nodes.size() > 1 && !check_layer(match).empty()) match.nodes.pop_back();
    std::vector<uint32_t> ids;
    for (const Node& n : match.nodes) ids.push_back(n.id());
    for (const uint32_t id : ids) taken[id] = true;
    claims.claim(ids, "layer." + std::to_string(i));
  }
}

// The layer of a claim. Its weight is borrowed from the graph. Throws INVALID for what check_layer() refuses.
inline Layer read_layer(const Graph& graph) {
  if (graph.num_nodes() == 0) throw Failure(QUOIN_INVALID, "the claim is empty");
  static const Pattern pattern(kLayerPattern);
  const Match m{graph, pattern.match(graph, graph.node(0), [](uint32_t) { return true; })};
  if (m.nodes.size() != graph.num_nodes()) throw Failure(QUOIN_INVALID, "the claim is not one layer");
  if (std::string no = check_layer(m); !no.empty() || !m.output().qparams())
    throw Failure(QUOIN_INVALID, no.empty() ? "the layer is not quantized" : no);
  Layer layer;
  static_cast<LayerShape&>(layer) = detail::shape_of(m);
  detail::quantize(m, layer);
  const auto channels = static_cast<size_t>(layer.out_channels);
  const QParams x = *m.input(0).qparams(), w = *m.input(1).qparams(), y = *m.output().qparams();
  for (size_t c = 0; c < channels; ++c)
    layer.multiplier.push_back(
        numerics::requantize_multiplier(x.scale[0], w.scale[w.scale.size() == 1 ? 0 : c], y.scale[0]));
  layer.bias.resize(channels);
  if (m.root().has_input(2)) {
    const auto bias = m.input(2).constant<int32_t>();
    layer.bias.assign(bias.begin(), bias.end());
  }
  layer.weight = m.input(1).constant<int8_t>();
  return layer;
}

// -- blobs: the shape, multipliers, biases, weights

inline void write_layer(const Layer& layer, Blob& blob) {
  blob.put(static_cast<const LayerShape&>(layer));
  blob.array(std::span<const float>(layer.multiplier));
  blob.array(std::span<const int32_t>(layer.bias));
  blob.array(layer.weight);
}

// Throws CORRUPT for bytes that write_layer() cannot have written and for layers that would compute nonsense. The
// weight stays in the blob.
inline Layer load_layer(quoin_bytes blob) {
  Reader reader(blob);
  Layer layer;
  static_cast<LayerShape&>(layer) = reader.get<LayerShape>();
  if (const std::string no = detail::fault(layer); !no.empty()) throw Failure(QUOIN_CORRUPT, no);
  const auto channels = static_cast<uint64_t>(layer.out_channels);
  const auto multiplier = reader.array<float>(channels);
  const auto bias = reader.array<int32_t>(channels);
  layer.weight = reader.array<int8_t>(channels * static_cast<uint64_t>(layer.filter_size()));
  if (reader.rest() != 0) throw Failure(QUOIN_CORRUPT, "bytes are left behind the layer's weights");
  if (!detail::sums_fit_int32(layer, bias, layer.weight))
    throw Failure(QUOIN_CORRUPT, "some input makes a sum of the layer overflow int32");
  layer.multiplier.assign(multiplier.begin(), multiplier.end());
  layer.bias.assign(bias.begin(), bias.end());
  return layer;
}

}  // namespace quoin::sdk
