// Short texts of types for messages.
#pragma once

#include "ops/short_text.hpp"
#include "program/view/view.hpp"

namespace quoin::program::view {

// "s8[1, 16](scale 0.02, zero_point -3)": of the longest run.
ShortText type_text(const Value& value);

}  // namespace quoin::program::view
