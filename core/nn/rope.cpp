#include "nn/rope.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace quoin::nn {
namespace {

constexpr double kTheta = 10000;

struct Scaling {
  Keys& keys;
  double theta = kTheta;
  double original = 0;  // positions that the model was trained with
  double factor = 1;

  // A positive finite number.
  Result<double> number(const char* key, std::optional<double> fallback = {}) const {
    const std::string name = std::string("rope_scaling.") + key;
    QUOIN_TRY(std::optional<double> value, keys.number(name));
    if (!value) value = fallback;
    if (!value) return keys.bad(name, "is missing");
    if (!(*value > 0) || !std::isfinite(*value)) return keys.bad(name, fmt::format("{} is not positive", *value));
    return *value;
  }
};

Status linear(const Scaling& scaling, std::vector<double>& frequencies) {
  for (double& frequency : frequencies) frequency /= scaling.factor;
  return {};
}

Status llama3(const Scaling& scaling, std::vector<double>& frequencies) {
  QUOIN_TRY(const double low, scaling.number("low_freq_factor"));
  QUOIN_TRY(const double high, scaling.number("high_freq_factor"));
  if (!(low < high)) return scaling.keys.bad("rope_scaling.high_freq_factor", "must be above low_freq_factor");
  for (double& frequency : frequencies) {
    const double waves = scaling.original * frequency / (2 * std::numbers::pi);  // in the trained length
    const double smooth = std::clamp((waves - low) / (high - low), 0.0, 1.0);
    frequency *= (1 - smooth) / scaling.factor + smooth;
  }
  return {};
}

double mscale(double factor, double weight) { return factor <= 1 ? 1.0 : 0.1 * weight * std::log(factor) + 1.0; }

Result<double> yarn_scale(const Scaling& scaling) {
  Keys& keys = scaling.keys;
  if (keys.has("rope_scaling.attention_factor")) return scaling.number("attention_factor");
  QUOIN_TRY(const auto weight, keys.number("rope_scaling.mscale"));
  QUOIN_TRY(const auto all, keys.number("rope_scaling.mscale_all_dim"));
  if (weight.value_or(0) == 0 || all.value_or(0) == 0) return mscale(scaling.factor, 1);
  return mscale(scaling.factor, *weight) / mscale(scaling.factor, *all);
}

Status yarn(const Scaling& scaling, std::vector<double>& frequencies) {
  QUOIN_TRY(const double fast, scaling.number("beta_fast", 32));
  QUOIN_TRY(const double slow, scaling.number("beta_slow", 1));
  QUOIN_TRY(const auto truncate, scaling.keys.flag("rope_scaling.truncate"));
  const auto dims = static_cast<double>(2 * frequencies.size());
  // The pair that turns `rotations` times in the trained length.
  const auto pair = [&](double rotations) {
    return dims * std::log(scaling.original / (rotations * 2 * std::numbers::pi)) / (2 * std::log(scaling.theta));
  };
  double low = pair(fast), high = pair(slow);
  if (truncate.value_or(true)) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, dims - 1);
  if (low == high) high += 0.001;
  for (size_t i = 0; i < frequencies.size(); ++i) {
    const double ramp = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
    frequencies[i] *= ramp / scaling.factor + (1 - ramp);
  }
  return {};
}

// Two keys name the kind, as files of different ages do.
Result<std::string> scaling_kind(Keys& keys) {
  QUOIN_TRY(const auto type, keys.text("rope_scaling.rope_type"));
  QUOIN_TRY(const auto old, keys.text("rope_scaling.type"));
  return type.value_or(old.value_or("default"));
}

}  // namespace

Result<Rope> read_rope(Keys& keys, int64_t head_dim, int64_t max_positions) {
  if (keys.has("rope_scaling")) return keys.bad("rope_scaling", "must be an object");
  QUOIN_TRY(const auto theta, keys.number("rope_theta"));
  Scaling scaling{keys, theta.value_or(kTheta)};
  if (!(scaling.theta > 1) || !std::isfinite(scaling.theta))
    return keys.bad("rope_theta", fmt::format("{} is not above 1", scaling.theta));
  std::vector<double> frequencies;
  for (int64_t i = 0; i < head_dim; i += 2)
    frequencies.push_back(std::pow(scaling.theta, -static_cast<double>(i) / static_cast<double>(head_dim)));

  Rope out;
  QUOIN_TRY(const std::string kind, scaling_kind(keys));
  if (kind != "default" && kind != "none") {
    QUOIN_TRY(scaling.factor, scaling.number("factor"));
    QUOIN_TRY(scaling.original, scaling.number("original_max_position_embeddings", static_cast<double>(max_positions)));
    keys.has("rope_scaling.finetuned");  // says how the model was made
    if (kind == "linear") {
      QUOIN_CHECK(linear(scaling, frequencies));
    } else if (kind == "llama3") {
      QUOIN_CHECK(llama3(scaling, frequencies));
    } else if (kind == "yarn") {
      QUOIN_CHECK(yarn(scaling, frequencies));
      QUOIN_TRY(out.scale, yarn_scale(scaling));
    } else {
      return keys.bad("rope_scaling.rope_type",
                      fmt::format("\"{}\" is not supported; linear, llama3 and yarn are", kind), Code::unsupported);
    }
  }
  out.frequencies.assign(frequencies.begin(), frequencies.end());
  return out;
}

}  // namespace quoin::nn
