// What a plugin file says about itself, and whether this host may use it; none of the plugin's code runs for that.
#pragma once

#include <quoin/abi.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "host/plugin_file.hpp"

namespace quoin::host {

// The JSON in the plugin's ELF note (docs/abi.md).
struct Manifest {
  std::string name, version, vendor;
  uint32_t abi_major = 0, abi_minor = 0, abi_minor_required = 0;
  std::vector<std::string> roles, isa_required;
};

// Bounded ELF reader; never crashes on a hostile file. Errors: plugin (not a plugin, damaged), io; those of
// PluginFile::open for a path. The caller puts the path in front.
Result<Manifest> read_manifest(const PluginFile& file);
Result<Manifest> read_manifest(const std::string& path);

// The rules of docs/abi.md that need no code of the plugin. `isa`: QUOIN_ISA_* bits of this host.
// Errors: plugin_abi (versions), plugin (instruction set missing).
Status check_manifest(const Manifest& manifest, const quoin_host& host);

// The table must say what the manifest said. Errors (plugin): the first field that differs, with both values.
Status compare_with_table(const Manifest& manifest, const quoin_plugin& table);

}  // namespace quoin::host
