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
  return fail(Code::strict, "{} warning(s) count as errors:{}", count, text).hint("fix them or leave --strict out");
}

}  // namespace quoin
