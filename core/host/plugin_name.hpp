// The rule for names of plugins: manifests and `quoin plugin new` keep it.
#pragma once

#include <algorithm>
#include <string_view>

namespace quoin::host {

inline constexpr size_t kMaxPluginName = 64;
inline constexpr const char* kPluginNameRule =
    "a name has 1 to 64 characters, only a-z, 0-9, '-', '_' and '.', and no '.' or '-' in front";

inline bool in_plugin_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}
inline bool is_plugin_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxPluginName && std::ranges::all_of(name, in_plugin_name) &&
         name.front() != '.' && name.front() != '-';
}

}  // namespace quoin::host
