#pragma once

#include <quoin/rules.hpp>

#include "options.hpp"

namespace quoin::npu {

// Claims what the rules take and what fits this device's memories; declines the rest with reasons.
void partition(const sdk::Graph& graph, const Options& options, sdk::Claims& claims);

// Writes the program (program.hpp) of a claimed graph. Equal graphs and options give equal bytes.
// Throws Failure: UNSUPPORTED when its tensors together exceed the device's memory, INVALID for a graph that the rules
// do not take.
void compile(const sdk::Graph& graph, const Options& options, sdk::Blob& blob);

}  // namespace quoin::npu
