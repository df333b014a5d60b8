// The core delegate registry: finds plugins in folders, reads their manifests, loads them with Boost.DLL.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/diagnostics.hpp"
#include "host/backend.hpp"
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

struct SearchOptions {
  std::vector<std::string> folders;  // first wins; from the command line, then the recipe; may name plugin files too
  bool environment = true;           // QUOIN_PLUGIN_PATH (not when privileged)
  bool defaults = true;              // the plugins of this build tree, then the installed folder
  std::optional<ProbeOptions> probe = default_probe();  // nothing: plugins are opened without a trial process
};

// Thread safe after discover(). Libraries stay resident until the registry and all backends are gone. `services` must
// outlive both.
class Registry {
 public:
  static Registry discover(const SearchOptions& options, const Services& services);
  const std::vector<Candidate>& candidates() const { return candidates_; }  // in search order
  std::vector<std::string> names() const;                                   // usable ones
  // Gives every usable plugin a trial in a child process; those that fail are ignored from then on, with the reason.
  void try_out();
  // Opens a plugin by name, after a trial in a child process; a second call with the same name returns the same
  // backend.
  // Errors: plugin (no such name, with the nearest; ignored candidates of that name with their reason; load failure),
  // plugin_abi; those of probe().
  Result<std::shared_ptr<Backend>> open(const std::string& name);

 private:
  void consider(const std::string& path, const std::string& source);
  Error not_usable(const std::string& name) const;
  Status trial(const Candidate& candidate) const;
  Result<std::shared_ptr<Backend>> load(const Candidate& candidate) const;

  std::vector<Candidate> candidates_;
  std::vector<std::string> searched_;  // folders, for messages
  std::optional<ProbeOptions> probe_;
  std::map<std::string, std::shared_ptr<Backend>> opened_;
  std::unique_ptr<std::mutex> mutex_ =
      std::make_unique<std::mutex>();  // of opened_; apart, so that a registry can move
  const quoin_host* host_ = nullptr;
};

}  // namespace quoin::host
