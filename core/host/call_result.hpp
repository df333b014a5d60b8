// Calls into a plugin with errors as results.
#pragma once

#include <string>

#include "host/backend.hpp"
#include "host/call.hpp"

namespace quoin::host {

struct CallResult {
  quoin_status status = QUOIN_OK;
  Status done;  // an error if status is not QUOIN_OK
  bool ok() const { return status == QUOIN_OK; }
};
// Of a plugin that let an exception escape.
CallResult breach_of(const std::string& plugin, const std::string& exception);

// `function(quoin_error*)` is a call of one function of the plugin's tables. A plugin that breaks the contract and
// throws costs an error (plugin), not the process. No allocation when the call succeeds.
template <class F>
CallResult call(const std::string& plugin, F&& function) {
  quoin_error error{};
  error.struct_size = sizeof error;
  quoin_status status = QUOIN_OK;
  const auto breach = escaped([&] { status = function(&error); });
  if (breach) return breach_of(plugin, *breach);
  if (status == QUOIN_OK) return {};
  return {status, plugin_error(plugin, status, error)};
}

}  // namespace quoin::host
