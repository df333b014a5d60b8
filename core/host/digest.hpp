// Digests of plugin files.
#pragma once

#include <string>

#include "host/plugin_file.hpp"

namespace quoin::host {

// SHA-256 of the content, 64 lower-case hex digits: what plugins.sha256 lists. Errors: io.
Result<std::string> sha256(const PluginFile& file);
// To recognize content again: fast, but no protection against forgery. 32 hex digits. Errors: io.
Result<std::string> quick_digest(const PluginFile& file);

}  // namespace quoin::host
