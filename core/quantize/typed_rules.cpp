#include "quantize/typed_rules.hpp"

#include <algorithm>
#include <array>

namespace quoin::quantize {
namespace {

constexpr std::string_view kTransposed = "aten.conv_transpose2d.input", kLinear = "aten.linear.default";
constexpr std::array<std::string_view, 4> kProducts{"aten.conv1d.default", "aten.conv2d.default", kTransposed, kLinear};
constexpr std::array<std::string_view, 10> kGeneral{"aten.add.Tensor",         "aten.sub.Tensor",
                                                    "aten.mul.Tensor",         "aten.matmul.default",
                                                    "aten.bmm.default",        "aten.mm.default",
                                                    "aten.mean.dim",           "aten.mean.default",
                                                    "aten.avg_pool2d.default", "aten.adaptive_avg_pool2d.default"};
constexpr std::string_view kMaxPool = "aten.max_pool2d.default";  // selects elements, hence carries

bool listed(const auto& names, std::string_view op) { return std::find(names.begin(), names.end(), op) != names.end(); }

bool is_data(DType dtype) {
  return dtype == DType::s8 || dtype == DType::u8 || dtype == DType::s16 || dtype == DType::u16;
}

}  // namespace

TypedRule typed_rule(const ir::Node& node) {
  if (listed(kProducts, node.op())) return TypedRule::product;
  if (listed(kGeneral, node.op())) return TypedRule::general;
  const Traits& traits = node.schema->traits;
  const bool carries = traits.clamps || traits.moves_data || node.op() == kMaxPool;
  return carries && node.outputs.size() == 1 ? TypedRule::carries : TypedRule::none;
}

bool quantize_may_rise(const ir::Node& node) {
  return typed_rule(node) == TypedRule::carries && node.inputs.size() == 1;
}

int32_t weight_axis(const ir::Node& node) { return node.op() == kTransposed ? 1 : 0; }

std::string kind_of(const QParams& q) {
  constexpr std::array kSchemes{"per tensor", "per channel", "per group", "per token", "per block"};
  return fmt::format("{} {}", name(q.dtype), kSchemes[static_cast<size_t>(q.scheme)]);
}

bool fits_data(TypedRule rule, const QParams& q) {
  return q.scheme == Scheme::per_tensor && (rule == TypedRule::carries || is_data(q.dtype));
}

bool fits_weight(const ir::Node& node, const QParams& q, bool dynamic) {
  if (bits(q.dtype) > 8) return false;
  if (dynamic && q.scheme == Scheme::per_group) return node.op() == kLinear;
  if (q.scheme == Scheme::per_tensor) return true;
  return q.scheme == Scheme::per_channel && q.axis == weight_axis(node);
}

}  // namespace quoin::quantize
