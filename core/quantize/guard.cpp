#include "quantize/guard.hpp"

#include <algorithm>
#include <cfloat>
#include <cmath>

#include "quantize/typed_rules.hpp"

namespace quoin::quantize {
namespace {

constexpr double kLimit = INT32_MAX;
constexpr double kRoundingMargin = 4096;  // binary32 quotients w / s of a sum below 2^31 err by less in total

bool is_transposed(const ir::Node& node) { return weight_axis(node) == 1; }

// Largest |q - zero point| of each scale's integers.
int64_t weight_reach(const QParams& q) {
  int64_t reach = 0;
  for (size_t i = 0; i < q.scale.size(); ++i) {
    const int64_t zero = q.zero_point_at(i);
    reach = std::max({reach, std::abs(q.qmin - zero), std::abs(q.qmax - zero)});
  }
  return reach;
}

// sum |element| per sum.
std::vector<double> magnitudes(const ProductSums& sums, std::span<const float> elements) {
  std::vector<double> out(sums.count());
  for (size_t i = 0; i < elements.size(); ++i) out[sums.sum_of(i)] += std::abs(static_cast<double>(elements[i]));
  return out;
}

// The scale of guard_products' formula; nothing when rounding alone could overflow.
std::optional<float> safe_scale(const ProductSums& sums, size_t sum, double magnitude, bool pow2) {
  const double reach = static_cast<double>(sums.data_reach), sx = static_cast<double>(sums.data_scale);
  const double room = kLimit - kRoundingMargin - reach * static_cast<double>(sums.terms()) / 2;
  if (room <= 0) return std::nullopt;
  const double bias = sums.bias.empty() ? 0 : std::abs(static_cast<double>(sums.bias[sum])) / sx;
  const double least = sums.bias.empty() ? 0 : static_cast<double>(FLT_MIN) / sx;
  const double scale = std::max((reach * magnitude + bias) / room, least);
  const double up = pow2 ? std::exp2(std::ceil(std::log2(scale))) : scale;
  const float rounded = std::nextafter(static_cast<float>(up), pow2 ? static_cast<float>(up) : FLT_MAX);
  return std::isfinite(rounded) ? std::optional(rounded) : std::nullopt;
}

// Finds the products of an annotated graph and raises the scales of their weights.
class Guard {
 public:
  Guard(const ir::Graph& graph, const Prepared& prepared, std::vector<std::optional<QParams>>& qparams,
        Diagnostics& diagnostics)
      : graph_(graph), prepared_(prepared), qparams_(qparams), diagnostics_(diagnostics) {}

  Result<bool> run() {
    for (const ir::NodeId id : graph_.order())
      if (typed_rule(graph_.node(id)) == TypedRule::product) QUOIN_CHECK(product(id));
    return changed_;
  }

 private:
  std::optional<size_t> group_at(ir::Place place) const {
    const auto found = prepared_.group_of.find(place);
    return found == prepared_.group_of.end() ? std::nullopt : std::optional(found->second);
  }
  // Of the operand itself, or of the result that it reads.
  std::optional<size_t> data_group(ir::NodeId id) const {
    if (const auto own = group_at({id, 0, false})) return own;
    const ir::Value& value = graph_.value(graph_.input(id, 0));
    return value.producer == ir::kNone ? std::nullopt : group_at({value.producer, value.output_index, true});
  }

  Status product(ir::NodeId id) {
    const auto data = data_group(id), weight = group_at({id, 1, false});
    const ir::ValueId constant = graph_.input(id, 1), bias = graph_.input(id, 2);
    if (!data || !weight || !qparams_[*weight] || !graph_.is_constant(constant)) return {};
    const Spec& spec = prepared_.groups[*data].spec;
    const bool dynamic = spec.dynamic;
    if (!dynamic && !fits_data(TypedRule::product, *qparams_[*data])) return {};
    if (!fits_weight(graph_.node(id), *qparams_[*weight], dynamic)) return {};
    ProductSums sums{graph_.node(id), graph_.value(constant).type.shape, *qparams_[*weight], 0, 1, {}};
    sums.data_reach = dynamic ? int64_t{spec.qmax} - spec.qmin : data_reach(*qparams_[*data]);
    if (!dynamic) {
      sums.data_scale = qparams_[*data]->scale[0];
      if (graph_.is_constant(bias) && graph_.value(bias).type.dtype == DType::f32)
        sums.bias = graph_.value(bias).constant->as<float>();
    }
    return check(id, *weight, sums);
  }

  Status check(ir::NodeId id, size_t group, const ProductSums& sums) {
    QUOIN_TRY(auto over, overflowing(sums, nullptr));
    if (over.empty()) return {};
    const Tensor& real = *graph_.value(graph_.input(id, 1)).constant;
    QUOIN_TRY(const Tensor integers, quantize_constant(real, sums.weight));
    QUOIN_TRY(over, overflowing(sums, &integers));
    if (over.empty()) return {};
    if (!is_free(prepared_.groups[group])) {
      report_stuck(id, over.size(), "the scales of its weight are not its own to choose");
      return {};
    }
    return raise(id, group, sums, over, magnitudes(sums, real.as<float>()));
  }

