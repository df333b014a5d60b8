#include "quantize/sweep.hpp"

namespace quoin::quantize::sweep {
namespace {

Extrema extrema_baseline(const float* x, size_t count) { return detail::block_extrema(x, count); }
#if QUOIN_SWEEP_X86
QUOIN_FOR_AVX2 Extrema extrema_avx2(const float* x, size_t count) { return detail::block_extrema(x, count); }
QUOIN_FOR_AVX512 Extrema extrema_avx512(const float* x, size_t count) { return detail::block_extrema(x, count); }
#endif

auto extrema_for(const quoin_host* host) {
#if QUOIN_SWEEP_X86
  if (allows(host, QUOIN_ISA_AVX512)) return extrema_avx512;
  if (allows(host, QUOIN_ISA_AVX2)) return extrema_avx2;
#endif
  (void)host;
  return extrema_baseline;
}

}  // namespace

Extrema extrema(std::span<const float> elements, const quoin_host* host) {
  const auto find = extrema_for(host);
  std::vector<Extrema> found(workers(host));
  in_pieces(host, elements.size(), [&](size_t begin, size_t end, uint32_t worker) {
    found[worker].cover(find(elements.data() + begin, end - begin));
  });
  Extrema out;
  for (const Extrema& part : found) out.cover(part);
  return out;
}

}  // namespace quoin::quantize::sweep
