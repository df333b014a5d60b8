#include "host/backend.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/utf8.hpp"
#include "host/call.hpp"

namespace quoin::host {
namespace {

std::string_view status_name(quoin_status status) {
  switch (status) {
    case QUOIN_INVALID:
      return "invalid";
    case QUOIN_UNSUPPORTED:
      return "unsupported";
    case QUOIN_NOT_FOUND:
      return "not found";
    case QUOIN_OUT_OF_MEMORY:
      return "out of memory";
    case QUOIN_INCOMPATIBLE:
      return "incompatible";
    case QUOIN_CORRUPT:
      return "corrupt";
    case QUOIN_CANCELLED:
      return "cancelled";
    default:
      return "internal error";
  }
}

Code status_code(quoin_status status) {
  switch (status) {
    case QUOIN_OUT_OF_MEMORY:
      return Code::limit;
    case QUOIN_INCOMPATIBLE:
      return Code::plugin_abi;
    case QUOIN_CANCELLED:
      return Code::cancelled;
    default:
      return Code::plugin;
  }
}

std::string printable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t length = printable_character(text);
    out += length == 0 ? std::string_view("?") : text.substr(0, length);
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  return out;
}

// A list must say where its elements are, and they must reach to the end of what ABI 1.0 defined.
Status check_list(const char* name, quoin_array list, uint32_t smallest) {
  if (list.count == 0 || (list.data != nullptr && list.stride >= smallest)) return {};
  return fail(Code::plugin, "the list of {} has {} entries of {} bytes{}; ABI 1.0 defines {}", name, list.count,
              list.stride, list.data == nullptr ? " at no address" : "", smallest);
}

Status check_lists(const quoin_plugin& p) {
  QUOIN_CHECK(check_list("options", p.options, QUOIN_END_OF(quoin_param_spec, doc)));
  QUOIN_CHECK(check_list("kernels", p.kernels, QUOIN_END_OF(quoin_kernel, release)));
  if (p.quantizer == nullptr) return {};
  QUOIN_CHECK(check_list("presets", p.quantizer->presets, QUOIN_END_OF(quoin_preset, params)));
  QUOIN_CHECK(check_list("passes", p.quantizer->passes, sizeof(quoin_str)));
  if (p.quantizer->struct_size < QUOIN_END_OF(quoin_quantizer, observers)) return {};
  return check_list("observers", p.quantizer->observers, QUOIN_END_OF(quoin_observer, merge));
}

bool is_text(const char* text) { return text != nullptr && *text != '\0'; }

// Every role's table must reach at least to the end of what ABI 1.0 defined, with its mandatory functions present.
const char* broken_role(const quoin_plugin& p) {
  if (const auto* q = p.quantizer; q != nullptr && !QUOIN_HAS(quoin_quantizer, q, annotate))
    return "quantizer.annotate";
  if (const auto* c = p.compiler; c != nullptr && !QUOIN_HAS(quoin_compiler, c, partition)) return "compiler.partition";
  if (const auto* c = p.compiler; c != nullptr && !QUOIN_HAS(quoin_compiler, c, compile)) return "compiler.compile";
  if (const auto* x = p.executor; x != nullptr) {
    if (!QUOIN_HAS(quoin_executor, x, init)) return "executor.init";
    if (!QUOIN_HAS(quoin_executor, x, run)) return "executor.run";
    if (!QUOIN_HAS(quoin_executor, x, destroy)) return "executor.destroy";
  }
  return nullptr;
}

}  // namespace

Status check_table(const quoin_plugin* plugin, const quoin_host& host) {
  if (plugin == nullptr) return fail(Code::plugin, "the entry function returned no plugin table");
  // The version fields are the first 16 bytes in every major: readable before the size is trusted further.
  if (plugin->struct_size < QUOIN_END_OF(quoin_plugin, abi_minor_required)) {
    return fail(Code::plugin, "the plugin table says that it has {} bytes, too few to hold its versions",
                plugin->struct_size);
  }
  if (plugin->abi_major != host.abi_major) {
    return fail(Code::plugin_abi, "built for plugin ABI {}.{}; this host speaks ABI {}", plugin->abi_major,
                plugin->abi_minor, host.abi_major);
  }
  if (plugin->abi_minor_required > host.abi_minor) {
    return fail(Code::plugin_abi, "needs plugin ABI {}.{} or newer; this host speaks {}.{}", plugin->abi_major,
                plugin->abi_minor_required, host.abi_major, host.abi_minor);
  }
  if (plugin->struct_size < QUOIN_END_OF(quoin_plugin, ext)) {
    return fail(Code::plugin, "the plugin table has {} bytes; ABI 1.0 defines {}", plugin->struct_size,
                QUOIN_END_OF(quoin_plugin, ext));
  }
  if (!is_text(plugin->name) || !is_text(plugin->version))
    return fail(Code::plugin, "the plugin table has no name or version");
  if (plugin->open == nullptr || plugin->close == nullptr) {
    return fail(Code::plugin, "the plugin table has no open or no close function");
  }
  if (const char* missing = broken_role(*plugin)) {
    return fail(Code::plugin, "the plugin table offers a role without its function {}", missing);
  }
  return check_lists(*plugin);
}

Result<std::shared_ptr<Backend>> Backend::open(const quoin_plugin* plugin, std::shared_ptr<void> library,
                                               const quoin_host& host, quoin_array params) {
  QUOIN_CHECK(check_table(plugin, host));
  const std::string name = plugin->name;
  quoin_backend* handle = nullptr;
  CallResult opened = call(name, [&](quoin_error* e) { return plugin->open(&host, params, &handle, e); });
  if (!opened.ok()) return std::move(opened.done).failure().at("open");
  if (handle == nullptr) return fail(Code::plugin, "open() reported success without a backend").at("plugin {}", name);
  return std::shared_ptr<Backend>(new Backend(plugin, std::move(library), host, handle));
}

Backend::Backend(const quoin_plugin* plugin, std::shared_ptr<void> library, const quoin_host& host,
                 quoin_backend* handle)
    : library_(std::move(library)), plugin_(plugin), host_(&host), handle_(handle) {}

Backend::~Backend() {
  call_last(name(), *host_, [&] { plugin_->close(handle_); });
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
  return {QUOIN_INTERNAL, fail(Code::plugin, "let an exception escape: {}", exception)
                              .at("plugin {}", plugin)
                              .hint("the plugin breaks the ABI contract; report it to its author")};
}

Failure plugin_error(const std::string& plugin, quoin_status status, const quoin_error& error) {
  const size_t size = std::min<size_t>(error.message_size, sizeof error.message);
  std::string text = printable({error.message, size});
  if (text.empty()) text = fmt::format("failed with status {} and no message", status);
  return fail(status_code(status), "{} ({})", text, status_name(status)).at("plugin {}", plugin);
}

}  // namespace quoin::host
