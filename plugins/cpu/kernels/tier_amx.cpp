#include "impl/gemm_tiles.hpp"
#include "isa/amx.hpp"
#include "isa/avx512.hpp"
#include "tiers.hpp"

namespace quoin::cpu {

void fill_amx(KernelTable& table) { fill_tiles<Avx512Vnni, AmxTiles>(table); }

}  // namespace quoin::cpu
