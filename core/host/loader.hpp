// The only place that loads code at run time; Boost.DLL stays behind it.
#pragma once

#include <quoin/abi.h>

#include <memory>
#include <string>

#include "base/result.hpp"
#include "host/plugin_file.hpp"

namespace quoin::host {

class LoadedFile;  // a library and the file that it came from

struct Library {
  std::shared_ptr<LoadedFile> keep;  // the library stays mapped while a copy lives; its table is part of it
  const quoin_plugin* table = nullptr;
};

// Loads with all symbols resolved now and kept private, then calls the entry function. `file` must have passed
// read_manifest: the dynamic loader trusts it. The path form opens and loads what is there, without that check.
// Errors: plugin (missing dependency or symbol, named; no entry function; refused with the plugin's words), plugin_abi;
// those of PluginFile::load_name and PluginFile::open.
Result<Library> load_library(PluginFile file, const quoin_host& host);
Result<Library> load_library(const std::string& path, const quoin_host& host);

// Unloads and makes sure that the library is gone from the process. Nothing of the plugin may be in use: close its
// backends first. Errors (plugin): others still hold `library`; it stays mapped, with the reason. The handle is given
// up in both cases.
Status unload_library(Library library);

}  // namespace quoin::host
