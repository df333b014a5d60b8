// In the place of all.cpp where programs run in plugins alone: no operator is known.
#include "ops/table/build.hpp"

namespace quoin::table {

Rows all() { return {}; }

}  // namespace quoin::table
