#include "impl/fill.hpp"
#include "isa/avx2.hpp"
#include "tiers.hpp"

namespace quoin::cpu {

void fill_avx2(KernelTable& table) {
  fill_dot<Avx2>(table);
  fill_rest<Avx2>(table);
}

}  // namespace quoin::cpu
