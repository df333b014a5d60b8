// Where plugins are looked for, and in which order.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"

namespace quoin::host {

struct Folder {
  std::string path;
  std::string source;    // "--plugin", "QUOIN_PLUGIN_PATH", "build tree", "installed"
  bool expected = true;  // somebody named it: worth a reason when it cannot be read
  std::string ignored;   // why it is not searched; empty: it is
};

// First wins: `named`, then the environment's, then this build tree's, then the installed ones. Never the current
// folder. An entry of `named` may also be a plugin file.
std::vector<Folder> search_folders(const std::vector<std::string>& named, bool environment, bool defaults);

// The build folder that the running executable lies in; "" for an installed one.
std::string build_tree();
// What the running executable was installed to, wherever that was moved since: the folder above its bin.
std::string install_prefix();

// An executable that comes with this build or installation: in `build_folder` of the build tree that the running
// executable lies in, else in libexec/quoin beside its bin, else in the installation's. "": nowhere.
std::string find_helper(const std::string& name, const std::string& build_folder);

// The *.so files in a folder and its direct sub-folders, sorted; or the file itself when `path` is one.
// Errors: not_found, io, limit (too many entries).
Result<std::vector<std::string>> library_files(const std::string& path);

}  // namespace quoin::host
