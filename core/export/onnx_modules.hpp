// Where a node came from, as torch's exporter writes it: what viewers show and our importer reads back.
#pragma once

#include <onnx/onnx_pb.h>

#include "ir/graph.hpp"

namespace quoin::exporter {

// Module levels and source line of `from` as metadata of `node`.
void write_modules(onnx::NodeProto& node, const ir::Node& from);

}  // namespace quoin::exporter
