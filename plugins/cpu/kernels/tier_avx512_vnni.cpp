#include "impl/fill.hpp"
#include "isa/avx512.hpp"
#include "tiers.hpp"

namespace quoin::cpu {

void fill_avx512_vnni(KernelTable& table) { fill_dot<Avx512Vnni>(table); }

}  // namespace quoin::cpu
