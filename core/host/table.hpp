// A plugin's table: may this host use it, opening, and what goes wrong. For devices: no heap memory of ours.
#pragma once

#include <quoin/abi.h>

#include "base/fault.hpp"

namespace quoin::host {

// Negotiation: may this host use the table? Equal ABI major, minor_required <= the host's minor, no table smaller than
// the first release's, mandatory functions present. Errors: plugin_abi (versions), plugin (everything else).
bool check_table(const quoin_plugin* plugin, const quoin_host& host, Fault& fault);

// Negotiates, then opens; the caller closes. `params` is a list of quoin_param, `host` must outlive the backend.
// Errors: as check_table; plugin: open() failed, with the plugin's own words.
bool open_plugin(const quoin_plugin* plugin, const quoin_host& host, quoin_array params, quoin_backend*& out,
                 Fault& fault);

// Turns a plugin's status and error into ours: "plugin cpu: <its message>". The text is bounded, and bytes that are not
// printable UTF-8 are replaced. Codes: INCOMPATIBLE plugin_abi, OUT_OF_MEMORY limit, CANCELLED cancelled, else plugin.
bool plugin_fault(std::string_view plugin, quoin_status status, const quoin_error& error, Fault& fault);

// The error of a plugin that let an exception escape.
bool breach(const char* plugin, std::string_view exception, Fault& fault);

}  // namespace quoin::host
