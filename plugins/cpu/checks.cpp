#include "checks.hpp"

#include <quoin/numerics.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

#include "grouped_weights.hpp"

namespace quoin::cpu {
namespace {

using sdk::Match, sdk::Node, sdk::QParams, sdk::Value;

constexpr int64_t kMaxElements = int64_t{1} << 31;
constexpr int64_t kMaxDepth = 65000;     // products of u8 and s8 that an int32 can sum
constexpr int64_t kMaxPixels = 1 << 22;  // bytes that an int32 can sum

std::string quoted(const Value& value) { return "'" + std::string(sdk::view(value.raw.name)) + "'"; }

bool same(const std::optional<QParams>& a, const std::optional<QParams>& b) {
  if (!a || !b) return !a && !b;
  return a->scale[0] == b->scale[0] && a->zero_point() == b->zero_point() && a->qmin == b->qmin && a->qmax == b->qmax;
}

bool is_typed(const Match& m) { return m.output().qparams().has_value(); }

std::string check_weight(const Match& m, const Value& w, int64_t channels) {
  if (!w.is_constant()) return "the weight is not a constant";
  const bool int8_input = m.input(0).qparams().has_value();
  const auto q = w.qparams();
  if (!q)
    return int8_input               ? "the weight is float but the operand is int8"
           : w.dtype() == QUOIN_F32 ? ""
                                    : "the weight is not f32";
  const quoin_dtype kinds[] = {QUOIN_S8, QUOIN_S4, QUOIN_U4, QUOIN_S2};
  if (std::find(std::begin(kinds), std::end(kinds), w.dtype()) == std::end(kinds))
    return "the weight is not an integer of at most 8 bits with sign";
  const auto zero = [](int32_t z) { return z == 0; };
  if (!std::all_of(q->zero_points.begin(), q->zero_points.end(), zero)) return "the weight is not symmetric";
  const bool channel =
      q->scheme == QUOIN_PER_CHANNEL && q->axis == 0 && static_cast<int64_t>(q->scale.size()) == channels;
  if (!channel && !(q->scheme == QUOIN_PER_TENSOR && q->scale.size() == 1))
    return "the weight has neither one scale nor one per output channel";
  return "";
}

// Everything in float, or operand, weight and result in int8 with an int32 bias.
std::string check_layer(const Match& m, int64_t channels, int64_t depth) {
  const Value w = m.input(1);
  if (std::string no = check_weight(m, w, channels); !no.empty()) return no;
  const bool typed = m.input(0).qparams().has_value();
  if (typed != is_typed(m) || typed != w.qparams().has_value())
    return "operand, weight and result are not all int8 or all float";
  if (m.root().has_input(2)) {
    const Value bias = m.input(2);
    if (!bias.is_constant()) return "the bias is not a constant";
    if (bias.dtype() != (typed ? QUOIN_S32 : QUOIN_F32)) return typed ? "the bias is not s32" : "the bias is not f32";
  }
  if (depth > kMaxDepth) return "more than 65000 products per output do not fit int32";
  return "";
}

std::string check_rows(const Match& m) {
  const bool whole = m.input(0).is_static() || m.input(0).raw.rank > 1;
  return whole ? "" : "its rows follow the length of a run";
}

std::string check_float_bias(const Match& m) {
  const bool fits = !m.root().has_input(2) || (m.input(2).is_constant() && m.input(2).dtype() == QUOIN_F32);
  return fits ? "" : "the bias is not a constant of f32";
}

std::string check_image(const Match& m) {
  if (std::string no = check_values(m); !no.empty()) return no;
  return m.input(0).raw.rank == 4 ? "" : "the operand is not [N, C, H, W]";
}

}  // namespace

std::string check_activation(const Value& value) {
  for (uint32_t d = 1; d < value.raw.rank; ++d)
    if (value.is_dynamic(d)) return quoted(value) + " has a dynamic dim that is not the first";
  const auto d = value.dims();
  if (d.size() > 8 || std::any_of(d.begin(), d.end(), [](int64_t n) { return n < 1 || n >= kMaxElements; }) ||
      value.numel() >= kMaxElements)
    return quoted(value) + " is empty or too large";
  const auto q = value.qparams();
  if (!q) return value.dtype() == QUOIN_F32 ? "" : quoted(value) + " is not f32";
  if (value.dtype() != QUOIN_S8 || q->scheme != QUOIN_PER_TENSOR || q->scale.size() != 1)
    return quoted(value) + " is not s8 with one scale";
  return value.is_static() ? "" : quoted(value) + " is s8 and has a dynamic shape";
}

// Constants that are weights or biases are left to the rule.
std::string check_values(const Match& m) {
  for (const Node& node : m.nodes) {
    for (const uint32_t id : node.inputs()) {
      if (id == QUOIN_NONE || m.graph.value(id).is_constant()) continue;
      if (std::string no = check_activation(m.graph.value(id)); !no.empty()) return no;
    }
    for (const uint32_t id : node.outputs())
      if (std::string no = check_activation(m.graph.value(id)); !no.empty()) return no;
  }
  return "";
}

std::string check_shared(const Match& m) {
  if (std::string no = check_values(m); !no.empty()) return no;
  if (m.input(0).is_constant()) return "the operand is a constant";
  return same(m.input(0).qparams(), m.output().qparams()) ? "" : "operand and result have different qparams";
}

namespace {

// Whether a permutation, transposition or slice of a tensor whose first dim follows the length leaves that dim where it
// is, or takes only the last of it.
bool keeps_length(const Match& m) {
  const Value x = m.input(0), y = m.output();
  const sdk::Params a = m.root().attrs();
  const std::string_view op = m.root().op();
  const int64_t rank = x.raw.rank;
  const auto dim = [&](const char* name) {
    const int64_t d = a.integer(name, 0);
    return d < 0 ? d + rank : d;
  };
  if (op == "aten.permute.default") return (a.integers("dims")[0] + rank) % rank == 0;
  if (op == "aten.transpose.int") return dim("dim0") != 0 && dim("dim1") != 0;
  if (op == "aten.expand.default") return true;
  if (op == "aten.select.int") return dim("dim") != 0 || a.integer("index", 0) == -1;
  if (op != "aten.slice.Tensor") return false;
  if (dim("dim") != 0) return true;
  const int64_t start = a.integer("start", 0);
  return y.is_static() ? start == -1 : start == 0 && a.integer("step", 1) == 1;
}

}  // namespace

std::string check_move(const Match& m) {
  if (std::string no = check_shared(m); !no.empty()) return no;
  return m.input(0).is_static() || keeps_length(m) ? "" : "it moves the dim that follows the length of a run";
}

std::string check_conv2d(const Match& m) {
  if (std::string no = check_image(m); !no.empty()) return no;
  const Value w = m.input(1);
  if (w.raw.rank != 4) return "the weight is not [O, C, H, W]";
  return check_layer(m, w.dims()[0], w.dims()[1] * w.dims()[2] * w.dims()[3]);
}

std::string check_linear(const Match& m) {
  if (std::string no = check_values(m); !no.empty()) return no;
  if (std::string no = check_rows(m); !no.empty()) return no;
  const Value w = m.input(1);
  if (w.raw.rank != 2) return "the weight is not [out, in]";
  if (!m.input(0).qparams() && !is_typed(m) && is_grouped(w, true)) {
    if (std::string no = check_float_bias(m); !no.empty()) return no;
    return check_groups(w);
  }
  return check_layer(m, w.dims()[0], w.dims()[1]);
}

std::string check_linear_dynamic(const Match& m) {
  if (std::string no = check_values(m); !no.empty()) return no;
  if (std::string no = check_rows(m); !no.empty()) return no;
  const sdk::Params a = m.root().attrs();
  if (a.text("granularity", "per_token") != "per_token") return "activations are not quantized per token";
  if (a.integer("qmin", -128) != -128 || a.integer("qmax", 127) != 127) return "activations do not use -128..127";
  if (!numerics::dynamic_scheme(a.text("scheme", "affine"))) return "its scheme is not known";
  if (std::string no = check_float_bias(m); !no.empty()) return no;
  const Value w = m.input(1);
  if (is_grouped(w, false)) return check_groups(w);
  if (std::string no = check_weight(m, w, w.dims()[0]); !no.empty()) return no;
  if (!w.qparams()) return "the weight is not s8";
  return w.dims()[1] > kMaxDepth ? "more than 65000 products per output do not fit int32" : "";
}

std::string check_binary(const Match& m) {
  if (std::string no = check_values(m); !no.empty()) return no;
  if (m.root().attrs().number("alpha", 1) != 1) return "alpha is not 1";
  int constants = 0;
  for (uint32_t slot = 0; slot < 2; ++slot) {
    const Value v = m.input(slot);
    if (std::string no = check_activation(v); !no.empty()) return no;
    constants += v.is_constant() ? 1 : 0;
    if (v.qparams().has_value() != is_typed(m)) return "operands and result are not all int8 or all float";
  }
  return constants == 2 ? "both operands are constants" : "";
}

std::string check_cat(const Match& m) {
  if (std::string no = check_values(m); !no.empty()) return no;
  if (m.root().inputs().size() > 8) return "more than eight tensors";
  for (const uint32_t id : m.root().inputs()) {
    const Value v = m.graph.value(id);
    if (std::string no = check_activation(v); !no.empty()) return no;
    if (!same(v.qparams(), m.output().qparams())) return "the tensors have different qparams";
  }
  return "";
}

std::string check_max_pool(const Match& m) {
  if (std::string no = check_image(m); !no.empty()) return no;
  return same(m.input(0).qparams(), m.output().qparams()) ? "" : "operand and result have different qparams";
}

std::string check_avg_pool(const Match& m) {
  if (std::string no = check_image(m); !no.empty()) return no;
  const sdk::Params a = m.root().attrs();
  const auto in = m.input(0).dims(), out = m.output().dims();
  if (in[2] * in[3] >= kMaxPixels) return "the image has too many pixels";
  if (m.input(0).qparams().has_value() != is_typed(m)) return "operand and result are not both int8 or both float";
  if (m.root().op() != "aten.avg_pool2d.default")
    return in[2] % out[2] == 0 && in[3] % out[3] == 0 ? "" : "the image does not divide into equal windows";
  if (a.has("divisor_override") &&
      (a.integer("divisor_override", 1) < 1 || a.integer("divisor_override", 1) > kMaxPixels))
    return "divisor_override is out of range";
  const auto pad = a.integers("padding");
  const bool padded = pad[0] != 0 || pad[1] != 0;
  if (a.boolean("ceil_mode", false) && a.boolean("count_include_pad", true) && !a.has("divisor_override"))
    return "ceil_mode with padding that counts";
  return padded && a.has("divisor_override") && a.boolean("ceil_mode", false) ? "ceil_mode with padding" : "";
}

std::string check_mean(const Match& m) {
  if (std::string no = check_values(m); !no.empty()) return no;
  if (m.input(0).qparams().has_value() != is_typed(m)) return "operand and result are not both int8 or both float";
  if (!m.root().attrs().has("dim") || m.root().attrs().integers("dim").empty()) return "it reduces every dim";
  const auto rank = static_cast<int64_t>(m.input(0).raw.rank);
  std::vector<int64_t> dims;
  int64_t count = 1;
  for (const int64_t d : m.root().attrs().integers("dim")) dims.push_back(d < 0 ? d + rank : d);
  std::sort(dims.begin(), dims.end());
  for (size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] != dims[0] + static_cast<int64_t>(i)) return "the dims are not next to each other";
    count *= m.input(0).dims()[static_cast<size_t>(dims[i])];
  }
  return count < kMaxPixels ? "" : "it sums too many elements";
}

