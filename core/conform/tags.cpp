#include "conform/tags.hpp"

#include <algorithm>

namespace quoin::conform {
namespace {

void apply_one(CaseResult& result, const Tag& tag, bool xfail, Diagnostics& diagnostics) {
  const std::string name = result.group + "/" + result.name;
  if (result.outcome == Outcome::fail) {
    result.outcome = xfail ? Outcome::xfail : Outcome::unsupported;
    result.tag = tag.reason;
  } else if (result.outcome == Outcome::pass && xfail) {
    result.outcome = Outcome::xpass;
    result.tag = tag.reason;
    result.detail = fmt::format("passed, but {} expects it to fail; take the tag away", tag.place);
  } else if (result.outcome == Outcome::pass && tag.cases == name) {
    diagnostics.warn(tag.place, fmt::format("{} is tagged unsupported, but it passes", name), "take the tag away");
  }
}

}  // namespace

Result<Tags> Tags::parse(const Expectations& expectations) {
  Tags tags;
  for (const auto* list : {&expectations.unsupported, &expectations.xfail})
    for (const Tag& tag : *list) {
      auto pattern = recipe::Pattern::parse(tag.cases);
      if (!pattern) return std::move(pattern).failure().at("{}", tag.place);
      tags.rows_.push_back({tag, std::move(*pattern), list == &expectations.xfail});
    }
  return tags;
}

void Tags::apply(std::vector<CaseResult>& cases, bool whole, Diagnostics& diagnostics) const {
  std::vector<bool> used(rows_.size());
  for (CaseResult& result : cases) {
    const auto row = std::ranges::find_if(
        rows_, [&](const Row& candidate) { return candidate.pattern.matches(result.group + "/" + result.name); });
    if (row == rows_.end()) continue;
    used[static_cast<size_t>(row - rows_.begin())] = true;
    apply_one(result, row->tag, row->xfail, diagnostics);
  }
  for (size_t i = 0; i < rows_.size(); ++i)
    if (whole && !used[i])
      diagnostics.warn(rows_[i].tag.place, fmt::format("no case matches \"{}\"", rows_[i].tag.cases),
                       "cases are called GROUP/CASE; the report lists them");
}

}  // namespace quoin::conform
