// Presets of a recipe with their parameters, in the form that a plugin takes.
#pragma once

#include <quoin/abi.h>

#include <deque>
#include <string>
#include <vector>

#include "ops/abi_view.hpp"
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
  std::vector<quoin_quant_config> records_;
  std::vector<std::string> names_;
  std::vector<recipe::Params> params_;  // as given
  std::deque<Attrs> attrs_;             // complete; deques: records_ points into them
  std::deque<std::string> preset_names_;
  AbiParams storage_;
};

}  // namespace quoin::quantize
