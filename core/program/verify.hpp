// Parts of verify(): what makes a type, a graph and a memory plan legal.
#pragma once

#include "program/model.hpp"

namespace quoin::program {

// Element type, shape, and qparams: count, finite positive scales, ranges inside the storage type. Errors: program,
// limit.
Status verify_type(const TensorType& type);

// `calls[d]` counts the calls of delegate d; an empty list: the graph may not call delegates. Errors: program,
// program_version (unknown operator), limit.
Status verify_graph(const Graph& graph, std::vector<uint32_t>& calls);

// Offsets of intermediates: aligned, inside the arena, no two that live at the same time overlap.
// Precondition: the rest of verify_graph holds.
Status verify_memory_plan(const Graph& graph);

Status verify_name(std::string_view name, std::string_view what);

}  // namespace quoin::program
