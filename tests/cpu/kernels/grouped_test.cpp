// Grouped low-bit kernels against the formulas of quoin/numerics.hpp, written plainly: equal bits on every tier.
#include "grouped.hpp"

#include <quoin/numerics.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "machine.hpp"
#include "pack_grouped.hpp"

namespace quoin::cpu::test {
namespace {

class Grouped : public PerTier {};
INSTANTIATE_TEST_SUITE_P(Tiers, Grouped, ::testing::ValuesIn(usable_tiers()), tier_name);

size_t at(int64_t i) { return static_cast<size_t>(i); }

// A buffer of exactly `count` elements, aligned, between bytes that nobody may write.
template <class T>
class Guarded {
 public:
  explicit Guarded(int64_t count) : count_(count), bytes_(at(count) * sizeof(T) + 2 * kGuard + 64, kMark) {
    const auto start = reinterpret_cast<uintptr_t>(bytes_.data());
    first_ = (start + kGuard + 63) / 64 * 64 - start;
  }
  T* data() { return reinterpret_cast<T*>(bytes_.data() + first_); }
  T& operator[](int64_t i) { return data()[i]; }
  void expect_guards(const char* what) const {
    for (size_t i = 0; i < kGuard; ++i) {
      ASSERT_EQ(bytes_[first_ - 1 - i], kMark) << "wrote before " << what;
      ASSERT_EQ(bytes_[first_ + at(count_) * sizeof(T) + i], kMark) << "wrote after " << what;
    }
  }

 private:
  static constexpr size_t kGuard = 64;
  static constexpr uint8_t kMark = 0xAB;
  int64_t count_;
  std::vector<uint8_t> bytes_;
  size_t first_ = 0;
};

struct Case {
  GroupedSpec spec{.n = 40, .k = 96};
  int64_t rows = 5;
  Fill fill = Fill::kUniform;
  bool bias = true;
  float low = -INFINITY, high = INFINITY;
  numerics::Dynamic scheme = numerics::Dynamic::token;
};

std::string name(const Case& c) {
  const GroupedSpec& s = c.spec;
  return "rows " + std::to_string(c.rows) + " n " + std::to_string(s.n) + " k " + std::to_string(s.k) + " group " +
         std::to_string(s.group) + " bits " + std::to_string(s.bits) + " scale " +
         std::to_string(static_cast<int>(s.scale)) + (s.zeros ? " zeros" : "");
}

float rounded(ScaleType type, float x) {
  const auto keep = [&](int bits) {  // of the fraction, towards zero
    return std::bit_cast<float>(std::bit_cast<uint32_t>(x) & ~((uint32_t{1} << (23 - bits)) - 1));
  };
  return type == ScaleType::f32 ? x : keep(type == ScaleType::f16 ? 10 : 7);
}

// A weight with everything around it, and its float activations.
struct Problem {
  Case c;
  GroupedLayout layout;
  std::vector<int32_t> codes;  // [n][k], signed
  std::vector<uint8_t> bytes;  // the same, row-major and packed
  std::vector<float> scales, bias, x;
  std::vector<int8_t> zeros;
  Guarded<uint8_t> packed;
  Guarded<float> corr;

