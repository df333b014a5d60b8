// The tile kernels of AMX on tile registers in plain C++, so that every machine tests how products become tiles.
#define QUOIN_KEEP_LOOPS
#include "impl/gemm_tiles.hpp"
#include "isa/plain_tiles.hpp"
#include "isa/scalar.hpp"
#include "machine.hpp"

namespace quoin::cpu::test {
namespace {

KernelTable make() {
  KernelTable table = select(0);
  fill_tiles<Scalar, PlainTiles>(table);
  table.name = "emulated_amx";
  return table;
}

}  // namespace

std::vector<const KernelTable*> product_tiers() {
  static const KernelTable emulated = make();
  std::vector<const KernelTable*> tiers = usable_tiers();
  tiers.push_back(&emulated);
  return tiers;
}

}  // namespace quoin::cpu::test
