// What npu_ref quantizes and computes: its presets with their parameters, and one table of rules.
#pragma once

#include <quoin/rules.hpp>

namespace quoin::npu {

const sdk::RuleTable& rules();

// -- presets

inline constexpr std::string_view kInt8 = "int8", kInt16 = "int16";

inline constexpr uint8_t kTrue = 1;
inline constexpr quoin_str kMse = sdk::str("mse"), kMinMax = sdk::str("minmax");
inline constexpr quoin_str kWeightObservers[] = {kMse, kMinMax};

inline constexpr quoin_param_spec weight_observer_spec() {
  quoin_param_spec s = sdk::param_spec("weight_observer", QUOIN_SCOPE_QUANTIZE, kMse,
                                       "how a power of two is chosen for weights: least squared error, or no clipping");
  s.choices = sdk::Array<quoin_str>::of(kWeightObservers);
  return s;
}
inline constexpr quoin_param_spec kParams[] = {
    sdk::param_spec("per_channel", QUOIN_SCOPE_QUANTIZE, kTrue, "one weight scale per output channel"),
    weight_observer_spec(),
};
inline constexpr quoin_preset kPresets[] = {
    {sdk::str(kInt8), sdk::str("int8 activations, int8 weights"), sdk::Array<quoin_param_spec>::of(kParams)},
    {sdk::str(kInt16), sdk::str("int16 activations, int8 weights: closer to float, twice the memory traffic"),
     sdk::Array<quoin_param_spec>::of(kParams)},
};

}  // namespace quoin::npu
