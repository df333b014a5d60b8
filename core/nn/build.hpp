// From a checkpoint and its configuration to the tree of modules.
#pragma once

#include "base/diagnostics.hpp"
#include "nn/config.hpp"
#include "nn/decoder.hpp"

namespace quoin::nn {

// Checks every tensor by name and shape. Errors (model): those of Weights.
Result<std::unique_ptr<CausalDecoder>> build(checkpoint::Checkpoint checkpoint, const Config& config,
                                             Diagnostics& diagnostics);

}  // namespace quoin::nn
