// An opened plugin. Needs no loader: firmware builds make Backends from linked-in tables.
#pragma once

#include <quoin/abi.h>

#include <memory>
#include <string>

#include "base/result.hpp"

namespace quoin::host {

// Negotiation: may this host use the table? Equal ABI major, minor_required <= the host's minor, no table smaller than
// the first release's, mandatory functions present. Errors: plugin_abi (versions), plugin (everything else).
Status check_table(const quoin_plugin* plugin, const quoin_host& host);

// Calls close() on destruction; keeps `library` loaded until then. Shared by everything that uses the plugin.
class Backend {
 public:
  // Negotiates (check_table), then opens. `library` keeps the table mapped (null for linked-in plugins); `params` is a
  // list of quoin_param, `host` must outlive the backend.
  // Errors: as check_table; plugin: open() failed, with the plugin's own words.
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

// Turns a plugin's status and error into ours: "plugin cpu: <its message>". The text is bounded, and bytes that are not
// printable UTF-8 are replaced. Codes: INCOMPATIBLE plugin_abi, OUT_OF_MEMORY limit, CANCELLED cancelled, else plugin.
Error plugin_error(const std::string& plugin, quoin_status status, const quoin_error& error);

}  // namespace quoin::host
