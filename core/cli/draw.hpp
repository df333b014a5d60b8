// A graph with its verdicts and specs as a Graphviz drawing.
#pragma once

#include <string>

#include "flow/flow.hpp"

namespace quoin::cli {

// DOT text: nodes coloured by verdict, modules as boxes, specs on edges, the specs of constants inside nodes, reasons
// and complete specs as tooltips, a legend with counts. `prepared` says which places share their qparams. The same
// graph gives the same text; names may hold anything.
std::string draw(const flow::Annotated& annotated, const quantize::Prepared& prepared, const std::string& title);

}  // namespace quoin::cli
