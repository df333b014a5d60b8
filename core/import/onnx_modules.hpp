// Where an ONNX node came from: exporters leave it in node metadata, or in the node's name.
#pragma once

#include <onnx/onnx_pb.h>

#include <string>
#include <vector>

#include "ir/graph.hpp"

namespace quoin::import::onnx_format {

// Module levels from torch's metadata, else from a name such as "/layer1/layer1.0/conv/Conv"; else empty.
std::vector<ir::ModuleFrame> read_modules(const onnx::NodeProto& node);
// "file.py:12" from torch's metadata, else "".
std::string read_source(const onnx::NodeProto& node);
// The node's name, or its first result's if it has none.
std::string node_label(const onnx::NodeProto& node);

}  // namespace quoin::import::onnx_format
