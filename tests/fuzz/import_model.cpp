// Any bytes as a model file. The corpus decides for which importer: .pt2 or ONNX.
#include "import/import.hpp"
#include "target.hpp"

using namespace quoin;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static fuzz::MemoryFile memory;
  Diagnostics diagnostics;
  const auto graph = import::import_model(memory.put({data, size}), {}, diagnostics);
  if (!graph) fuzz::require(graph.error().code != Code::internal, "an error is not a bug");
  if (graph) fuzz::accepted();
  return 0;
}
