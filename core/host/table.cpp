#include "host/table.hpp"

#include <algorithm>
#include <iterator>

#include "base/utf8.hpp"
#include "host/call.hpp"

namespace quoin::host {
namespace {

const char* status_name(quoin_status status) {
  static constexpr char kNames[][16] = {
      "", "invalid", "unsupported", "not found", "out of memory", "incompatible", "corrupt", "cancelled"};
  return status > 0 && static_cast<size_t>(status) < std::size(kNames) ? kNames[status] : "internal error";
}

// A plugin's message in printable characters.
struct ShortMessage {
  char text[248];
  size_t size = 0;
};

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

// Cut after what fits.
ShortMessage printable(std::string_view text) {
  ShortMessage out;
  while (!text.empty() && out.size < sizeof out.text - 4) {
    const size_t length = printable_character(text);
    out.size += (length == 0 ? std::string_view("?") : text.substr(0, length)).copy(out.text + out.size, 4);
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  return out;
}

// A list must say where its elements are, and they must reach to the end of what ABI 1.0 defined.
bool check_list(const char* name, quoin_array list, uint32_t smallest, Fault& fault) {
  if (list.count == 0 || (list.data != nullptr && list.stride >= smallest)) return true;
  return fault.fail(Code::plugin, "the list of {} has {} entries of {} bytes{}; ABI 1.0 defines {}", name, list.count,
                    list.stride, list.data == nullptr ? " at no address" : "", smallest);
}

bool check_lists(const quoin_plugin& p, Fault& fault) {
  if (!check_list("options", p.options, QUOIN_END_OF(quoin_param_spec, doc), fault) ||
      !check_list("kernels", p.kernels, QUOIN_END_OF(quoin_kernel, release), fault))
    return false;
  if (p.quantizer == nullptr) return true;
  if (!check_list("presets", p.quantizer->presets, QUOIN_END_OF(quoin_preset, params), fault) ||
      !check_list("passes", p.quantizer->passes, sizeof(quoin_str), fault))
    return false;
  return p.quantizer->struct_size < QUOIN_END_OF(quoin_quantizer, observers) ||
         check_list("observers", p.quantizer->observers, QUOIN_END_OF(quoin_observer, merge), fault);
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

bool check_table(const quoin_plugin* plugin, const quoin_host& host, Fault& fault) {
  const auto fail = [&](const char* what) { return fault.fail(Code::plugin, "{}", what); };
  if (plugin == nullptr) return fail("the entry function returned no plugin table");
  // The version fields are the first 16 bytes in every major: readable before the size is trusted further.
  if (plugin->struct_size < QUOIN_END_OF(quoin_plugin, abi_minor_required))
    return fault.fail(Code::plugin, "the plugin table says that it has {} bytes, too few to hold its versions",
                      plugin->struct_size);
  if (plugin->abi_major != host.abi_major)
    return fault.fail(Code::plugin_abi, "built for plugin ABI {}.{}; this host speaks ABI {}", plugin->abi_major,
                      plugin->abi_minor, host.abi_major);
  if (plugin->abi_minor_required > host.abi_minor)
    return fault.fail(Code::plugin_abi, "needs plugin ABI {}.{} or newer; this host speaks {}.{}", plugin->abi_major,
                      plugin->abi_minor_required, host.abi_major, host.abi_minor);
  if (plugin->struct_size < QUOIN_END_OF(quoin_plugin, ext))
    return fault.fail(Code::plugin, "the plugin table has {} bytes; ABI 1.0 defines {}", plugin->struct_size,
                      QUOIN_END_OF(quoin_plugin, ext));
  if (!is_text(plugin->name) || !is_text(plugin->version)) return fail("the plugin table has no name or version");
  if (plugin->open == nullptr || plugin->close == nullptr)
    return fail("the plugin table has no open or no close function");
  if (const char* missing = broken_role(*plugin))
    return fault.fail(Code::plugin, "the plugin table offers a role without its function {}", missing);
  return check_lists(*plugin, fault);
}

bool open_plugin(const quoin_plugin* plugin, const quoin_host& host, quoin_array params, quoin_backend*& out,
                 Fault& fault) {
  if (!check_table(plugin, host, fault)) return false;
  out = nullptr;
  const auto body = [&](quoin_error* error) { return plugin->open(&host, params, &out, error); };
  if (call(plugin->name, fault, body) != QUOIN_OK) return fault.at("open");
  if (out != nullptr) return true;
  fault.fail(Code::plugin, "open() reported success without a backend");
  return fault.at("plugin {}", plugin->name);
}

bool breach(const char* plugin, std::string_view exception, Fault& fault) {
  fault.fail(Code::plugin, "let an exception escape: {}", exception);
  fault.at("plugin {}", plugin);
  return fault.hint("the plugin breaks the ABI contract; report it to its author");
}

bool plugin_fault(std::string_view plugin, quoin_status status, const quoin_error& error, Fault& fault) {
  const ShortMessage text = printable({error.message, std::min<size_t>(error.message_size, sizeof error.message)});
  if (text.size == 0)
    fault.fail(status_code(status), "failed with status {} and no message ({})", status, status_name(status));
  else
    fault.fail(status_code(status), "{} ({})", std::string_view(text.text, text.size), status_name(status));
  return fault.at("plugin {}", plugin);
}

}  // namespace quoin::host
