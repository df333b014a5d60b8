// The core delegate registry: finds plugins in folders, reads their manifests, loads them with Boost.DLL.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/diagnostics.hpp"
#include "host/backend.hpp"
#include "host/loader.hpp"
#include "host/manifest.hpp"
#include "host/probe.hpp"
#include "host/services.hpp"

namespace quoin::host {

// A file in a search folder that looked like a plugin: usable, or ignored for a reason. Also a folder that somebody
// named and that cannot be searched.
struct Candidate {
  std::string path;
  Manifest manifest;         // empty name when it could not be read
  std::string source;        // "--plugin" (command line or recipe), "QUOIN_PLUGIN_PATH", "build tree", "installed"
  std::string ignored;       // why it cannot be used; empty: usable
  Code code = Code::plugin;  // of `ignored`
};

using Digests = std::set<std::string>;  // SHA-256 of files, 64 lower-case hex digits each
// The parameters that open() of this table gets, a list of quoin_param that lives as long as the registry.
using OpenParams = std::function<Result<quoin_array>(const quoin_plugin& table)>;

struct SearchOptions {
  std::vector<std::string> folders;  // first wins; from the command line, then the recipe; may name plugin files too
  bool environment = true;           // QUOIN_PLUGIN_PATH (not when privileged)
  bool defaults = true;              // the plugins of this build tree, then the installed folder
  std::optional<ProbeOptions> probe = default_probe();  // nothing: plugins are opened without a trial process
  std::optional<Digests> listed{};                      // the only files that may be loaded; nothing: any
  OpenParams params{};                                  // empty: none
};

// Thread safe after discover(). Libraries stay loaded until unload(), or until the registry and all backends are gone.
// `services` must outlive both.
class Registry {
 public:
  static Registry discover(const SearchOptions& options, const Services& services);
  const std::vector<Candidate>& candidates() const { return candidates_; }  // in search order
  std::vector<std::string> names() const;                                   // usable ones
  // Gives every usable plugin a trial in a child process; those that fail are ignored from then on, with the reason.
  void try_out();
  // Opens a plugin by name, after a trial in a child process; a second call with the same name returns the same
  // backend. Every check is made again on the file that is loaded; under SearchOptions::listed that is a sealed copy.
  // Errors: plugin (no such name, with the nearest; ignored candidates of that name with their reason; load failure),
  // plugin_abi; those of probe() and of SearchOptions::params.
  Result<std::shared_ptr<Backend>> open(const std::string& name);
  // Closes a plugin and makes sure that its library is gone from the process; open() loads it anew. No open() can come
  // between. Errors (plugin): not open; in use, with what lives (it stays open then); closed, but its library stays in
  // memory, with the reason.
  Status unload(const std::string& name);

 private:
  struct Opened {
    Library library;
    std::shared_ptr<Backend> backend;
  };
  void consider(const std::string& path, const std::string& source);
  Result<PluginFile> file_of(const Candidate& candidate) const;
  Error not_usable(const std::string& name) const;
  Status trial(const PluginFile& file) const;
  Result<Library> load(const Candidate& candidate) const;

  std::vector<Candidate> candidates_;
  std::vector<std::string> searched_;  // folders, for messages
  std::optional<ProbeOptions> probe_;
  std::optional<Digests> listed_;
  OpenParams params_;
  std::map<std::string, Opened> opened_;
  std::unique_ptr<std::mutex> mutex_ =
      std::make_unique<std::mutex>();  // of opened_; apart, so that a registry can move
  const quoin_host* host_ = nullptr;
};

}  // namespace quoin::host
