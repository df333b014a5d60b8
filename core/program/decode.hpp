// Segments -> Model. Reads hostile bytes: FlatBuffers verifier first, then every count, code and index before use.
#pragma once

#include <memory>

#include "program/layout.hpp"
#include "program/model.hpp"

namespace quoin::program {

// The only segment of a kind. Errors (program): none, or two.
Result<Bytes> only_segment(const std::vector<Segment>& segments, uint32_t kind);

// Tensors, blobs and named data borrow from the segments and from `weights` (WGTS, or what stands for it), all kept
// alive by `owner`. The result still needs verify(). Errors: program, program_version (operator of a newer version),
// limit.
Result<Model> decode(const std::vector<Segment>& segments, Bytes weights, const std::shared_ptr<const void>& owner);

}  // namespace quoin::program
