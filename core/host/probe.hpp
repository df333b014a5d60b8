// Loads a plugin in a child process first, so that a crash or a hang in its static initialisers, its entry function or
// its open() is a message with the plugin's name, not the end of the host.
#pragma once

#include <quoin/abi.h>

#include <chrono>
#include <string>

#include "base/result.hpp"
#include "host/plugin_file.hpp"

namespace quoin::host {

struct ProbeOptions {
  std::string helper;  // the quoin-probe executable
  std::string cache;   // folder that remembers which files passed; "": none
  std::chrono::milliseconds timeout{2000};
};

// The helper of this build tree or installation, or "". The cache: $XDG_CACHE_HOME/quoin/probe or ~/.cache/quoin/probe;
// none for a process that has more rights than its user.
ProbeOptions default_probe();

// Load, entry, negotiation, open, close, unload in the child, with the same checks and messages as in this process. The
// child gets the open file, so it tries the bytes that will be loaded. A file that passed before, under the same host
// and instruction sets, is not started again (its content counts, not its name or date). What probing does not give is
// safety from a plugin that means harm.
// Errors: those of read_manifest, load_library, check_table, compare_with_table and Backend::open; plugin (crashed,
// with the signal; no answer in time; ended the process); io (the helper cannot be started). Thread safe.
Status probe(const PluginFile& file, const quoin_host& host, const ProbeOptions& options);

}  // namespace quoin::host