  Problem(const Case& c_, uint32_t seed = 1)
      : c(c_), layout(GroupedLayout::make(c.spec).value()), packed(layout.bytes), corr(layout.blocks * 16) {
    Random random(seed);
    const GroupedSpec& s = c.spec;
    const int64_t top = int64_t{1} << (s.bits - 1), row_bytes = (s.k * s.bits + 7) / 8;
    codes = random.integers<int32_t>(s.n * s.k, -top, top - 1, c.fill);
    bytes.resize(at(s.n * row_bytes), 0);
    for (int64_t i = 0; i < s.n * s.k; ++i) {
      const int64_t bit = i % s.k * s.bits;
      const auto code = static_cast<uint32_t>(codes[at(i)]) & ((1u << s.bits) - 1);
      bytes[at(i / s.k * row_bytes + bit / 8)] |= static_cast<uint8_t>(code << (bit % 8));
    }
    scales = random.reals(s.n * layout.groups, 0.001f, 0.1f);
    for (float& x_ : scales) x_ = rounded(s.scale, x_);
    if (s.zeros) zeros = random.integers<int8_t>(s.n * layout.groups, -top, top - 1, c.fill);
    if (c.bias) bias = random.reals(s.n);
    x = random.reals(c.rows * s.k, -3, 2);
    if (c.fill == Fill::kExtreme)
      for (float& v : x) v = random.integer(0, 1) ? -3.0f : 2.0f;
    pack_grouped(layout, source(), 0, layout.blocks, packed.data(), corr.data());
    packed.expect_guards("packed weights");
    corr.expect_guards("corr");
  }
  GroupedSource source() const { return {bytes.data(), scales.data(), zeros.empty() ? nullptr : zeros.data()}; }
  int32_t weight(int64_t n, int64_t k) const {
    return codes[at(n * c.spec.k + k)] - (zeros.empty() ? 0 : zeros[at(n * layout.groups + k / c.spec.group)]);
  }
  float scale(int64_t n, int64_t group) const { return scales[at(n * layout.groups + group)]; }
};

struct Token {
  numerics::Affine params;
  std::vector<int32_t> codes;
};
Token quantize(const Problem& p, int64_t row) {
  const float* x = p.x.data() + row * p.c.spec.k;
  const auto [low, high] = std::minmax_element(x, x + p.c.spec.k);
  Token token{numerics::choose_dynamic(p.c.scheme, *low, *high, -128, 127, 1e-6f), {}};
  for (int64_t k = 0; k < p.c.spec.k; ++k)
    token.codes.push_back(numerics::quantize_dynamic(p.c.scheme, x[k], token.params, -128, 127));
  return token;
}

// The formula of numerics::dequantize_groups.
float reference(const Problem& p, const Token& token, int64_t n) {
  const GroupedSpec& s = p.c.spec;
  float acc = 0, corr = 0;
  for (int64_t g = 0; g < p.layout.groups; ++g) {
    int32_t dot = 0, sum = 0;
    for (int64_t k = g * s.group; k < std::min(s.k, (g + 1) * s.group); ++k) {
      dot += token.codes[at(k)] * p.weight(n, k);
      sum += p.weight(n, k);
    }
    const float product = static_cast<float>(dot) * p.scale(n, g), offset = static_cast<float>(sum) * p.scale(n, g);
    acc = acc + product;
    corr = corr + offset;
  }
  float y = numerics::dequantize_groups(acc, corr, token.params);
  if (!p.bias.empty()) y = y + p.bias[at(n)];
  return std::min(p.c.high, std::max(p.c.low, y));
}

// Activations of a problem as a tier quantizes them.
struct Tokens {
  Guarded<int8_t> codes;
  Guarded<int32_t> sums, zero_point;
  Guarded<float> scale;