  Status raise(ir::NodeId id, size_t group, const ProductSums& sums, const std::vector<size_t>& over,
               const std::vector<double>& magnitude) {
    QParams raised = sums.weight;
    size_t stuck = 0;
    float factor = 1;
    for (const size_t sum : over) {
      const auto scale = safe_scale(sums, sum, magnitude[sum], prepared_.groups[group].spec.pow2_scale);
      if (!scale) {
        ++stuck;
        continue;
      }
      float& now = raised.scale[sum % raised.scale.size()];
      now = std::max(now, *scale);
      factor = std::max(factor, now / sums.scale_of(sum));
    }
    if (stuck > 0) report_stuck(id, stuck, "it has too many products for any scale");
    if (factor == 1) return {};
    diagnostics_.warn(graph_.describe(id),
                      fmt::format("{} of {} output channels could overflow int32: the scales of their weights are up "
                                  "to {:.3g} times as large as the weights alone would need",
                                  over.size() - stuck, sums.count(), factor),
                      "dead channels with a large bias and wide activations cause this; remove or retrain them, or "
                      "use 8-bit activations");
    qparams_[group] = std::move(raised);
    changed_ = true;
    return {};
  }

  // Observed from constants only: nobody but the products of this weight depends on its scales.
  bool is_free(const Group& group) const {
    return group.spec.kind == SpecKind::observed &&
           std::all_of(group.places.begin(), group.places.end(),
                       [&](ir::Place place) { return graph_.is_constant(value_at(graph_, place)); });
  }
  void report_stuck(ir::NodeId id, size_t count, const char* why) {
    diagnostics_.warn(graph_.describe(id),
                      fmt::format("{} output channels could overflow int32 and {}: it computes in float", count, why),
                      "give its weight an observed spec, or its input fewer bits");
  }

  const ir::Graph& graph_;
  const Prepared& prepared_;
  std::vector<std::optional<QParams>>& qparams_;
  Diagnostics& diagnostics_;
  bool changed_ = false;
};

}  // namespace

int64_t data_reach(const QParams& q) {
  const int64_t zero = q.zero_point_at(0);
  return std::max(std::abs(q.qmin - zero), std::abs(q.qmax - zero));
}

size_t ProductSums::count() const {
  if (weight.scheme == Scheme::per_group) return weight.scale.size();
  const auto channels = static_cast<size_t>(weight_shape[is_transposed(node) ? 1 : 0]);
  return is_transposed(node) ? channels * static_cast<size_t>(get_int(node.attrs, "groups")) : channels;
}

size_t ProductSums::terms() const {
  const size_t sums = count();
  return sums == 0 ? 0 : static_cast<size_t>(numel(weight_shape)) / sums;
}

size_t ProductSums::sum_of(size_t element) const {
  if (!is_transposed(node)) return element / terms();
  const auto channels = static_cast<size_t>(weight_shape[1]), groups = count() / channels;
  size_t window = 1;
  for (size_t i = 2; i < weight_shape.size(); ++i) window *= static_cast<size_t>(weight_shape[i]);
  const size_t group_inputs = static_cast<size_t>(weight_shape[0]) / groups;
  const size_t group = element / window / channels / group_inputs;
  return group * channels + element / window % channels;
}

double ProductSums::bias_steps(size_t sum, float scale) const {
  if (bias.empty()) return 0;
  const float unit = data_scale * scale;
  if (!(unit >= FLT_MIN)) return HUGE_VAL;
  return std::abs(std::nearbyint(static_cast<double>(bias[sum]) / static_cast<double>(unit)));
}

Result<std::vector<size_t>> overflowing(const ProductSums& sums, const Tensor* integers) {
  std::vector<double> weights;
  if (integers != nullptr) {
    QParams unit = sums.weight;
    std::fill(unit.scale.begin(), unit.scale.end(), 1.0f);
    QUOIN_TRY(const Tensor centered, dequantize_constant(*integers, unit));
    weights = magnitudes(sums, centered.as<float>());
  } else {
    weights.assign(sums.count(), static_cast<double>(sums.terms()) * static_cast<double>(weight_reach(sums.weight)));
  }
  std::vector<size_t> out;
  for (size_t sum = 0; sum < weights.size(); ++sum)
    if (!(static_cast<double>(sums.data_reach) * weights[sum] + sums.bias_steps(sum, sums.scale_of(sum)) <= kLimit))
      out.push_back(sum);
  return out;
}

Status guard_products(const ir::Graph& graph, const Prepared& prepared, std::vector<std::optional<QParams>>& qparams,
                      Diagnostics& diagnostics) {
  QUOIN_TRY(const bool changed, Guard(graph, prepared, qparams, diagnostics).run());
  return changed ? derive_qparams(graph, prepared, qparams) : Status{};
}

}  // namespace quoin::quantize
