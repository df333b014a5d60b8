#include "pack_grouped.hpp"

#include <quoin/numerics.hpp>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <numeric>

#include "isa/half.hpp"
#include "pack.hpp"

namespace quoin::cpu {
namespace {

constexpr int64_t kLine = 64;  // bytes

// Truncates: exact for what fits.
uint16_t half_bits(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x), sign = bits >> 16 & 0x8000u;
  const int32_t exponent = static_cast<int32_t>(bits >> 23 & 255u) - 127;
  const uint32_t fraction = bits & 0x7FFFFFu;
  if (exponent > 15) return static_cast<uint16_t>(sign | 0x7C00u);
  if (exponent >= -14) return static_cast<uint16_t>(sign | static_cast<uint32_t>(exponent + 15) << 10 | fraction >> 13);
  if (exponent < -24) return static_cast<uint16_t>(sign);
  return static_cast<uint16_t>(sign | (fraction | 0x800000u) >> (-1 - exponent));
}
uint16_t bfloat_bits(float x) { return static_cast<uint16_t>(std::bit_cast<uint32_t>(x) >> 16); }

// What differs between the widths of codes: one 32-bit word of 32 / Bits of them.
template <int Bits>
struct Word {
  static constexpr int64_t kCodes = 32 / Bits;

  // Codes of consecutive k -> byte j holds those of k = 4 * f + j.
  static uint32_t interleave(uint32_t x) {
    if constexpr (Bits == 8) return x;
    if constexpr (Bits == 4) return spread(x & 0xFFFFu) | spread(x >> 16) << 4;
    if constexpr (Bits == 2)
      return spread(x & 255u) | spread(x >> 8 & 255u) << 2 | spread(x >> 16 & 255u) << 4 | spread(x >> 24) << 6;
  }
  static int32_t sum(uint32_t x) {
    if constexpr (Bits == 8) {
      x = (x & 0x00FF00FFu) + (x >> 8 & 0x00FF00FFu);
      return static_cast<int32_t>((x & 0xFFFFu) + (x >> 16));
    }
    if constexpr (Bits == 2) x = (x & 0x33333333u) + (x >> 2 & 0x33333333u);
    x = (x & 0x0F0F0F0Fu) + (x >> 4 & 0x0F0F0F0Fu);
    return static_cast<int32_t>(x * 0x01010101u >> 24);
  }

  // `count` codes from `from`, as unsigned ones; the others are 0.
  static uint32_t read(const uint8_t* from, int64_t count) {
    constexpr uint32_t kSigns = Bits == 8 ? 0x80808080u : Bits == 4 ? 0x88888888u : 0xAAAAAAAAu;
    uint32_t x = 0;
    if (count == kCodes) {
      std::memcpy(&x, from, sizeof x);
      return x ^ kSigns;
    }
    std::memcpy(&x, from, static_cast<size_t>((count * Bits + 7) / 8));
    return (x ^ kSigns) & ((uint32_t{1} << (count * Bits)) - 1);
  }

 private:
  // Code j of a quarter (or half) word -> the low bits of byte j.
  static uint32_t spread(uint32_t x) {
    if constexpr (Bits == 4) {
      x = (x | x << 8) & 0x00FF00FFu;
      return (x | x << 4) & 0x0F0F0F0Fu;
    }
    x = (x | x << 12) & 0x000F000Fu;
    return (x | x << 6) & 0x03030303u;
  }
};

// Writes the codes of one group of one row into lane `lane`; returns the sum of its codes as they are stored.
template <int Bits>
int32_t pack_codes(const uint8_t* from, int64_t count, int64_t vectors, int64_t lane, uint8_t* to) {
  int32_t total = 0;
  for (int64_t v = 0; v < vectors; ++v, to += kLine) {
    const int64_t left = std::clamp<int64_t>(count - v * Word<Bits>::kCodes, 0, Word<Bits>::kCodes);
    const uint32_t codes = left == 0 ? 0 : Word<Bits>::read(from + v * 4, left);
    const uint32_t word = Word<Bits>::interleave(codes);
    std::memcpy(to + lane * 4, &word, sizeof word);
    total += Word<Bits>::sum(codes);
  }
  return total;
}

void store_scale(ScaleType type, float scale, int64_t lane, uint8_t* head) {
  if (type == ScaleType::f32) {
    std::memcpy(head + lane * 4, &scale, sizeof scale);
    return;
  }
  const uint16_t bits = type == ScaleType::f16 ? half_bits(scale) : bfloat_bits(scale);
  std::memcpy(head + lane * 2, &bits, sizeof bits);
}

template <int Bits>
void pack_block(const GroupedLayout& l, const GroupedSource& source, int64_t block, uint8_t* packed, float* corr) {
  const GroupedSpec& s = l.spec;
  const int64_t rows = std::min(kGroupedBlock, s.n - block * kGroupedBlock), row_bytes = (s.k * s.bits + 7) / 8;
  const int64_t vectors = l.group_bytes / kLine;
  if (rows < kGroupedBlock) std::fill_n(packed, l.block_bytes, uint8_t{0});
  for (int64_t g = 0; g < l.groups; g += l.section_groups) {
    std::fill_n(packed, l.heads_bytes, uint8_t{0});
    uint8_t* codes = packed + l.heads_bytes;
    const int64_t end = std::min(g + l.section_groups, l.groups);
    for (int64_t i = g; i < end; ++i, codes += l.group_bytes) {
      uint8_t* head = packed + (i - g) * l.head_bytes;
      const int64_t count = std::min(s.group, s.k - i * s.group);
      for (int64_t r = 0; r < rows; ++r) {
        const int64_t row = block * kGroupedBlock + r, at = row * l.groups + i;
        const uint8_t* from = source.codes + row * row_bytes + i * s.group * s.bits / 8;
        const int32_t zero = s.zeros ? source.zeros[at] : 0;
        const int32_t sum = pack_codes<Bits>(from, count, vectors, r, codes);
        store_scale(s.scale, source.scales[at], r, head);
        if (s.zeros) head[kGroupedBlock * scale_bytes(s.scale) + r] = static_cast<uint8_t>(zero + 128);
        const auto centered = static_cast<int32_t>(sum - (l.offset() + zero) * count);
        corr[r] = corr[r] + static_cast<float>(centered) * source.scales[at];
      }
    }
    packed = codes;
  }
}

}  // namespace

