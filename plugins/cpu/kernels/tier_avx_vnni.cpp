#include "impl/fill.hpp"
#include "isa/avx2.hpp"
#include "tiers.hpp"

namespace quoin::cpu {

void fill_avx_vnni(KernelTable& table) { fill_dot<AvxVnni>(table); }

}  // namespace quoin::cpu
