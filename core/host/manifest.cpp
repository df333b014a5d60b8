#include "host/manifest.hpp"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "host/elf_file.hpp"
#include "host/plugin_name.hpp"
#include "host/services.hpp"

namespace quoin::host {
namespace {

using nlohmann::json;

constexpr std::string_view kVendor{"QUN", 4};  // with its terminator, as in the note
constexpr uint64_t kMaxManifest = 64u << 10;
constexpr size_t kMaxText = 64;   // of a name, version, vendor, role
constexpr size_t kMaxItems = 32;  // of a list

bool plain_text(const json& value) {
  if (!value.is_string()) return false;
  const auto& text = value.get_ref<const std::string&>();
  const auto printable = [](char c) { return c >= 0x20 && c < 0x7f; };
  return !text.empty() && text.size() <= kMaxText && std::all_of(text.begin(), text.end(), printable);
}

Result<std::string> text_field(const json& object, const char* key, bool required) {
  const auto found = object.find(key);
  if (found == object.end() && !required) return std::string();
  if (found == object.end() || !plain_text(*found)) {
    return fail(Code::plugin, "its manifest has no usable \"{}\": expected a text of 1 to {} printable characters", key,
                kMaxText);
  }
  return found->get<std::string>();
}

Result<uint32_t> number_field(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_unsigned() ||
      found->get<uint64_t>() > std::numeric_limits<uint32_t>::max()) {
    return fail(Code::plugin, "its manifest has no usable \"abi.{}\": expected a whole number", key);
  }
  return found->get<uint32_t>();
}

Result<std::vector<std::string>> list_field(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end()) return std::vector<std::string>();
  if (!found->is_array() || found->size() > kMaxItems || !std::all_of(found->begin(), found->end(), plain_text)) {
    return fail(Code::plugin, "its manifest has no usable \"{}\": expected a list of at most {} texts", key, kMaxItems);
  }
  return found->get<std::vector<std::string>>();
}

Result<Manifest> parse_manifest(std::string_view text) {
  text = text.substr(0, text.find_last_not_of('\0') + 1);
  const json object = json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return fail(Code::plugin, "its manifest is not a JSON object");
  Manifest m;
  QUOIN_TRY(m.name, text_field(object, "name", true));
  if (!is_plugin_name(m.name)) return fail(Code::plugin, "its manifest names it \"{}\"; {}", m.name, kPluginNameRule);
  QUOIN_TRY(m.version, text_field(object, "version", true));
  QUOIN_TRY(m.vendor, text_field(object, "vendor", false));
  const auto abi = object.find("abi");
  if (abi == object.end() || !abi->is_object())
    return fail(Code::plugin, "its manifest has no usable \"abi\": expected an object");
  QUOIN_TRY(m.abi_major, number_field(*abi, "major"));
  QUOIN_TRY(m.abi_minor, number_field(*abi, "minor"));
  QUOIN_TRY(m.abi_minor_required, number_field(*abi, "minor_required"));
  QUOIN_TRY(m.roles, list_field(object, "roles"));
  QUOIN_TRY(m.isa_required, list_field(object, "isa_required"));
  return m;
}

std::vector<std::string> table_roles(const quoin_plugin& table) {
  std::vector<std::string> roles;
  if (table.quantizer != nullptr) roles.emplace_back("quantizer");
  if (table.compiler != nullptr) roles.emplace_back("compiler");
  if (table.executor != nullptr) roles.emplace_back("executor");
  if (table.kernels.count != 0) roles.emplace_back("kernels");
  return roles;
}

template <class T>
Status same(const char* field, const T& manifest, const T& table) {
  if (manifest == table) return {};
  return fail(Code::plugin, "manifest and table differ: {} is {} in the manifest and {} in the table", field, manifest,
              table)
      .hint("rebuild the plugin");
}

}  // namespace

Result<Manifest> read_manifest(const PluginFile& plugin) {
  QUOIN_TRY(const ElfFile file, ElfFile::open(plugin.descriptor(), plugin.size()));
  QUOIN_TRY(const std::string text, file.note({kVendor, QUOIN_NOTE_TYPE}, kMaxManifest));
  return parse_manifest(text);
}

Result<Manifest> read_manifest(const std::string& path) {
  QUOIN_TRY(const PluginFile plugin, PluginFile::open(path));
  return read_manifest(plugin);
}

Status check_manifest(const Manifest& m, const quoin_host& host) {
  if (m.abi_major != host.abi_major) {
    return fail(Code::plugin_abi, "built for plugin ABI {}.{}; this host speaks ABI {}", m.abi_major, m.abi_minor,
                host.abi_major)
        .hint("rebuild the plugin against this host's SDK");
  }
  if (m.abi_minor_required > host.abi_minor) {
    return fail(Code::plugin_abi, "needs plugin ABI {}.{} or newer; this host speaks {}.{}", m.abi_major,
                m.abi_minor_required, host.abi_major, host.abi_minor)
        .hint("update Quoin, or use an older version of the plugin");
  }
  for (const std::string& name : m.isa_required) {
    auto bits = parse_isa(name);
    if (!bits) return fail(Code::plugin, "needs the instruction set \"{}\", which this host does not know", name);
    if ((*bits & ~host.isa) != 0) {
      return fail(Code::plugin, "needs the instruction set {}; this machine, or QUOIN_ISA_MAX, allows {}", name,
                  isa_name(host.isa));
    }
  }
  return {};
}

Status compare_with_table(const Manifest& m, const quoin_plugin& table) {
  QUOIN_CHECK(same<std::string>("the name", m.name, table.name));
  QUOIN_CHECK(same<std::string>("the version", m.version, table.version));
  QUOIN_CHECK(same("abi.major", m.abi_major, table.abi_major));
  QUOIN_CHECK(same("abi.minor", m.abi_minor, table.abi_minor));
  QUOIN_CHECK(same("abi.minor_required", m.abi_minor_required, table.abi_minor_required));
  std::vector<std::string> promised = m.roles, offered = table_roles(table);
  std::sort(promised.begin(), promised.end());
  std::sort(offered.begin(), offered.end());
  return same("the list of roles", "[" + join(promised, ", ") + "]", "[" + join(offered, ", ") + "]");
}

}  // namespace quoin::host
