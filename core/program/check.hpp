// What a model must keep that its flat form no longer shows, and that a file's reader checks as it reads.
#pragma once

#include "program/model.hpp"

namespace quoin::program {

// Counts and sizes (format.hpp), shapes, constants of the declared types, and the alignment of what is used in place.
// Errors: program (path to the fault), limit.
Status check(const Model& model);

}  // namespace quoin::program