ScaleType exact_scale_type(std::span<const float> scales) {
  const auto all = [&](auto&& exact) { return std::all_of(scales.begin(), scales.end(), exact); };
  if (all([](float x) { return from_half(half_bits(x)) == x && std::isfinite(x); })) return ScaleType::f16;
  return all([](float x) { return (std::bit_cast<uint32_t>(x) & 0xFFFFu) == 0; }) ? ScaleType::bf16 : ScaleType::f32;
}

void store_scales(ScaleType type, std::span<const float> scales, uint8_t* to) {
  for (size_t i = 0; i < scales.size(); ++i) store_scale(type, scales[i], static_cast<int64_t>(i), to);
}

std::optional<GroupedLayout> GroupedLayout::make(const GroupedSpec& spec) {
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max() / 1024;  // leaves room for rounding up
  const GroupedSpec& s = spec;
  if (s.n < 1 || s.n > kMax || s.k < 1 || s.k > kMax || s.scale > ScaleType::bf16) return std::nullopt;
  if (s.bits != 2 && s.bits != 4 && s.bits != 8) return std::nullopt;
  if (s.group < 8 || s.group % 8 != 0 || s.group > kMaxGroup || s.group > round_up(s.k, 8)) return std::nullopt;
  GroupedLayout l;
  l.spec = s;
  l.blocks = (s.n + kGroupedBlock - 1) / kGroupedBlock;
  l.groups = (s.k + s.group - 1) / s.group;
  // Kernels take 32 k at a time and finish a group with 16 or 8; a vector of 2-bit codes holds 16.
  const int64_t rest = s.group % 32, last = rest == 24 ? 32 : rest;
  l.stored_group = s.group - rest + (s.bits == 2 ? round_up(last, 16) : last);
  l.head_bytes = kGroupedBlock * (scale_bytes(s.scale) + (s.zeros ? 1 : 0));
  l.section_groups = kLine / std::gcd(kLine, l.head_bytes);
  l.heads_bytes = l.section_groups * l.head_bytes;
  l.group_bytes = kGroupedBlock * l.stored_group * s.bits / 8;
  // groups <= k / 8 + 1 and a group's bytes are at most 128 per k: no product overflows before the last one.
  const int64_t sections = (l.groups + l.section_groups - 1) / l.section_groups;
  l.block_bytes = sections * l.heads_bytes + l.groups * l.group_bytes;
  if (__builtin_mul_overflow(l.block_bytes, l.blocks, &l.bytes)) return std::nullopt;
  return l;
}

RowParams choose_token(uint32_t scheme, float eps, float min, float max) {
  const auto dynamic = static_cast<numerics::Dynamic>(scheme);
  const numerics::Affine q = numerics::choose_dynamic(dynamic, min, max, -128, 127, eps);
  return {q.scale, q.zero_point, dynamic == numerics::Dynamic::token};
}

void pack_grouped(const GroupedLayout& layout, const GroupedSource& source, int64_t block_begin, int64_t block_end,
                  uint8_t* packed, float* corr) {
  for (int64_t block = block_begin; block < block_end; ++block) {
    uint8_t* to = packed + block * layout.block_bytes;
    float* block_corr = corr + block * kGroupedBlock;
    std::fill_n(block_corr, kGroupedBlock, 0.0f);
    if (layout.spec.bits == 2) pack_block<2>(layout, source, block, to, block_corr);
    if (layout.spec.bits == 4) pack_block<4>(layout, source, block, to, block_corr);
    if (layout.spec.bits == 8) pack_block<8>(layout, source, block, to, block_corr);
  }
}

}  // namespace quoin::cpu
