// The core delegate registry: finds plugins in folders, reads their manifests, loads them with Boost.DLL.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/diagnostics.hpp"
#include "host/backend.hpp"
#include "host/services.hpp"

namespace quoin::host {

// The JSON in the plugin's ELF note (docs/abi.md). Read without running any of the plugin's code.
struct Manifest {
  std::string name, version, vendor;
  uint32_t abi_major = 0, abi_minor = 0, abi_minor_required = 0;
  std::vector<std::string> roles, isa_required;
};

// Bounded ELF reader; never crashes on a hostile file. Errors: not_found, plugin (not a plugin, damaged).
Result<Manifest> read_manifest(const std::string& path);

// A file in a search folder that looked like a plugin: usable, or ignored for a reason.
struct Candidate {
  std::string path;
  Manifest manifest;         // empty name when it could not be read
  std::string source;        // "--plugin", "recipe", "QUOIN_PLUGIN_PATH", "build tree", "installed"
  std::string ignored;       // why it cannot be used; empty: usable
  Code code = Code::plugin;  // of `ignored`
};

struct SearchOptions {
  std::vector<std::string> folders;  // first wins; from the command line, then the recipe
  bool environment = true;           // QUOIN_PLUGIN_PATH (not when privileged)
  bool defaults = true;              // the plugins of this build tree, then the installed folder
};

// Thread safe after discover(). Libraries stay resident until the registry and all backends are gone.
class Registry {
 public:
  static Registry discover(const SearchOptions& options, const Services& services);
  const std::vector<Candidate>& candidates() const { return candidates_; }
  std::vector<std::string> names() const;  // usable ones
  // Opens a plugin by name; a second call with the same name returns the same backend.
  // Errors: plugin (no such name, with the nearest; ignored candidates of that name with their reason; load failure),
  // plugin_abi.
  Result<std::shared_ptr<Backend>> open(const std::string& name);

 private:
  std::vector<Candidate> candidates_;
  std::map<std::string, std::shared_ptr<Backend>> opened_;
  const quoin_host* host_ = nullptr;
};

}  // namespace quoin::host
