// Components of tokenizer.json: normalizers, pre-tokenizers and decoders are each one by its "type", or a sequence of
// them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "json/parse.hpp"

namespace quoin::tokenize {

using json::Place;

// Adds the step, or the steps of the sequence, that `from` describes. `rows` has members `type` and `make`, which reads
// a Place; a sequence lists its items under the key `items`. Errors: unsupported (names the component), model.
template <class Rows, class Step>
Status add_steps(const Place& from, std::string_view component, std::string_view items, const Rows& rows,
                 std::vector<Step>& steps) {
  QUOIN_TRY(const std::string type, from["type"].text());
  if (type == "Sequence") {
    QUOIN_TRY(const std::vector<Place> parts, from[items].items());
    for (const Place& part : parts) QUOIN_CHECK(add_steps(part, component, items, rows, steps));
    return {};
  }
  for (const auto& row : rows) {
    if (row.type != type) continue;
    QUOIN_TRY(Step step, row.make(from));
    steps.push_back(std::move(step));
    return {};
  }
  return from.unsupported(fmt::format("the {} {}", component, type));
}

}  // namespace quoin::tokenize
