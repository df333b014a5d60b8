// The .quoin file (docs/format.md): header, aligned segments, FlatBuffers graph, XXH3 checksums. Deterministic bytes.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "program/external.hpp"
#include "program/model.hpp"
#include "program/tests.hpp"

namespace quoin::program {

Result<std::vector<std::byte>> serialize(const Model& model);
// The same into a file, piece by piece; atomic. Returns its size.
Result<uint64_t> write(const std::string& path, const Model& model);
// The size that the file would have.
Result<uint64_t> measure(const Model& model);

struct WriteOptions {
  // Constants and named data go into a second file of the same folder. It is written first; its name, which the program
  // holds, tells its content, so that no other program's weights are replaced. Both are atomic.
  bool external_weights = false;
  std::vector<TestCase> tests{};  // go with the program
};
struct Written {
  uint64_t size = 0, weights_size = 0;  // bytes; of the weights' file 0 where there is none
  std::string weights_name{};
};
Result<Written> write(const std::string& path, const Model& model, const WriteOptions& options);

struct ReadOptions {
  // The checksum of the weights (constants and named data): computed, which reads every byte of them, or left out, so
  // that they are read as they are used and damage shows as wrong results only.
  enum class Weights { hash, trust } weights = Weights::hash;
  // Where the weights file of a split program lies. read() of a path takes the path's folder; of bytes in memory it is
  // an error to leave it out, unless `open_weights` gets the file from elsewhere, by its plain name. Size and digest
  // are checked afterwards in any case.
  std::optional<std::string> folder{};
  std::function<Result<Content>(const std::string& name)> open_weights{};
};

// Verified before use, always: header, checksums (but see ReadOptions), FlatBuffers structure, then meaning (indices,
// topological order, operator rules, qparams, states, memory plan). Tensors and blobs borrow the mapping, which the
// model keeps alive. Errors: not_found, io, program (path to the fault), program_version, limit.
Result<Model> read(const std::string& path, const ReadOptions& options = {});
Result<Model> read(std::shared_ptr<const void> owner, Bytes bytes, const std::string& name,
                   const ReadOptions& options = {});
bool looks_like_program(Bytes head);

// The tests that a program file in memory carries; none is an empty list. Precondition: read() of it gave `model`.
// Errors: program, limit.
Result<std::vector<TestCase>> read_tests(Bytes file, const Model& model);

// The semantic half of read(); serialize() runs it too.
Status verify(const Model& model);

// What a program says of itself, without the check of what it means: enough to see which recipe made it. Weights are
// not read. Errors: as read().
Result<std::map<std::string, std::string>> read_metadata(const std::string& path);

}  // namespace quoin::program
