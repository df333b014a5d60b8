#include "host/backend.hpp"

#include <string_view>

#include "host/call_result.hpp"

namespace quoin::host {

Status check_table(const quoin_plugin* plugin, const quoin_host& host) {
  Fault fault;
  return check_table(plugin, host, fault) ? Status() : fault.failure();
}

Result<std::shared_ptr<Backend>> Backend::open(const quoin_plugin* plugin, std::shared_ptr<void> library,
                                               const quoin_host& host, quoin_array params) {
  Fault fault;
  quoin_backend* handle = nullptr;
  if (!open_plugin(plugin, host, params, handle, fault)) return fault.failure();
  return std::shared_ptr<Backend>(new Backend(plugin, std::move(library), host, handle));
}

Backend::Backend(const quoin_plugin* plugin, std::shared_ptr<void> library, const quoin_host& host,
                 quoin_backend* handle)
    : library_(std::move(library)), plugin_(plugin), host_(&host), handle_(handle) {}

Backend::~Backend() {
  call_last(plugin_->name, *host_, [&] { plugin_->close(handle_); });
}

std::string Backend::census() const {
  static constexpr std::array<std::string_view, 3> kNames = {"delegate", "observer", "set of kernels"};
  std::string text;
  for (size_t i = 0; i < uses_.size(); ++i)
    if (const uint32_t count = uses_[i].load(); count != 0)
      text += fmt::format("{}{} {}{}", text.empty() ? "" : ", ", count, kNames[i],
                          count == 1 || i == Use::kernels ? "" : "s");
  return text;
}

Use::Use(std::shared_ptr<Backend> backend, Kind kind) : backend_(std::move(backend)), kind_(kind) {
  ++backend_->uses_[kind_];
}

Use::~Use() {
  if (backend_) --backend_->uses_[kind_];
}

CallResult breach_of(const std::string& plugin, const std::string& exception) {
  Fault fault;
  breach(plugin.c_str(), exception, fault);
  return {QUOIN_INTERNAL, fault.failure()};
}

Failure plugin_error(const std::string& plugin, quoin_status status, const quoin_error& error) {
  Fault fault;
  plugin_fault(plugin, status, error, fault);
  return fault.failure();
}

}  // namespace quoin::host
