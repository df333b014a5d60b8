// Calls into a plugin: an error struct to fill, and a net for exceptions that should not come.
#pragma once

#include <string>

#include "base/guard.hpp"
#include "host/table.hpp"

namespace quoin::host {

// For devices: QUOIN_OK, or the fault says what went wrong.
template <class F>
quoin_status call(const char* plugin, Fault& fault, F&& function) {
  quoin_error error{};
  error.struct_size = sizeof error;
  quoin_status status = QUOIN_OK;
#if defined(__cpp_exceptions)
  if (const auto escape = escaped([&] { status = function(&error); })) {
    breach(plugin, *escape, fault);
    return QUOIN_INTERNAL;
  }
#else
  status = function(&error);
#endif
  if (status != QUOIN_OK) plugin_fault(plugin, status, error, fault);
  return status;
}

// The same for functions that give no status (close, destroy, release) and run in destructors: a breach is logged.
template <class F>
void call_last(std::string_view plugin, const quoin_host& host, F&& function) noexcept {
#if defined(__cpp_exceptions)
  const auto breach = escaped(function);
  if (!breach) return;
  static_cast<void>(escaped([&] {
    const std::string line = fmt::format("plugin {}: let an exception escape while it cleaned up: {}", plugin, *breach);
    host.log(host.self, QUOIN_LOG_ERROR, {line.data(), line.size()});
  }));
#else
  static_cast<void>(plugin);
  static_cast<void>(host);
  function();
#endif
}

}  // namespace quoin::host
