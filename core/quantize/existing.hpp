// Places that the graph quantizes already: imported QDQ models, and graphs that were converted before and are prepared
// again for another quantizer. They keep their qparams and get no second pair of quantize and dequantize nodes.
#pragma once

#include "quantize/annotation.hpp"

namespace quoin::quantize {

// How a place is quantized, with Spec::existing set; nothing: it is in float. An operand is quantized when a dequantize
// node makes it, a result when only quantize nodes read it (the first one speaks for them).
// A place that does not exist is not quantized. Errors (model): qparams that make no sense.
Result<std::optional<Spec>> existing_spec(const ir::Graph& graph, ir::Place place);

}  // namespace quoin::quantize
