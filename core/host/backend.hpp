// An opened plugin. Needs no loader: firmware builds make Backends from linked-in tables.
#pragma once

#include <quoin/abi.h>

#include <memory>
#include <string>

#include "base/result.hpp"

namespace quoin::host {

// Calls close() on destruction; keeps `library` loaded until then. Shared by everything that uses the plugin.
class Backend {
 public:
  // `plugin` is a table that passed negotiation; `library` keeps it mapped (null for linked-in plugins).
  // Errors (plugin): open() failed, with the plugin's own words.
  static Result<std::shared_ptr<Backend>> open(const quoin_plugin* plugin, std::shared_ptr<void> library,
                                               const quoin_host& host, quoin_array params = {});
  ~Backend();
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;

  const quoin_plugin& table() const { return *plugin_; }
  quoin_backend* handle() const { return handle_; }
  std::string name() const { return plugin_->name; }
  std::string version() const { return plugin_->version; }

 private:
  Backend(const quoin_plugin* plugin, std::shared_ptr<void> library, quoin_backend* handle);
  std::shared_ptr<void> library_;  // destroyed after handle_ was closed
  const quoin_plugin* plugin_;
  quoin_backend* handle_;
};

// Turns a plugin's status and error into ours: "plugin cpu: <its message>".
Error plugin_error(const std::string& plugin, quoin_status status, const quoin_error& error);

}  // namespace quoin::host
