// The header of a safetensors file: u64 length, JSON, tensor bytes. Format: huggingface/safetensors README.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/file.hpp"
#include "ops/tensor.hpp"

namespace quoin::checkpoint {

struct SafetensorsEntry {
  std::string name;
  DType dtype{};
  Shape shape;
  Bytes bytes;  // of the file, exactly byte_size(dtype, shape)
};

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;  // in the order of their bytes
  std::map<std::string, std::string> metadata;
};

// `file` is the whole file; `path` names it in errors, which have the code `code`. Tensors cover the data without holes
// or overlaps, as the format demands. A key that occurs twice is an error.
Result<SafetensorsHeader> parse_safetensors(Bytes file, const std::string& path, Code code);

inline constexpr const char* kSafetensorsMetadata = "__metadata__";
// "F32"; empty if the format has no such element type.
std::string_view safetensors_type(DType dtype);

}  // namespace quoin::checkpoint
