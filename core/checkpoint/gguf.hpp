// The header of a GGUF file, versions 2 and 3, little endian. Format: ggml's docs/gguf.md.
#pragma once

#include <string>
#include <vector>

#include "base/file.hpp"
#include "checkpoint/encoding.hpp"
#include "checkpoint/settings.hpp"
#include "ops/tensor.hpp"

namespace quoin::checkpoint {

struct GgufTensor {
  std::string name;
  const Encoding* encoding = nullptr;
  Shape shape;  // outermost dim first
  Bytes bytes;  // of the file, whole blocks
};

struct GgufHeader {
  Settings metadata;
  std::vector<GgufTensor> tensors;
};

// `file` is the whole file; `path` names it in errors. Errors: model (magic, counts, lengths, a key or tensor twice,
// truncated or overlapping tensors), limit (more metadata than any model has), unsupported (version, byte order,
// element type, a list of lists, a number over 2^63 - 1).
Result<GgufHeader> parse_gguf(Bytes file, const std::string& path);

}  // namespace quoin::checkpoint
