// Lanes are loops here: unrolling the tiles around them only bloats the code.
#define QUOIN_KEEP_LOOPS
#include "impl/fill.hpp"
#include "isa/scalar.hpp"
#include "tiers.hpp"

namespace quoin::cpu {

void fill_scalar(KernelTable& table) {
  fill_dot<Scalar>(table);
  fill_rest<Scalar>(table);
}

}  // namespace quoin::cpu
