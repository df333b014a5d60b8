// Calls into a plugin: an error struct to fill, and a net for exceptions that should not come.
#pragma once

#include <exception>
#include <string>

#include "host/backend.hpp"

namespace quoin::host {

struct CallResult {
  quoin_status status = QUOIN_OK;
  Error error;  // meaningful when status is not QUOIN_OK
  bool ok() const { return status == QUOIN_OK; }
};

// `function(quoin_error*)` is a call of one function of the plugin's tables. A plugin that breaks the contract and
// throws costs an error (plugin), not the process. No allocation when the call succeeds.
template <class F>
CallResult call(const std::string& plugin, F&& function) {
  quoin_error error{};
  error.struct_size = sizeof error;
  const auto escaped = [&](const char* what) {
    return CallResult{QUOIN_INTERNAL,
                      Error{Code::plugin, fmt::format("let an exception escape: {}", what), "plugin " + plugin,
                            "the plugin breaks the ABI contract; report it to its author"}};
  };
  try {
    const quoin_status status = function(&error);
    if (status == QUOIN_OK) return {};
    return {status, plugin_error(plugin, status, error)};
  } catch (const std::exception& e) {
    return escaped(e.what());
  } catch (...) {
    return escaped("of a type not derived from std::exception");
  }
}

}  // namespace quoin::host
