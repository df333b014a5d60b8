// What the cpu backend quantizes and computes: its presets with their parameters, and one table of rules.
#pragma once

#include <quoin/rules.hpp>

namespace quoin::cpu {

const sdk::RuleTable& rules();

// -- presets

inline constexpr std::string_view kStatic = "int8-static", kDynamic = "int8-dynamic";

inline constexpr uint8_t kTrue = 1;
inline constexpr int64_t kQmin = -128, kQmax = 127;
inline constexpr quoin_str kPerToken = sdk::str("per_token");
inline constexpr quoin_str kGranularities[] = {kPerToken};

inline constexpr quoin_param_spec granularity_spec() {
  quoin_param_spec s = sdk::param_spec("granularity", QUOIN_SCOPE_QUANTIZE, kPerToken, "rows that share one scale");
  s.choices = sdk::Array<quoin_str>::of(kGranularities);
  return s;
}
inline constexpr quoin_param_spec kStaticParams[] = {
    sdk::param_spec("per_channel", QUOIN_SCOPE_QUANTIZE, kTrue, "one weight scale per output channel"),
    sdk::param_spec("act_qmin", QUOIN_SCOPE_QUANTIZE, kQmin, "smallest activation integer", -128, -1),
    sdk::param_spec("act_qmax", QUOIN_SCOPE_QUANTIZE, kQmax, "largest activation integer", 0, 127),
};
inline constexpr quoin_param_spec kDynamicParams[] = {granularity_spec()};
inline constexpr quoin_preset kPresets[] = {
    {sdk::str(kStatic), sdk::str("int8 activations with calibrated scales, int8 weights"),
     sdk::Array<quoin_param_spec>::of(kStaticParams)},
    {sdk::str(kDynamic), sdk::str("linear layers with int8 weights; activations quantized per token while running"),
     sdk::Array<quoin_param_spec>::of(kDynamicParams)},
};

}  // namespace quoin::cpu
