// Weights in a file of their own beside the program, which names it by plain name, size and digest (segment XWGT):
// written here, read by view/external.hpp.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "base/file.hpp"

namespace quoin::program {

struct ExternalWeights {
  std::string name;                  // of a file in the program's folder; never a path
  uint64_t size = 0;                 // bytes
  std::array<uint64_t, 2> digest{};  // XXH3-128: low half, high half
};

// The weights in pieces, as they will lie in the file. Its name is made of `stem` and the digest: a program that is
// replaced keeps its weights until it is gone, so that old and new are each whole at any moment.
ExternalWeights describe_weights(const std::vector<Bytes>& pieces, const std::string& stem);

std::vector<std::byte> encode_reference(const ExternalWeights& weights);

struct Content {
  std::shared_ptr<const void> owner;
  Bytes bytes;
};
// Maps the file in `folder` ("": the current one). Symbolic links are not followed. Errors: not_found, io.
Result<Content> open_weights(const std::string& folder, const std::string& name);

}  // namespace quoin::program