  Tokens(const Problem& p, const KernelTable& kernels, int64_t step)
      : codes(token_chunks(p.c.spec.k, p.c.spec.group) * p.c.rows * kGroupedChunk),
        sums(p.layout.groups * p.c.rows),
        zero_point(p.c.rows),
        scale(p.c.rows) {
    QuantizeTokens q;
    q.x = p.x.data(), q.x_stride = p.c.spec.k, q.codes = codes.data(), q.sums = sums.data(), q.scale = scale.data();
    q.zero_point = zero_point.data(), q.rows = p.c.rows, q.k = p.c.spec.k, q.group = p.c.spec.group;
    q.sum_factor = p.layout.sum_factor(), q.choose = choose_token, q.scheme = static_cast<uint32_t>(p.c.scheme);
    q.eps = 1e-6f;
    for (q.row_begin = 0; q.row_begin < q.rows; q.row_begin = q.row_end) {
      q.row_end = std::min(q.rows, q.row_begin + step);
      kernels.quantize_tokens(q);
    }
    codes.expect_guards("codes"), sums.expect_guards("sums");
    zero_point.expect_guards("zero points"), scale.expect_guards("scales");
  }
};

GemmGrouped gemm(Problem& p, Tokens& tokens, Guarded<float>& y) {
  GemmGrouped g;
  g.layout = &p.layout, g.weights = p.packed.data(), g.corr = p.corr.data(), g.codes = tokens.codes.data();
  g.sums = tokens.sums.data(), g.scale = tokens.scale.data(), g.zero_point = tokens.zero_point.data();
  g.rows = g.row_end = p.c.rows, g.bias = p.bias.empty() ? nullptr : p.bias.data();
  g.y = y.data(), g.y_stride = p.c.spec.n, g.block_end = p.layout.blocks, g.low = p.c.low, g.high = p.c.high;
  return g;
}

void check(const KernelTable& kernels, const Case& c, uint32_t seed = 1) {
  SCOPED_TRACE(name(c));
  Problem p(c, seed);
  Tokens tokens(p, kernels, c.rows);
  Guarded<float> y(c.rows * c.spec.n);
  kernels.gemm_grouped(gemm(p, tokens, y));
  y.expect_guards("y");
  for (int64_t m = 0; m < c.rows; ++m) {
    const Token token = quantize(p, m);
    ASSERT_EQ(tokens.scale[m], token.params.scale);
    ASSERT_EQ(tokens.zero_point[m], token.params.zero_point);
    for (int64_t n = 0; n < c.spec.n; ++n)
      ASSERT_EQ(std::bit_cast<uint32_t>(y[m * c.spec.n + n]), std::bit_cast<uint32_t>(reference(p, token, n)))
          << "row " << m << " column " << n << ": " << y[m * c.spec.n + n] << " is not " << reference(p, token, n);
  }
}

TEST_P(Grouped, TokensAreThoseOfTheNumericsLibrary) {
  using numerics::Dynamic;
  for (const Dynamic scheme : {Dynamic::affine, Dynamic::symmetric, Dynamic::token, Dynamic::token_symmetric})
    for (const int64_t group : {8, 16, 24, 32, 40, 64, 128})
      for (const int64_t depth : {130, 256, 300}) {
        const Problem p({.spec = {.n = 1, .k = depth, .group = group}, .rows = 3, .scheme = scheme});
        SCOPED_TRACE(name(p.c));
        Tokens tokens(p, k(), 1);
        const int64_t per_group = (group + kGroupedChunk - 1) / kGroupedChunk;
        for (int64_t row = 0; row < 3; ++row) {
          const Token token = quantize(p, row);
          for (int64_t g = 0; g < p.layout.groups; ++g) {
            int32_t sum = 0;
            for (int64_t i = 0; i < per_group * kGroupedChunk; ++i) {
              const int64_t k_at = g * group + i;
              const int32_t want = i < group && k_at < depth ? token.codes[at(k_at)] : 0;
              const int64_t chunk = g * per_group + i / kGroupedChunk;
              ASSERT_EQ(tokens.codes[(chunk * 3 + row) * kGroupedChunk + i % kGroupedChunk], want) << "k " << k_at;
              sum += want;
            }
            ASSERT_EQ(tokens.sums[g * 3 + row], -8 * sum);
          }
        }
      }
}

TEST_P(Grouped, ValuesThatAreNotFiniteBecomeDefinedCodes) {
  for (const float odd : {NAN, INFINITY, -INFINITY})
    for (const auto scheme : {numerics::Dynamic::token, numerics::Dynamic::affine}) {
      Problem p({.spec = {.n = 1, .k = 64}, .rows = 1, .scheme = scheme});
      p.x[7] = odd;
      Tokens tokens(p, k(), 1);
      if (std::isnan(odd)) {
        EXPECT_EQ(tokens.codes[7], -128);
        EXPECT_TRUE(std::isfinite(tokens.scale[0]));
      }
    }
}

TEST_P(Grouped, EveryTailOfRowsAndColumnsIsExact) {
  for (const int64_t rows : {1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 17, 63, 64, 65, 128})
    for (const int64_t n : {1, 8, 15, 16, 17, 33, 48, 70}) check(k(), {.spec = {.n = n, .k = 96}, .rows = rows});
}

TEST_P(Grouped, EveryWidthGroupAndScaleIsExact) {
  for (const uint32_t bits : {2u, 4u, 8u})
    for (const int64_t group : {8, 16, 24, 32, 40, 48, 56, 64, 128, 256})
      for (const ScaleType scale : {ScaleType::f32, ScaleType::f16, ScaleType::bf16})
        for (const bool zeros : {false, true})
          for (const int64_t rows : {1, 2, 6})
            check(k(), {.spec = {.n = 18, .k = 264, .group = group, .bits = bits, .scale = scale, .zeros = zeros},
                        .rows = rows});
}

TEST_P(Grouped, EveryTailOfDepthIsExact) {
  for (const uint32_t bits : {2u, 4u, 8u})
    for (const int64_t depth : {1, 5, 7, 8, 9, 31, 32, 33, 63, 65, 70, 95, 97, 127, 172})
      for (const int64_t rows : {1, 5})
        for (const int64_t group : {int64_t{8}, int64_t{32}, round_up(depth, 8)})
          if (group <= round_up(depth, 8))
            check(k(), {.spec = {.n = 17, .k = depth, .group = group, .bits = bits}, .rows = rows});
}

TEST_P(Grouped, ExtremeCodesDoNotOverflow) {
  for (const uint32_t bits : {2u, 4u, 8u})
    for (const bool zeros : {false, true})
      for (const int64_t group : {32, 256, 4096})
        for (const int64_t rows : {1, 5})
          for (uint32_t seed = 0; seed < 3; ++seed)
            check(k(),
                  {.spec = {.n = 16, .k = 4096, .group = group, .bits = bits, .zeros = zeros},
                   .rows = rows,
                   .fill = Fill::kExtreme},
                  seed);
}

TEST_P(Grouped, LargestCodesOfEveryPositionFitTheSums) {
  for (const uint32_t bits : {2u, 4u, 8u}) {
    Case c{.spec = {.n = 16, .k = kMaxGroup, .group = kMaxGroup, .bits = bits}, .rows = 5, .bias = false};
    Problem p(c);
    const int32_t top = (1 << (bits - 1)) - 1;
    std::fill(p.codes.begin(), p.codes.end(), top);
    std::fill(p.bytes.begin(), p.bytes.end(), static_cast<uint8_t>(bits == 8 ? 0x7F : bits == 4 ? 0x77 : 0x55));
    std::fill(p.x.begin(), p.x.end(), -1.0f);
    pack_grouped(p.layout, p.source(), 0, p.layout.blocks, p.packed.data(), p.corr.data());
    Tokens tokens(p, k(), c.rows);
    Guarded<float> y(c.rows * c.spec.n);
    k().gemm_grouped(gemm(p, tokens, y));
    for (int64_t m = 0; m < c.rows; ++m) ASSERT_EQ(y[m * 16 + 3], reference(p, quantize(p, m), 3)) << bits;
  }
}

TEST_P(Grouped, BiasAndBoundsAreOptional) {
  check(k(), {.bias = false});
  check(k(), {.low = -0.5f, .high = 0.25f});
  check(k(), {.rows = 1, .low = 0});
  for (const auto scheme :
       {numerics::Dynamic::affine, numerics::Dynamic::symmetric, numerics::Dynamic::token_symmetric})
    check(k(), {.scheme = scheme});
}

TEST_P(Grouped, AnySplitGivesTheSameBits) {
  Problem p({.spec = {.n = 100, .k = 192, .group = 64}, .rows = 70});
  Tokens tokens(p, k(), 7);
  Guarded<float> whole(70 * 100), parts(70 * 100);
  k().gemm_grouped(gemm(p, tokens, whole));
  for (int64_t block = 0; block < p.layout.blocks; block += 3)
    for (int64_t row = 0; row < 70; row += 9) {
      GemmGrouped g = gemm(p, tokens, parts);
      g.block_begin = block, g.block_end = std::min(block + 3, p.layout.blocks);
      g.row_begin = row, g.row_end = std::min<int64_t>(row + 9, 70);
      k().gemm_grouped(g);
    }
  for (int64_t i = 0; i < 7000; ++i) ASSERT_EQ(whole[i], parts[i]) << i;
  // Blocks packed on their own are the same bytes.
  Problem again(p.c);
  Guarded<uint8_t> packed(p.layout.bytes);
  Guarded<float> corr(p.layout.blocks * 16);
  for (int64_t block = p.layout.blocks; block-- > 0;)
    pack_grouped(p.layout, again.source(), block, block + 1, packed.data(), corr.data());
  EXPECT_EQ(0, std::memcmp(packed.data(), p.packed.data(), at(p.layout.bytes)));
  EXPECT_EQ(0, std::memcmp(corr.data(), p.corr.data(), at(p.layout.blocks * 64)));
}

TEST_P(Grouped, WeightOnlyIsWithinItsBound) {
  for (const uint32_t bits : {2u, 4u, 8u})
    for (const bool zeros : {false, true})
      for (const int64_t depth : {33, 172, 264})
        for (const int64_t group : {8, 32})
          for (const int64_t rows : {1, 3, 4, 9}) {
            Problem p({.spec = {.n = 70, .k = depth, .group = group, .bits = bits, .zeros = zeros}, .rows = rows});
            SCOPED_TRACE(name(p.c));
            Guarded<float> y(rows * 70), panel(grouped_panel(p.layout));
            GemmGroupedF32 g;
            g.layout = &p.layout, g.weights = p.packed.data(), g.x = p.x.data(), g.x_stride = depth, g.y = y.data();
            g.y_stride = 70, g.rows = rows, g.bias = p.bias.data(), g.panel = panel.data(), g.high = 5;
            for (g.block_begin = 0; g.block_begin < p.layout.blocks; g.block_begin = g.block_end) {
              g.block_end = std::min(p.layout.blocks, g.block_begin + 2);
              k().gemm_grouped_f32(g);
            }
            y.expect_guards("y"), panel.expect_guards("panel");
            for (int64_t m = 0; m < rows; ++m)
              for (int64_t n = 0; n < 70; ++n) {
                double want = p.bias[at(n)], reach = std::abs(want);
                for (int64_t i = 0; i < depth; ++i) {
                  const double w = p.weight(n, i) * static_cast<double>(p.scale(n, i / group));
                  want += w * p.x[at(m * depth + i)], reach += std::abs(w * p.x[at(m * depth + i)]);
                }
                ASSERT_NEAR(y[m * 70 + n], std::min(want, 5.0), static_cast<double>(depth + 2) * 0x1p-23 * reach)
                    << "row " << m << " column " << n;
              }
          }
}

TEST_P(Grouped, RowsOfAnEmbeddingAreExact) {
  for (const uint32_t bits : {2u, 4u, 8u})
    for (const ScaleType scale : {ScaleType::f32, ScaleType::f16, ScaleType::bf16})
      for (const bool zeros : {false, true})
        for (const int64_t depth : {37, 64}) {
          Problem p({.spec = {.n = 9, .k = depth, .group = 16, .bits = bits, .scale = scale, .zeros = zeros}});
          std::vector<uint16_t> half;
          for (const float s : p.scales)  // normal numbers: a f16 is the middle of a f32
            half.push_back(static_cast<uint16_t>(scale == ScaleType::bf16
                                                     ? std::bit_cast<uint32_t>(s) >> 16
                                                     : (std::bit_cast<uint32_t>(s) - (112u << 23)) >> 13));
          const std::vector<int64_t> indices = {3, 0, 8, 8};
          Guarded<float> y(4 * depth);
          EmbedGrouped e;
          e.codes = p.bytes.data(), e.zeros = p.source().zeros, e.spec = p.c.spec;
          e.scales = scale == ScaleType::f32 ? static_cast<const void*>(p.scales.data()) : half.data();
          e.indices = indices.data(), e.count = 4, e.y = y.data(), e.y_stride = depth;
          k().embed_grouped(e);
          y.expect_guards("y");
          for (int64_t i = 0; i < 4; ++i)
            for (int64_t c = 0; c < depth; ++c)
              ASSERT_EQ(y[i * depth + c],
                        static_cast<float>(p.weight(indices[at(i)], c)) * p.scale(indices[at(i)], c / 16));
        }
}

TEST(GroupedLayout, RefusesWhatNoKernelHandles) {
  const GroupedSpec good{.n = 16, .k = 64};
  const auto refused = [&](auto change) {
    GroupedSpec spec = good;
    change(spec);
    return !GroupedLayout::make(spec).has_value();
  };
  EXPECT_TRUE(GroupedLayout::make(good).has_value());
  EXPECT_TRUE(refused([](GroupedSpec& s) { s.n = 0; }));
  EXPECT_TRUE(refused([](GroupedSpec& s) { s.k = -1; }));
  EXPECT_TRUE(refused([](GroupedSpec& s) { s.bits = 3; }));
  EXPECT_TRUE(refused([](GroupedSpec& s) { s.bits = 0; }));
  EXPECT_TRUE(refused([](GroupedSpec& s) { s.group = 12; }));
  EXPECT_TRUE(refused([](GroupedSpec& s) { s.group = 0; }));
  EXPECT_TRUE(refused([](GroupedSpec& s) { s.group = 72; }));
  EXPECT_TRUE(refused([](GroupedSpec& s) { s.group = s.k = kMaxGroup + 8; }));
  EXPECT_TRUE(refused([](GroupedSpec& s) { s.scale = static_cast<ScaleType>(3); }));
  EXPECT_TRUE(refused([](GroupedSpec& s) { s.n = s.k = int64_t{1} << 40; }));
  EXPECT_TRUE(refused([](GroupedSpec& s) { s.n = std::numeric_limits<int64_t>::max(); }));
}

TEST(GroupedLayout, FourBitsWithHalfScalesTakeNineBytesPerSixteenWeights) {
  const GroupedLayout l = GroupedLayout::make({.n = 2048, .k = 5632}).value();
  EXPECT_EQ(l.bytes * 16, 2048 * 5632 * 9);
  EXPECT_EQ(l.block_bytes % 64, 0);
}

TEST(GroupedLayout, FindsTheSmallestExactScaleType) {
  EXPECT_EQ(exact_scale_type(std::vector<float>{0.5f, 0.000244140625f, 65504.0f, 0x1p-24f, 0}), ScaleType::f16);
  EXPECT_EQ(exact_scale_type(std::vector<float>{0.5f, 0x1p-25f}), ScaleType::bf16);
  EXPECT_EQ(exact_scale_type(std::vector<float>{0.5f, 0x1.008p-10f}), ScaleType::f16);
  EXPECT_EQ(exact_scale_type(std::vector<float>{65536.0f}), ScaleType::bf16);
  EXPECT_EQ(exact_scale_type(std::vector<float>{0.1f}), ScaleType::f32);
  EXPECT_EQ(exact_scale_type(std::vector<float>{0x1.008p-20f}), ScaleType::f32);
}

}  // namespace
}  // namespace quoin::cpu::test
