// What the child process tells the kit: one line of JSON per event.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "conform/group.hpp"

namespace quoin::conform {

struct Event {
  enum Kind { cases, begin, end, done } kind = done;
  uint64_t number = 0;  // cases: how many the group has; begin, end: which one, from 0
  std::string name;     // begin: of the case
  Verdict verdict;      // end
};

std::string write_event(const Event& event);  // with the line feed; details are cut at 4 KiB and made printable
// Nothing for a line that is no event: the plugin under test may have written to the pipe.
std::optional<Event> read_event(std::string_view line);

}  // namespace quoin::conform
