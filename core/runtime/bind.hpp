// From a verified program to bound steps: kernels selected and prepared, delegates loaded, originals put in the place
// of delegates that cannot run here.
#pragma once

#include "runtime/prepare.hpp"
#include "runtime/setting.hpp"

namespace quoin::runtime {

// Method number `index` of the program, which must stay where it is, into `method`. Scratch memory that steps need is
// added to `scratch`, lists lie in `arena`. Errors: program_version, plugin, unsupported, limit.
[[gnu::noinline]] bool bind(const view::Program& program, size_t index, Setting& setting, const quoin_host& host,
                            Arena& arena, Scratch& scratch, Method& method, Fault& fault);

}  // namespace quoin::runtime
