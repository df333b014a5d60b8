// The parts of the graph text that hold types and numbers.
#pragma once

#include "ir/lexer.hpp"
#include "ops/schema.hpp"

namespace quoin::ir {

struct DeclaredType {
  TensorType type;
  uint32_t dynamic = 0;  // bit i: dim i stood behind ".." (Value::dynamic)
};
// dtype "[" dims "]" ["(" qparams ")"]. Errors (model, limit).
Result<DeclaredType> parse_type(Lexer& lexer);
// ["{" key "=" value {"," key "=" value} "}"]; a list without elements is one of integers, one with any number that is
// no integer is one of numbers (complete_attrs knows which is due).
Result<Attrs> parse_attrs(Lexer& lexer);
// "[" numbers "]": the elements of a constant of this type, f32 or integers of at least 8 bits.
Result<Tensor> parse_elements(Lexer& lexer, const TensorType& type);

}  // namespace quoin::ir
