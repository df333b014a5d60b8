// How checkpoints store numbers. One row per element type in encoding.cpp.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/file.hpp"
#include "ops/dtype.hpp"

namespace quoin::checkpoint {

struct Encoding {
  std::string_view name;
  int64_t elements = 1;  // of one block
  uint64_t bytes = 0;    // of one block
  // `count` blocks at `in` as f32. Null: not a type of weights.
  void (*decode)(const std::byte* in, int64_t count, float* out) = nullptr;
  // One block of `elements` codes at `in`: value = code * returned scale. Null: no such form.
  float (*codes)(const std::byte* in, int8_t* out) = nullptr;
  uint32_t code_bits = 0;
};

// Null: not a type of weights.
const Encoding* safetensors_encoding(DType dtype);
// By the number in GGUF files (ggml_type); null if it is not supported.
const Encoding* gguf_encoding(uint32_t type);
// "Q5_1" for types of GGUF that are known by name, supported or not; else "?".
std::string_view gguf_type_name(uint32_t type);

}  // namespace quoin::checkpoint
