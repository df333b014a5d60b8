// Models of programs that were read, for tools: what owns its parts can be looked at, changed and written again.
#pragma once

#include <memory>

#include "program/model.hpp"
#include "program/view/view.hpp"

namespace quoin::program {

// Texts and lists are copied; tensors, blobs and named data stay where they are, kept alive by `owner`.
// Precondition: the program is verified.
Model lift(const view::Program& program, const std::shared_ptr<const void>& owner);

}  // namespace quoin::program
