// The patterns that the quantizer looks for, in the order in which it does.
#pragma once

#include <quoin/rules.hpp>

namespace quoin::xnnpack {

enum class Kind {
  layer,     // data, weight, optional bias
  pool,      // one scale for operand and result, of its own where the operand has none
  binary,    // two operands and a result with a scale each
  join,      // all operands and the result have one scale
  movement,  // the scale of the operand, if that has one
};

struct Step {
  sdk::Rule rule;  // its presets are those that look for the pattern
  Kind kind;
  bool weights_filtered = false;  // in the reference a module filter sees (and rejects) the weights of the pattern
};

std::span<const Step> steps();
// The steps as a table: the extension that describes the quantizer.
const sdk::RuleTable& rules();

bool serves(const sdk::Rule& rule, std::string_view preset);

}  // namespace quoin::xnnpack
