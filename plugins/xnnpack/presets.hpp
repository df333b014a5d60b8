// Presets of the xnnpack quantizer and their parameters: the arguments of ExecuTorch's
// get_symmetric_quantization_config.
#pragma once

#include <quoin/plugin.hpp>

namespace quoin::xnnpack {

inline constexpr std::string_view kStatic = "int8-static", kDynamic = "int8-dynamic", kFollow = "follow";

// What one quoin_quant_config asks for. Integers are int8; weights are symmetric.
struct Settings {
  bool dynamic = false;               // activations are quantized while running, results stay in float
  bool follow = false;                // quantizes nothing by itself
  bool moving = false;                // ranges are moving averages, as for quantization-aware training
  bool per_channel = false;           // one weight scale per output channel
  bool compatible = false;            // with the defects of the reference, see docs/backends/xnnpack.md
  std::string_view scope = "global";  // what the rule that chose this selects by; read when compatible
  int32_t act_qmin = -128, act_qmax = 127, weight_qmin = -127, weight_qmax = 127;
};
// `is_qat`: the host asks for the specs of quantization-aware training whatever the parameters say.
// Throws Failure: INVALID for a range without integers.
Settings settings_of(const sdk::QuantConfig& config, bool is_qat);

// -- parameter tables

namespace detail {

inline constexpr uint8_t kNo = 0;
inline constexpr int64_t kActQmin = -128, kActQmax = 127, kWeightQmin = -127, kWeightQmax = 127;

inline constexpr quoin_param_spec kCompatible =
    sdk::param_spec("reference_compatible", QUOIN_SCOPE_QUANTIZE, kNo, "repeat the defects of the reference");
inline constexpr quoin_str kScopes[] = {sdk::str("global"), sdk::str("module"), sdk::str("operator")};
inline constexpr quoin_param_spec kScope = [] {
  quoin_param_spec spec = sdk::param_spec("scope", QUOIN_SCOPE_QUANTIZE, kScopes[0],
                                          "with reference_compatible: what this rule selects by");
  spec.choices = sdk::Array<quoin_str>::of(kScopes);
  return spec;
}();
inline constexpr quoin_param_spec kParams[] = {
    sdk::param_spec("per_channel", QUOIN_SCOPE_QUANTIZE, kNo, "one weight scale per output channel"),
    sdk::param_spec("act_qmin", QUOIN_SCOPE_QUANTIZE, kActQmin, "smallest activation integer", -128, 0),
    sdk::param_spec("act_qmax", QUOIN_SCOPE_QUANTIZE, kActQmax, "largest activation integer", 0, 127),
    sdk::param_spec("weight_qmin", QUOIN_SCOPE_QUANTIZE, kWeightQmin, "smallest weight integer", -128, 0),
    sdk::param_spec("weight_qmax", QUOIN_SCOPE_QUANTIZE, kWeightQmax, "largest weight integer", 0, 127),
    sdk::param_spec("is_qat", QUOIN_SCOPE_QUANTIZE, kNo,
                    "ranges follow the data as in quantization-aware training: moving averages"),
    kCompatible,
    kScope,
};
inline constexpr quoin_param_spec kFollowParams[] = {kCompatible};

}  // namespace detail

inline constexpr quoin_preset kPresets[] = {
    {sdk::str(kStatic), sdk::str("int8 activations with calibrated scales, int8 weights"),
     sdk::Array<quoin_param_spec>::of(detail::kParams)},
    {sdk::str(kDynamic), sdk::str("linear and convolution with int8 weights; activations quantized while running"),
     sdk::Array<quoin_param_spec>::of(detail::kParams)},
    {sdk::str(kFollow), sdk::str("only data movement behind quantized nodes; for what no scope selects"),
     sdk::Array<quoin_param_spec>::of(detail::kFollowParams)},
};

}  // namespace quoin::xnnpack
