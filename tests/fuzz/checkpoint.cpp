// Any bytes as a checkpoint: safetensors or GGUF, told apart by their first bytes. Every tensor is read.
#include <cstring>

#include "checkpoint/checkpoint.hpp"
#include "target.hpp"

using namespace quoin;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static fuzz::MemoryFile gguf("input.gguf"), safetensors("input.safetensors");  // names tell the formats apart
  fuzz::MemoryFile& file = size >= 4 && std::memcmp(data, "GGUF", 4) == 0 ? gguf : safetensors;
  const auto checkpoint = checkpoint::Checkpoint::open(file.put({data, size}));
  if (!checkpoint) {
    fuzz::require(checkpoint.error().code != Code::internal, "an error is not a bug");
    return 0;
  }
  fuzz::accepted();
  for (const std::string& name : checkpoint->names()) {
    (void)checkpoint->load_f32(name);
    (void)checkpoint->load_quantized(name);
  }
  return 0;
}
