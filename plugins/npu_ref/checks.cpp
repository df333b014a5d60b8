#include "checks.hpp"

#include <algorithm>
#include <cmath>

#include "geometry.hpp"
#include "nodes.hpp"

namespace quoin::npu {
namespace {

using sdk::Match, sdk::Node, sdk::QParams, sdk::Value;

std::string quoted(const Value& v) { return "'" + std::string(sdk::view(v.raw.name)) + "'"; }

std::string text(std::span<const int64_t> dims) {
  std::string out = "[";
  for (const int64_t d : dims) out += (out.size() > 1 ? ", " : "") + std::to_string(d);
  return out + "]";
}

std::string check_shape(const Value& v) {
  if (!v.is_static()) return quoted(v) + " has a dynamic shape; export the model with fixed sizes";
  const auto d = v.dims();
  if (device_shape(d)) return "";
  const std::string found = quoted(v) + " is " + text(d);
  if (std::any_of(d.begin(), d.end(), [](int64_t n) { return n == 0; })) return found + ", which is empty";
  if (d.size() < 2 || d.size() > kMaxRank) return found + "; the device takes [1, C] to [1, C, H, W]";
  if (d[0] != 1) return found + "; the device takes batch 1: export the model with it";
  return found + "; the device takes at most " + std::to_string(kMaxChannels) + " channels and " +
         std::to_string(kMaxSide) + " pixels a side";
}

std::string check_qparams(const Value& v, const QParams& q) {
  if (v.dtype() != QUOIN_S8 && v.dtype() != QUOIN_S16) return quoted(v) + " is neither s8 nor s16";
  if (q.scheme != QUOIN_PER_TENSOR || q.scale.size() != 1) return quoted(v) + " has more than one scale";
  if (q.zero_point() != 0) return quoted(v) + " has a zero point: the device is symmetric";
  if (!exponent_of(q.scale[0])) return "the scale of " + quoted(v) + " is no power of two";
  return "";
}

// A tensor that flows between nodes: quantized for the device, or f32 before quantization.
std::string check_tensor(const Value& v) {
  if (v.is_constant()) return quoted(v) + " is a constant; the device takes constants only as weights and biases";
  if (std::string no = check_shape(v); !no.empty()) return no;
  if (const auto q = v.qparams()) return check_qparams(v, *q);
  return v.dtype() == QUOIN_F32 ? "" : quoted(v) + " is not f32";
}

bool is_typed(const Match& m) { return sdk::is_integer_node(m.graph, m.root()); }

// The first `slots` operands of the root (0: all) and the results of the whole match; each is quantized if one is.
std::string check_tensors(const Match& m, uint32_t slots) {
  const auto inputs = m.root().inputs();
  std::vector<uint32_t> ids(inputs.begin(), slots == 0 ? inputs.end() : inputs.begin() + slots);
  for (const Node& node : m.nodes) ids.insert(ids.end(), node.outputs().begin(), node.outputs().end());
  for (const uint32_t id : ids) {
    const Value v = m.graph.value(id);
    if (std::string no = check_tensor(v); !no.empty()) return no;
    if (v.qparams().has_value() != is_typed(m)) return quoted(v) + " is not quantized; quantize its neighbours, too";
  }
  return "";
}

std::string check_same_type(const Match& m) {
  if (m.input(0).dtype() == m.output().dtype()) return "";
  return "operand and result have different types; give both the same preset";
}

std::string check_same_scale(const Match& m, const Value& v) {
  if (std::string no = check_same_type(m); !no.empty()) return no;
  if (!is_typed(m) || exponent(v) == exponent(m.output())) return "";
  return quoted(v) + " and the result have different scales";
}

// From the scale of the operand to that of the result.
std::string check_shift(const Match& m) {
  if (!is_typed(m)) return "";
  const Shifts s = shifts(exponent(m.input(0)), exponent(m.output()));
  if (s.left <= kMaxLeftShift && s.right <= kMaxRightShift) return "";
  return "the scales of operand and result are too far apart";
}

// -- layers

std::string check_weight(const Match& m, const Value& w) {
  if (!w.is_constant()) return "the weight is not a constant";
  const auto q = w.qparams();
  if (q.has_value() != is_typed(m)) return "operand and weight are not both quantized";
  if (!q) return w.dtype() == QUOIN_F32 ? "" : "the weight is not f32";
  if (w.dtype() != QUOIN_S8) return "the weight is not s8";
  const bool channels = q->scheme == QUOIN_PER_CHANNEL && q->axis == 0;
  if (!channels && q->scheme != QUOIN_PER_TENSOR) return "the weight has neither one scale nor one per output channel";
  for (size_t i = 0; i < q->scale.size(); ++i) {
    if (q->zero_point(i) != 0) return "the weight has a zero point: the device is symmetric";
    if (!exponent_of(q->scale[i])) return "a scale of the weight is no power of two";
  }
  return "";
}

std::string check_bias(const Match& m, const Value& w) {
  if (!m.root().has_input(2)) return "";
  const Value bias = m.input(2);
  if (!bias.is_constant()) return "the bias is not a constant";
  if (!is_typed(m)) return bias.dtype() == QUOIN_F32 ? "" : "the bias is not f32";
  const auto q = bias.qparams(), qw = w.qparams();
  if (!q || bias.dtype() != QUOIN_S32) return "the bias is not s32";
  const float scale_x = m.input(0).qparams()->scale[0];
  for (size_t c = 0; c < std::max(q->scale.size(), qw->scale.size()); ++c)
    if (q->scale[c % q->scale.size()] != scale_x * qw->scale[c % qw->scale.size()] ||
        q->zero_point(c % q->scale.size()) != 0)
      return "the scale of the bias is not that of operand times weight";
  return "";
}

// The worst input of every output channel must fit the accumulator.
std::string check_sums(const Match& m, const Value& w) {
  const auto weights = w.constant<int8_t>();
  const std::span<const int32_t> bias =
      m.root().has_input(2) ? m.input(2).constant<int32_t>() : std::span<const int32_t>();
  const auto channels = static_cast<size_t>(w.dims()[0]), depth = weights.size() / channels;
  const int64_t reach = m.input(0).dtype() == QUOIN_S8 ? 128 : 32768;
  for (size_t o = 0; o < channels; ++o) {
    int64_t sum = 0;
    for (const int8_t q : weights.subspan(o * depth, depth)) sum += std::abs(int{q});
    sum = sum * reach + (bias.empty() ? 0 : std::abs(int64_t{bias[o]}));
    if (sum > INT32_MAX)
      return "the sums of output channel " + std::to_string(o) + " may not fit 32 bits; quantize it with preset int8";
  }
  return "";
}

std::string check_shifts(const Match& m, const Value& w) {
  const QParams q = *w.qparams();
  for (const float scale : q.scale) {
    const int32_t shift = exponent(m.output()) - exponent(m.input(0)) - *exponent_of(scale);
    if (shift < 0 || shift > kMaxRightShift)
      return "its sums would be shifted right by " + std::to_string(shift) + " bits, the device shifts by 0 to " +
             std::to_string(kMaxRightShift);
  }
  return "";
}

std::string check_layer(const Match& m) {
  if (std::string no = check_same_type(m); !no.empty()) return no;
  const Value w = m.input(1);
  for (const auto check : {check_weight, check_bias})
    if (std::string no = check(m, w); !no.empty()) return no;
  if (std::string no = check_geometry(m.graph, m.root()); !no.empty()) return no;
  if (!is_typed(m)) return check_memory(m.graph, m.root(), Options());
  if (std::string no = check_shifts(m, w); !no.empty()) return no;
  return check_sums(m, w);
}

std::string check_image(const Match& m) {
  if (std::string no = check_tensors(m, 1); !no.empty()) return no;
  return m.input(0).raw.rank == 4 ? "" : quoted(m.input(0)) + " is no image [1, C, H, W]";
}

}  // namespace

std::string check_conv2d(const Match& m) {
  if (std::string no = check_image(m); !no.empty()) return no;
  return check_layer(m);
}

std::string check_linear(const Match& m) {
  if (std::string no = check_tensors(m, 1); !no.empty()) return no;
  if (m.input(0).raw.rank != 2) return quoted(m.input(0)) + " is not one row, [1, C]";
  return check_layer(m);
}

std::string check_add(const Match& m) {
  if (std::string no = check_tensors(m, 2); !no.empty()) return no;
  if (m.root().attrs().number("alpha", 1) != 1) return "alpha is not 1";
  const Value a = m.input(0), b = m.input(1);
  if (!std::ranges::equal(a.dims(), b.dims()))
    return quoted(a) + " and " + quoted(b) + " have different shapes; the device does not broadcast";
  if (a.dtype() != b.dtype()) return quoted(a) + " and " + quoted(b) + " have different types";
  if (std::string no = check_same_type(m); !no.empty() || !is_typed(m)) return no;
  const int32_t low = std::min({exponent(a), exponent(b), exponent(m.output())});
  const int32_t left = std::max(exponent(a), exponent(b)) - low, right = exponent(m.output()) - low;
  if (left <= kMaxAddShift && right <= kMaxRightShift) return "";
  return "the scales of its operands and result are 2^" + std::to_string(std::max(left, right)) +
         " apart, the device aligns at most 2^" + std::to_string(kMaxAddShift);
}

std::string check_clamp(const Match& m) {
  if (std::string no = check_tensors(m, 1); !no.empty()) return no;
  return check_same_scale(m, m.input(0));
}

std::string check_max_pool(const Match& m) {
  if (std::string no = check_image(m); !no.empty()) return no;
  if (std::string no = check_same_scale(m, m.input(0)); !no.empty()) return no;
  return check_geometry(m.graph, m.root());
}

std::string check_average(const Match& m) {
  if (std::string no = check_tensors(m, 1); !no.empty()) return no;
  if (std::string no = check_same_type(m); !no.empty()) return no;
  const Node node = m.root();
  const sdk::Params a = node.attrs();
  const int64_t rank = m.input(0).raw.rank;
  if (node.op() == "aten.mean.dim") {
    std::vector<int64_t> dims, behind;
    if (a.has("dim"))
      for (const int64_t d : a.integers("dim")) dims.push_back(d < 0 ? d + rank : d);
    std::sort(dims.begin(), dims.end());
    for (int64_t d = 2; d < rank; ++d) behind.push_back(d);
    if (dims != behind || dims.empty()) return "it averages other dims than height and width";
  } else if (rank != 4) {
    return quoted(m.input(0)) + " is no image [1, C, H, W]";
  }
  if (std::string no = check_geometry(m.graph, node); !no.empty()) return no;
  if (node.op() == "aten.avg_pool2d.default") {
    const Command c = window_command(m.graph, node);
    const bool whole =
        c.pad_top == 0 && c.pad_left == 0 && band_height(c, c.out.height) <= c.in.height && band_width(c) <= c.in.width;
    const bool counted = a.boolean("count_include_pad", true) && !a.boolean("ceil_mode", false);
    if (!whole && !counted && !a.has("divisor_override"))
      return "windows at the border divide by fewer pixels; the device has one divisor";
    const int64_t divisor = a.integer("divisor_override", 1);
    if (divisor < 1 || divisor > kMaxDivisor)
      return "divisor_override is " + std::to_string(divisor) + ", the device takes 1 to " +
             std::to_string(kMaxDivisor);
  }
  return check_shift(m);
}

std::string check_view(const Match& m) {
  if (std::string no = check_tensors(m, 1); !no.empty()) return no;
  if (std::string no = check_same_scale(m, m.input(0)); !no.empty()) return no;
  if (device_shape(m.input(0).dims()) == device_shape(m.output().dims())) return "";
  return "it would move data: the device keeps blocks of " + std::to_string(kLanes) +
         " channels together; pool to one pixel before flattening";
}

std::string check_cat(const Match& m) {
  if (std::string no = check_tensors(m, 0); !no.empty()) return no;
  const auto inputs = m.root().inputs();
  if (inputs.size() > static_cast<size_t>(kMaxParts))
    return "it joins " + std::to_string(inputs.size()) + " tensors, the device at most " + std::to_string(kMaxParts);
  const int64_t dim = m.root().attrs().integer("dim", 0);
  if (dim != 1 && dim != 1 - static_cast<int64_t>(m.input(0).raw.rank)) return "it does not join along the channels";
  for (uint32_t slot = 0; slot < inputs.size(); ++slot) {
    const Value part = m.input(slot);
    if (slot + 1 < inputs.size() && part.dims()[1] % kLanes != 0)
      return quoted(part) + " has " + std::to_string(part.dims()[1]) +
             " channels; parts but the last must be multiples of " + std::to_string(kLanes);
    if (std::string no = check_same_scale(m, part); !no.empty()) return no;
  }
  return "";
}

std::string check_pad(const Match& m) {
  if (std::string no = check_image(m); !no.empty()) return no;
  if (std::string no = check_same_scale(m, m.input(0)); !no.empty()) return no;
  const sdk::Params a = m.root().attrs();
  if (a.text("mode", "constant") != "constant" || a.number("value", 0) != 0) return "the device pads with zero only";
  return padding_of(m.root()) ? "" : "the device pads height and width only, and does not crop";
}

std::string check_rescale(const Match& m) {
  if (std::string no = check_tensors(m, 1); !no.empty()) return no;
  return check_shift(m);
}

std::string check_border(const Match&) { return "the device has no floats: the host converts at the border"; }

std::string check_memory(const sdk::Graph& graph, const Node& node, const Options& options) {
  std::vector<uint32_t> ids;
  for (const uint32_t id : node.inputs())
    if (id != QUOIN_NONE && !graph.value(id).is_constant()) ids.push_back(id);
  ids.insert(ids.end(), node.outputs().begin(), node.outputs().end());
  for (const uint32_t id : ids) {
    const Value v = graph.value(id);
    const uint64_t bytes = tensor_bytes(*device_shape(v.dims()), element_bytes(v));
    if (bytes > options.tensor_bytes())
      return quoted(v) + " takes " + std::to_string(bytes) + " bytes of device memory, the device holds " +
             std::to_string(options.tensor_bytes()) + " (option tensor_kib)";
  }
  if (!is_window(node)) return "";
  const uint64_t need = sram_need(window_command(graph, node), 1);
  if (need <= options.sram_bytes()) return "";
  return "one row of its result needs " + std::to_string(need) + " bytes on chip, the device has " +
         std::to_string(options.sram_bytes()) + " (option sram_kib)";
}

}  // namespace quoin::npu
