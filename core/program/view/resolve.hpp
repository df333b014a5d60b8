// The second half of reading: indices and places of a table become pointers, each checked.
#pragma once

#include "program/view/layout.hpp"

namespace quoin::program::view {

// Fills what view.hpp calls resolved, but buffers, in a program that read_tables() made. `weights`: what constants and
// named data lie in, 64-byte aligned. Where no operators are known, originals are left as they are: they could not run.
// Errors: program, limit.
[[gnu::noinline]] bool resolve(Program& program, const Layout& layout, Bytes weights, Arena& arena, Fault& fault);

}  // namespace quoin::program::view
