// Model -> segments. Borrows every tensor and blob of the model.
#pragma once

#include <flatbuffers/flatbuffers.h>

#include "program/layout.hpp"
#include "program/model.hpp"

namespace quoin::program {

inline constexpr size_t kWeightsIndex = 1;  // of WGTS in Encoded::segments

// Owns the GRPH bytes; the other segments borrow from the model.
struct Encoded {
  flatbuffers::DetachedBuffer graph;
  std::vector<SegmentSource> segments;
};

// Precondition: verify(model). Equal models give equal bytes. Errors (limit): the graph is over its size limit.
Result<Encoded> encode(const Model& model);

}  // namespace quoin::program
