// A quoin_qspec as the host keeps it.
#pragma once

#include <quoin/abi.h>

#include <span>

#include "quantize/annotation.hpp"

namespace quoin::quantize {

// Node ids are indices into `nodes`, those of the request. Errors (plugin): no such node.
Result<ir::Place> place_from(std::span<const ir::NodeId> nodes, quoin_place place);

// `given` may be shorter or longer than this header's struct. Only what the ABI itself can get wrong is checked here:
// unknown codes, null arrays, counts over 1024 source places or 8 axes; Annotations::set checks the rest.
// Errors (plugin).
Result<Spec> spec_from(std::span<const ir::NodeId> nodes, const quoin_qspec* given,
                       const std::shared_ptr<host::Backend>& backend);

}  // namespace quoin::quantize