std::string check_pad(const Match& m) {
  if (std::string no = check_shared(m); !no.empty()) return no;
  if (m.root().attrs().text("mode", "constant") != "constant") return "the mode is not constant";
  if (!m.input(0).is_static() && m.root().attrs().integers("pad").size() / 2 >= m.input(0).raw.rank)
    return "it pads the dim that follows the length of a run";
  return m.root().attrs().number("value", 0) == 0 || !is_typed(m) ? "" : "int8 images are padded with zero only";
}

std::string check_conversion(const Match& m) {
  if (std::string no = check_values(m); !no.empty()) return no;
  if (m.input(0).is_constant()) return "the operand is a constant";
  const bool from = m.input(0).qparams().has_value(), to = is_typed(m);
  const std::string_view op = m.root().op();
  if (op == "quoin.quantize.default") return !from && to ? "" : "it does not turn f32 into s8";
  if (op == "quoin.dequantize.default") return from && !to ? "" : "it does not turn s8 into f32";
  return from && to ? "" : "it does not turn s8 into s8";
}

std::string check_matmul(const Match& m) {
  if (std::string no = check_values(m); !no.empty()) return no;
  for (uint32_t slot = 0; slot < 2; ++slot)
    if (std::string no = check_activation(m.input(slot)); !no.empty()) return no;
  const auto a = m.input(0).dims(), b = m.input(1).dims();
  if (a.size() < 2 || b.size() < 2) return "an operand is a vector";
  if (b.size() == 2) return "";
  return a.size() == b.size() && std::equal(a.begin(), a.end() - 2, b.begin()) ? "" : "the leading dims differ";
}

std::string check_softmax(const Match& m) {
  if (std::string no = check_values(m); !no.empty()) return no;
  const int64_t dim = m.root().attrs().integer("dim", -1), rank = m.input(0).raw.rank;
  if (m.root().attrs().text("dtype", "f32") != "f32") return "the result is not f32";
  return rank > 0 && (dim == -1 || dim == rank - 1) ? "" : "it is not over the last dim";
}

std::string check_layer_norm(const Match& m) {
  if (std::string no = check_values(m); !no.empty()) return no;
  for (uint32_t slot = 1; slot < 3; ++slot)
    if (m.root().has_input(slot) && (!m.input(slot).is_constant() || m.input(slot).dtype() != QUOIN_F32))
      return "weight and bias are not constants of f32";
  const bool rows = m.root().attrs().integers("normalized_shape").size() < m.input(0).raw.rank;
  return rows || m.input(0).is_static() ? "" : "it normalizes over the length of a run";
}

}  // namespace quoin::cpu
