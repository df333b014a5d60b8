// What made a program, as texts in its metadata (docs/format.md).
#pragma once

#include "flow/calibrate.hpp"

namespace quoin::flow {

void add_provenance(program::Model& model, const recipe::Recipe& recipe, const std::string& data_digest,
                    size_t samples);

}  // namespace quoin::flow
