#include <quoin/numerics.hpp>

#include <cmath>

#include "machine.hpp"

namespace quoin::cpu::test {
namespace {

class Gemm : public PerTier {};
INSTANTIATE_TEST_SUITE_P(Tiers, Gemm, ::testing::ValuesIn(product_tiers()), tier_name);

// A product with everything that surrounds it; defaults are a typical layer.
struct Case {
  int64_t rows = 5, n = 20, k = 18;
  Fill fill = Fill::kUniform;
  int64_t a_gap = 3, y_gap = 5;
  int32_t zero_a = 131, zero_y = 117, low = 0, high = 255;
  int32_t most_bias = 5000;
};

struct Operands {
  std::vector<uint8_t> a;
  std::vector<int8_t> w;
  std::vector<int32_t> bias;
  std::vector<float> multiplier;
  std::vector<int8_t> packed;
  std::vector<int32_t> folded, sums;
  int64_t a_stride, y_stride;

  Operands(const Case& c, Random& random) : a_stride(c.k + c.a_gap), y_stride(c.n + c.y_gap) {
    a = random.activations(c.rows * a_stride, c.fill);
    w = random.integers<int8_t>(c.n * c.k, -128, 127, c.fill);
    bias = random.integers<int32_t>(c.n, -c.most_bias, c.most_bias);
    const int64_t padded = round_up(c.n, kChannelPadding);
    multiplier = random.reals(padded, 0.0001f, 0.01f);
    packed.resize(static_cast<size_t>(packed_gemm_s8(c.n, c.k)));
    folded.resize(static_cast<size_t>(padded));
    sums.resize(static_cast<size_t>(padded));
    pack_gemm_s8(w.data(), c.n, c.k, packed.data());
    column_sums(w.data(), c.n, c.k, sums.data());
    EXPECT_TRUE(fold_bias(w.data(), c.n, c.k, bias.data(), c.zero_a, folded.data()));
  }
  int32_t exact(const Case& c, int64_t m, int64_t n, int32_t zero) const {
    int64_t acc = 0;
    for (int64_t k = 0; k < c.k; ++k)
      acc += (int64_t{a[static_cast<size_t>(m * a_stride + k)]} - zero) * w[static_cast<size_t>(n * c.k + k)];
    return static_cast<int32_t>(acc);
  }
};

void check_u8(const KernelTable& kernels, const Case& c, uint32_t seed) {
  SCOPED_TRACE(::testing::Message() << "rows " << c.rows << " n " << c.n << " k " << c.k);
  Random random(seed);
  const Operands o(c, random);
  std::vector<uint8_t> y(static_cast<size_t>(c.rows * o.y_stride), 0xAB);
  GemmU8 g;
  g.a = o.a.data(), g.a_stride = o.a_stride, g.b = o.packed.data(), g.bias = o.folded.data();
  g.y = y.data(), g.y_stride = o.y_stride, g.rows = c.rows, g.n = c.n, g.k = c.k;
  g.out = {o.multiplier.data(), c.zero_y, c.low, c.high};
  kernels.gemm_u8(g);
  for (int64_t m = 0; m < c.rows; ++m)
    for (int64_t n = 0; n < o.y_stride; ++n) {
      const int32_t got = y[static_cast<size_t>(m * o.y_stride + n)];
      if (n >= c.n) {
        ASSERT_EQ(got, 0xAB) << "wrote past column " << c.n;
        continue;
      }
      const size_t i = static_cast<size_t>(n);
      const int32_t acc = o.exact(c, m, n, c.zero_a) + o.bias[i];
      ASSERT_EQ(got, numerics::requantize(acc, o.multiplier[i], c.zero_y, c.low, c.high))
          << "row " << m << " column " << n;
    }
}

TEST_P(Gemm, EveryTailOfRowsAndColumnsIsExact) {
  for (int64_t rows : {1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 25})
    for (int64_t n : {1, 7, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65, 80, 130}) check_u8(k(), {.rows = rows, .n = n}, 1);
}

TEST_P(Gemm, EveryTailOfDepthIsExact) {
  for (int64_t depth : {1, 2, 3, 4, 5, 27, 63, 64, 65, 1152}) {
    check_u8(k(), {.k = depth}, 2);
    for (int64_t n : {16, 32, 64, 128}) check_u8(k(), {.rows = 1, .n = n, .k = depth}, 2);
  }
}

TEST_P(Gemm, ExtremeOperandsNeitherSaturateNorWrap) {
  for (int64_t depth : {4, 64, 4096})
    for (int64_t rows : {1, 5}) check_u8(k(), {.rows = rows, .n = 64, .k = depth, .fill = Fill::kExtreme}, 3);
}

// Shapes around the tiles of AMX: 16 rows, 16 columns, a depth of 64, two by two.
TEST_P(Gemm, EveryTailOfTilesIsExact) {
  for (int64_t rows : {8, 15, 16, 17, 31, 32, 33, 47, 64, 97})
    for (int64_t n : {5, 16, 19, 32, 33, 48, 50})
      for (int64_t depth : {3, 60, 64, 65, 128, 190})
        check_u8(k(), {.rows = rows, .n = n, .k = depth, .fill = depth == 128 ? Fill::kExtreme : Fill::kUniform}, 11);
}

TEST_P(Gemm, ClampBoundsHoldInTheU8Domain) { check_u8(k(), {.zero_y = 10, .low = 10, .high = 90}, 4); }

TEST_P(Gemm, ManyRowsCrossTheCacheBlocks) { check_u8(k(), {.rows = 300, .n = 40, .k = 700}, 5); }

// Rows at any place, in runs at any distance: what a convolution makes of an image.
struct WindowCase {
  int64_t rows, n, runs, run;
  Fill fill = Fill::kUniform;
};

template <class T>
struct WindowOperands {
  std::vector<T> image;
  std::vector<const T*> rows;
  std::vector<int64_t> offsets, jumps;
  Windows<T> window;
  WindowOperands(const WindowCase& c, Random& random, std::vector<T> pixels, int64_t size) : image(std::move(pixels)) {
    const int64_t first = 5, reach = size / 2 - c.run - first;
    for (int64_t m = 0; m < c.rows; ++m) rows.push_back(image.data() + random.integer(0, size / 2));
    for (int64_t r = 0; r < c.runs; ++r) offsets.push_back(r == 0 ? first : random.integer(0, reach));
    for (int64_t r = 0; r + 1 < c.runs; ++r)
      jumps.push_back(offsets[static_cast<size_t>(r + 1)] - offsets[static_cast<size_t>(r)]);
    jumps.push_back(int64_t{1} << 40);  // of any value
    window = {rows.data(), jumps.data(), c.runs, first};
  }
  T at(int64_t m, int64_t r, int64_t k) const {
    return rows[static_cast<size_t>(m)][offsets[static_cast<size_t>(r)] + k];
  }
};

constexpr int64_t kImage = 900;
const WindowCase kWindowCases[] = {{9, 16, 3, 48},
                                   {25, 20, 3, 9},
                                   {7, 64, 10, 4},
                                   {3, 33, 9, 1},
                                   {17, 80, 1, 27},
                                   {1, 70, 4, 6},
                                   {40, 40, 3, 64},
                                   {33, 20, 9, 30},
                                   {18, 35, 2, 130, Fill::kExtreme},
                                   {8, 64, 9, 150, Fill::kExtreme}};

TEST_P(Gemm, WindowsAreRowsOfRuns) {
  for (const WindowCase& c : kWindowCases) {
    SCOPED_TRACE(::testing::Message() << "rows " << c.rows << " n " << c.n << " runs " << c.runs << " of " << c.run);
    Random random(8);
    const WindowOperands<uint8_t> o(c, random, random.activations(kImage, c.fill), kImage);
    const int64_t depth = c.runs * c.run, padded = round_up(c.n, kChannelPadding);
    const std::vector<int8_t> w = random.integers<int8_t>(c.n * depth, -128, 127, c.fill);
    std::vector<int8_t> packed(static_cast<size_t>(packed_conv_s8(c.n, depth, c.run)));
    pack_conv_s8(w.data(), c.n, depth, 1, 1, c.run, packed.data());
    const std::vector<int32_t> bias = random.integers<int32_t>(padded, -5000, 5000);
    const std::vector<float> multiplier = random.reals(padded, 0.0001f, 0.01f);
    std::vector<uint8_t> y(static_cast<size_t>(c.rows * c.n));
    GemmU8 g;
    g.window = o.window, g.b = packed.data(), g.bias = bias.data(), g.y = y.data(), g.y_stride = c.n;
    g.rows = c.rows, g.n = c.n, g.k = c.run, g.out = {multiplier.data(), 117, 3, 250};
    k().gemm_u8(g);
    for (int64_t m = 0; m < c.rows; ++m)
      for (int64_t n = 0; n < c.n; ++n) {
        int32_t acc = bias[static_cast<size_t>(n)];
        for (int64_t i = 0; i < depth; ++i)
          acc += o.at(m, i / c.run, i % c.run) * w[static_cast<size_t>(n * depth + i)];
        ASSERT_EQ(y[static_cast<size_t>(m * c.n + n)],
                  numerics::requantize(acc, multiplier[static_cast<size_t>(n)], 117, 3, 250))
            << "row " << m << " column " << n;
      }
  }
}

TEST_P(Gemm, FloatWindowsAreRowsOfRuns) {
  for (const WindowCase& c : kWindowCases) {
    SCOPED_TRACE(::testing::Message() << "rows " << c.rows << " n " << c.n << " runs " << c.runs << " of " << c.run);
    Random random(9);
    const WindowOperands<float> o(c, random, random.reals(kImage), kImage);
    const int64_t depth = c.runs * c.run;
    const std::vector<float> w = random.reals(c.n * depth);
    std::vector<float> packed(static_cast<size_t>(packed_gemm_f32(c.n, depth))), y(static_cast<size_t>(c.rows * c.n)),
        want(y.size());
    pack_gemm_f32(w.data(), c.n, depth, packed.data());
    GemmF32 g;
    g.window = o.window, g.b = packed.data(), g.b_block_stride = 16 * depth, g.y = y.data(), g.y_stride = c.n;
    g.rows = c.rows, g.n = c.n, g.k = c.run;
    k().gemm_f32(g);
    for (int64_t m = 0; m < c.rows; ++m)
      for (int64_t n = 0; n < c.n; ++n)
        for (int64_t i = 0; i < depth; ++i)
          want[static_cast<size_t>(m * c.n + n)] +=
              o.at(m, i / c.run, i % c.run) * w[static_cast<size_t>(n * depth + i)];
    expect_near(y, want, 1e-4f, "product");
  }
}

// Multipliers of the padded columns. Products of any int32 fit into int32 up to the largest number below 1; beyond that
// kernels must take care, even where only the last column has such a multiplier.
std::vector<std::vector<float>> multipliers_around_one(int64_t columns) {
  const auto padded = static_cast<size_t>(round_up(columns, kChannelPadding));
  std::vector<std::vector<float>> out;
  for (const float factor : {0x1.fffffep-1f, 1.0f, 1000.0f, 1e6f}) out.emplace_back(padded, factor);
  out.emplace_back(padded, 0.001f)[static_cast<size_t>(columns - 1)] = 1e6f;
  return out;
}

// Results far beyond int16 and beyond int32 end at the bounds, as do sums at both ends of int32.
TEST_P(Gemm, ResultsBeyondEveryBoundAreClamped) {
  for (const int64_t rows : {1, 9, 40})
    for (const auto& [low, high] : {std::pair{0, 255}, std::pair{40, 200}}) {
      const Case c{.rows = rows, .n = 70, .k = 64, .fill = Fill::kExtreme, .most_bias = INT32_MAX - 5'000'000};
      Random random(10);
      const Operands o(c, random);
      for (const std::vector<float>& multiplier : multipliers_around_one(c.n)) {
        std::vector<uint8_t> y(static_cast<size_t>(c.rows * c.n));
        GemmU8 g;
        g.a = o.a.data(), g.a_stride = o.a_stride, g.b = o.packed.data(), g.bias = o.folded.data();
        g.y = y.data(), g.y_stride = c.n, g.rows = c.rows, g.n = c.n, g.k = c.k;
        g.out = {multiplier.data(), 128, low, high};
        k().gemm_u8(g);
        for (int64_t m = 0; m < c.rows; ++m)
          for (int64_t n = 0; n < c.n; ++n) {
            const auto i = static_cast<size_t>(n);
            const int32_t acc = o.exact(c, m, n, c.zero_a) + o.bias[i];
            ASSERT_EQ(y[static_cast<size_t>(m * c.n + n)], numerics::requantize(acc, multiplier[i], 128, low, high))
                << acc << " column " << n;
          }
      }
    }
}

TEST_P(Gemm, DequantizedOutputIsTheExactAccumulatorTimesItsScale) {
  for (int64_t n : {1, 16, 40, 70}) {
    const Case c{.n = n};
    Random random(6);
    const Operands o(c, random);
    std::vector<float> y(static_cast<size_t>(c.rows * o.y_stride));
    GemmU8F32 g;
    g.a = o.a.data(), g.a_stride = o.a_stride, g.b = o.packed.data(), g.bias = o.folded.data();
    g.multiplier = o.multiplier.data(), g.y = y.data(), g.y_stride = o.y_stride;
    g.rows = c.rows, g.n = c.n, g.k = c.k, g.low = -1;
    k().gemm_u8_f32(g);
    for (int64_t m = 0; m < c.rows; ++m)
      for (int64_t j = 0; j < n; ++j) {
        const size_t i = static_cast<size_t>(j);
        const float real = static_cast<float>(o.exact(c, m, j, c.zero_a) + o.bias[i]) * o.multiplier[i];
        ASSERT_EQ(y[static_cast<size_t>(m * o.y_stride + j)], std::max(real, -1.0f)) << m << ", " << j;
      }
  }
}

void check_dynamic(const KernelTable& kernels, const Case& c) {
  Random random(7);
  const Operands o(c, random);
  const std::vector<int32_t> zero = random.integers<int32_t>(c.rows, 0, 255);
  const std::vector<float> scale = random.reals(c.rows, 0.001f, 0.1f), bias = random.reals(c.n);
  std::vector<float> y(static_cast<size_t>(c.rows * o.y_stride));
  GemmU8F32 g;
  g.a = o.a.data(), g.a_stride = o.a_stride, g.b = o.packed.data(), g.sums = o.sums.data();
  g.row_zero = zero.data(), g.row_scale = scale.data(), g.multiplier = o.multiplier.data(), g.float_bias = bias.data();
  g.y = y.data(), g.y_stride = o.y_stride, g.rows = c.rows, g.n = c.n, g.k = c.k;
  kernels.gemm_u8_f32(g);
  for (int64_t m = 0; m < c.rows; ++m)
    for (int64_t j = 0; j < c.n; ++j) {
      const size_t row = static_cast<size_t>(m), column = static_cast<size_t>(j);
      const float factor = scale[row] * o.multiplier[column];
      const float want = static_cast<float>(o.exact(c, m, j, zero[row])) * factor + bias[column];
      ASSERT_EQ(y[static_cast<size_t>(m * o.y_stride + j)], want) << m << ", " << j;
    }
}

TEST_P(Gemm, DynamicRowsUseTheirOwnScaleAndZeroPoint) {
  for (const int64_t rows : {1, 9, 35})
    for (const int64_t n : {7, 37, 130}) check_dynamic(k(), {.rows = rows, .n = n, .k = 50, .fill = Fill::kExtreme});
}

TEST_P(Gemm, FloatProductMatchesInEveryLayoutOfB) {
  for (int64_t rows : {1, 4, 7, 13})
    for (int64_t n : {1, 15, 16, 24, 49, 64, 100})
      for (int64_t depth : {1, 33}) {
        Random random(8);
        const std::vector<float> a = random.reals(rows * depth), w = random.reals(n * depth), bias = random.reals(n);
        std::vector<float> want(static_cast<size_t>(rows * n)), across(static_cast<size_t>(n * depth));
        for (int64_t i = 0; i < n * depth; ++i)
          across[static_cast<size_t>(i % depth * n + i / depth)] = w[static_cast<size_t>(i)];
        for (int64_t m = 0; m < rows; ++m)
          for (int64_t j = 0; j < n; ++j) {
            double sum = 0;
            for (int64_t i = 0; i < depth; ++i)
              sum += double{a[static_cast<size_t>(m * depth + i)]} * w[static_cast<size_t>(j * depth + i)];
            sum = 0.5 * sum + bias[static_cast<size_t>(j)];
            want[static_cast<size_t>(m * n + j)] = static_cast<float>(std::min(sum, 0.75));
          }
        std::vector<float> y(want.size()), packed(static_cast<size_t>(packed_gemm_f32(n, depth))),
            repacked(packed.size());
        pack_gemm_f32(w.data(), n, depth, packed.data());
        k().pack_rows_f32({w.data(), depth, n, depth, repacked.data()});
        EXPECT_EQ(packed, repacked);
        GemmF32 g;
        g.a = a.data(), g.a_stride = depth, g.b = packed.data(), g.b_block_stride = 16 * depth, g.bias = bias.data();
        g.y = y.data(), g.y_stride = n, g.rows = rows, g.n = n, g.k = depth, g.scale = 0.5f, g.high = 0.75f;
        k().gemm_f32(g);
        expect_near(y, want, 1e-5f, "packed");
        g.b = across.data(), g.b_block_stride = 16, g.b_row_stride = n;
        k().gemm_f32(g);
        expect_near(y, want, 1e-5f, "in place");
      }
}

}  // namespace
}  // namespace quoin::cpu::test
