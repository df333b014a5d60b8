// Symbolic sizes: binding symbols to numbers, and the arithmetic that torch.export writes over them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "import/import.hpp"

namespace quoin::import {

struct Range {
  int64_t min = 0;
  std::optional<int64_t> max;
};

class Dims {
 public:
  // Both must outlive the object.
  Dims(const Options& options, Diagnostics& diagnostics) : options_(options), diagnostics_(diagnostics) {}

  // Size of the symbol: from the options, else 1 (or the least size the model allows, if that is over 2: torch.export
  // writes 2 also where 1 works). The first call for a symbol notes its range and how to choose. `where` says which
  // input and axis it sizes. Errors (input): the options ask for a size outside the range.
  Result<int64_t> bind(const std::string& symbol, Range range, const std::string& where);
  // Value of an expression such as "2*s77 + 1" or "FloorDiv(s0, 2)" over bound symbols.
  // Errors: model (syntax, overflow, division by zero), unsupported (unbound symbol, other function).
  Result<int64_t> evaluate(std::string_view expression) const;
  // Warns of every size in the options that no symbol asked for.
  void report_unused(const std::string& file) const;

 private:
  const Options& options_;
  Diagnostics& diagnostics_;
  std::map<std::string, int64_t, std::less<>> bound_;
};

}  // namespace quoin::import
