// What a plugin's tables declare, read as a host reads them: options, presets, observers, kernels, texts.
#pragma once

#include <quoin/abi.h>

#include <string>

namespace quoin::conform {

// Each gives the first fault in words, or "". The table passed host::check_table.
std::string check_declarations(const quoin_plugin& plugin);  // every list of quoin_param_spec: names, ranges, defaults
std::string check_arrays(const quoin_plugin& plugin);        // strides, null data, what a role needs beside functions
std::string check_texts(const quoin_plugin& plugin);         // every text is there and is UTF-8
std::string check_kernels(const quoin_plugin& plugin);       // signatures, element types, functions, names
std::string check_extensions(const quoin_plugin& plugin);    // the chain ends, every link has a name

}  // namespace quoin::conform
