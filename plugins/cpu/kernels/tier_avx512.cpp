#include "impl/fill.hpp"
#include "isa/avx512.hpp"
#include "tiers.hpp"

namespace quoin::cpu {

void fill_avx512(KernelTable& table) {
  fill_dot<Avx512>(table);
  fill_rest<Avx512>(table);
}

}  // namespace quoin::cpu
