#pragma once

#include <map>

#include "interpret/interpreter.hpp"
#include "ir/graph.hpp"

namespace quoin::property {

// A node of a typed graph whose result has qparams, other than conversions.
bool computes_on_integers(const ir::Graph& typed, ir::NodeId id);

// What the QDQ form says about one node: dequantize the operands, compute in float, quantize. The largest distance, in
// steps, of the integers that the typed graph computed; `seen` holds what it computed.
Result<int64_t> steps_from_real(const ir::Graph& typed, ir::NodeId id, const std::map<ir::ValueId, Tensor>& seen,
                                const quoin_host& host);

}  // namespace quoin::property
