// Presets and parameters of a recipe, checked against what the plugin declares.
#pragma once

#include <quoin/abi.h>

#include <deque>
#include <string>
#include <vector>

#include "quantize/annotation.hpp"

namespace quoin::quantize {

// The quoin_quant_config records of one request and the storage behind them.
class Configs {
 public:
  // Adds preset and its complete parameters (defaults filled in); returns the index. Equal requests share one.
  // `where` goes into messages. Errors (recipe): unknown preset or parameter (nearest given), wrong type, out of range.
  Result<uint32_t> add(const quoin_quantizer& quantizer, const std::string& preset, const recipe::Params& params,
                       const std::string& where);
  quoin_array view() const {
    return {records_.data(), static_cast<uint32_t>(records_.size()), sizeof(quoin_quant_config)};
  }
  const std::string& preset(uint32_t index) const { return names_[index]; }

 private:
  quoin_param stored(quoin_str name, const recipe::Scalar& scalar, uint32_t kind);

  std::vector<quoin_quant_config> records_;
  std::vector<std::string> names_;
  std::vector<recipe::Params> params_;
  std::deque<std::vector<quoin_param>> lists_;  // deques: records_ points into them
  std::deque<std::string> preset_names_, texts_;
  std::deque<quoin_str> strings_;
  std::deque<uint8_t> flags_;
  std::deque<int64_t> integers_;
  std::deque<double> numbers_;
};

// `params` checked against the declarations `specs` (of quoin_param_spec), defaults filled in. `owner` ("observer x")
// is named in errors. Errors (recipe): unknown parameter (nearest given), wrong type, out of range.
Result<recipe::Params> complete_params(const std::string& owner, quoin_array specs, const recipe::Params& params);

// A parameter value that a plugin passed (observer_params). Errors (plugin): a kind that is not a scalar.
Result<recipe::Scalar> scalar_from(const quoin_param& param);

}  // namespace quoin::quantize
