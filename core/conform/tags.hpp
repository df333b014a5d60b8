// What conform.yaml expects, applied to what happened.
#pragma once

#include "base/diagnostics.hpp"
#include "conform/conform.hpp"
#include "recipe/pattern.hpp"

namespace quoin::conform {

class Tags {
 public:
  // Errors (recipe): a pattern that is none, with its place.
  static Result<Tags> parse(const Expectations& expectations);
  // `whole`: every group ran, so a tag that matches no case is worth a note.
  void apply(std::vector<CaseResult>& cases, bool whole, Diagnostics& diagnostics) const;

 private:
  struct Row {
    Tag tag;
    recipe::Pattern pattern;
    bool xfail = false;
  };
  std::vector<Row> rows_;  // the first that matches a case decides
};

}  // namespace quoin::conform
