// Segments -> Model. Reads hostile bytes: FlatBuffers verifier first, then every count, code and index before use.
#pragma once

#include <memory>

#include "program/layout.hpp"
#include "program/model.hpp"

namespace quoin::program {

// Tensors, blobs and named data borrow from the segments, kept alive by `owner`. The result still needs verify().
// Errors: program, program_version (operator of a newer version), limit.
Result<Model> decode(const std::vector<Segment>& segments, const std::shared_ptr<const void>& owner);

}  // namespace quoin::program
