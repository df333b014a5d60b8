// Graphs to model files: the reverse of core/import, for other runtimes to run and check what Quoin made.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ir/graph.hpp"

namespace quoin::exporter {

struct OnnxOptions {
  std::optional<int64_t> opset;  // 13 or 21; none: the lowest that can express the graph
  // s8 results of quantize nodes become u8, zero points and integers 128 higher: the same real numbers. ONNX Runtime on
  // x86 has integer kernels for u8 activations only.
  bool unsigned_activations = false;
  std::string producer_version;                 // of "quoin"
  std::vector<std::string> outputs;             // names of the graph outputs, in order; empty: those of the graph
  std::map<std::string, std::string> metadata;  // of the model, key -> value
  uint64_t inline_limit = uint64_t{1} << 30;    // bytes of constants above which they go to "<path>.data"
};

struct OnnxModel {
  int64_t opset = 0;
  size_t nodes = 0;
  uint64_t bytes = 0;           // of the model file
  uint64_t external_bytes = 0;  // of the file "<path>.data"; 0: there is none
};

// Writes a float or QDQ graph (forms 1 and 3) as ONNX at `path`, atomically: a reader sees the old file or the new one.
// Equal graphs and options give equal bytes. Quantize and dequantize nodes become QuantizeLinear and DequantizeLinear;
// qparams chosen at run time become arithmetic that gives the same integers. docs/export.md has the differences.
// Errors: usage (opset), unsupported (all operators without an ONNX form at once; what the opset cannot say, with the
// opset that can; typed graphs), limit (over 2 GB that is not constants), io, not_found (folder missing).
Result<OnnxModel> write_onnx(const ir::Graph& graph, const std::string& path, const OnnxOptions& options);

}  // namespace quoin::exporter
