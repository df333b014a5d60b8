// The only place that loads code at run time; Boost.DLL stays behind it.
#pragma once

#include <quoin/abi.h>

#include <memory>
#include <string>

#include "base/result.hpp"

namespace quoin::host {

struct Library {
  std::shared_ptr<void> keep;  // the library stays mapped while a copy lives
  const quoin_plugin* table = nullptr;
};

// Loads with all symbols resolved now and kept private, then calls the entry function. `path` must have passed
// read_manifest: the dynamic loader trusts the file.
// Errors: plugin (missing dependency or symbol, named; no entry function; refused with the plugin's words), plugin_abi.
Result<Library> load_library(const std::string& path, const quoin_host& host);

}  // namespace quoin::host
