// The .quoin file (docs/format.md): header, aligned segments, FlatBuffers graph, XXH3 checksums. Deterministic bytes.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/file.hpp"
#include "program/model.hpp"

namespace quoin::program {

Result<std::vector<std::byte>> serialize(const Model& model);
// The same into a file, piece by piece; atomic. Returns its size.
Result<uint64_t> write(const std::string& path, const Model& model);
// The size that the file would have.
Result<uint64_t> measure(const Model& model);

struct ReadOptions {
  // The checksum of the weights (constants and named data): computed, which reads every byte of them, or left out, so
  // that they are read as they are used and damage shows as wrong results only.
  enum class Weights { hash, trust } weights = Weights::hash;
};

// Verified before use, always: header, checksums (but see ReadOptions), FlatBuffers structure, then meaning (indices,
// topological order, operator rules, qparams, states, memory plan). Tensors and blobs borrow the mapping, which the
// model keeps alive. Errors: not_found, io, program (path to the fault), program_version, limit.
Result<Model> read(const std::string& path, const ReadOptions& options = {});
Result<Model> read(std::shared_ptr<const void> owner, Bytes bytes, const std::string& name,
                   const ReadOptions& options = {});
bool looks_like_program(Bytes head);

// The semantic half of read(); serialize() runs it too.
Status verify(const Model& model);

}  // namespace quoin::program
