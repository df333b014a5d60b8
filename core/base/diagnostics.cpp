#include "base/diagnostics.hpp"

namespace quoin {

Status Diagnostics::strict() const {
  std::string text;
  size_t count = 0;
  for (const Note& note : notes()) {
    if (note.level != Level::warning) continue;
    ++count;
    text += "\n  " + note.text();
  }
  if (count == 0) return {};
  return fail(Error{Code::strict,
                    fmt::format("{} warning(s) count as errors:{}", count, text),
                    {},
                    "fix them or leave --strict out"});
}

}  // namespace quoin
