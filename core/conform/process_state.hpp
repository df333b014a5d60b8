// What a plugin must leave as it found it.
#pragma once

#include <cstddef>
#include <map>
#include <string>

namespace quoin::conform {

// One text per property: "locale" -> "C", "descriptor 5" -> "/dev/null", "handler of SIGUSR1" -> "default".
using ProcessState = std::map<std::string, std::string>;

// Of this process and thread. Descriptors of the file `plugin` are left out: the loader keeps one while it is loaded.
ProcessState process_state(const std::string& plugin);

size_t thread_count();  // of this process

// "" or what changed: "locale: \"C\", then \"C.UTF-8\"; descriptor 5: opened (/dev/null)".
std::string difference(const ProcessState& before, const ProcessState& after);

}  // namespace quoin::conform
