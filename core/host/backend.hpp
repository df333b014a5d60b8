// An opened plugin. Needs no loader: firmware builds make Backends from linked-in tables.
#pragma once

#include <quoin/abi.h>

#include <array>
#include <atomic>
#include <memory>
#include <string>

#include "base/result.hpp"
#include "host/table.hpp"

namespace quoin::host {

// As check_table of table.hpp.
Status check_table(const quoin_plugin* plugin, const quoin_host& host);

class Use;

// Calls close() on destruction; keeps `library` loaded until then. Shared by everything that uses the plugin: objects
// that the plugin made hold it through a Use, so that it can say what keeps it from being closed.
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
  const quoin_host& host() const { return *host_; }
  // The objects of the plugin that live: "2 delegates, 1 observer"; "" when there are none. Thread safe.
  std::string census() const;

 private:
  friend class Use;
  Backend(const quoin_plugin* plugin, std::shared_ptr<void> library, const quoin_host& host, quoin_backend* handle);
  std::shared_ptr<void> library_;  // destroyed after handle_ was closed
  const quoin_plugin* plugin_;
  const quoin_host* host_;
  quoin_backend* handle_;
  std::array<std::atomic<uint32_t>, 3> uses_{};  // by Use::Kind
};

// One object that a plugin made, or a table of it that something points into: keeps the backend open and counts.
class Use {
 public:
  enum Kind : uint8_t { delegate, observer, kernels };
  Use(std::shared_ptr<Backend> backend, Kind kind);
  Use(Use&& other) noexcept = default;
  Use& operator=(Use&&) = delete;
  ~Use();
  Backend& backend() const { return *backend_; }

 private:
  std::shared_ptr<Backend> backend_;  // null: moved from
  Kind kind_;
};

// As plugin_fault of table.hpp.
Failure plugin_error(const std::string& plugin, quoin_status status, const quoin_error& error);

}  // namespace quoin::host
