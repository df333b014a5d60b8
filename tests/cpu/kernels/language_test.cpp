// Norms, rotations and attention of every tier against formulas in double.
#include "language.hpp"

#include <cmath>

#include "machine.hpp"

namespace quoin::cpu::test {
namespace {

class Language : public PerTier {};
INSTANTIATE_TEST_SUITE_P(Tiers, Language, ::testing::ValuesIn(usable_tiers()), tier_name);

size_t at(int64_t i) { return static_cast<size_t>(i); }

TEST_P(Language, RmsNorm) {
  for (const int64_t cols : {1, 7, 16, 64, 172, 1000}) {
    Random random(1);
    const auto x = random.reals(2 * cols, -3, 5), gamma = random.reals(cols);
    std::vector<float> y(at(2 * cols)), want(at(2 * cols));
    for (int64_t r = 0; r < 2; ++r) {
      double square = 0;
      for (int64_t c = 0; c < cols; ++c) square += std::pow(double{x[at(r * cols + c)]}, 2) / static_cast<double>(cols);
      for (int64_t c = 0; c < cols; ++c)
        want[at(r * cols + c)] =
            static_cast<float>(double{x[at(r * cols + c)]} / std::sqrt(square + 1e-5) * double{gamma[at(c)]});
    }
    k().rms_norm_f32({x.data(), gamma.data(), y.data(), 2, cols, cols, cols, 1e-5f});
    expect_near(y, want, 2e-6f, "rms norm of " + std::to_string(cols));
  }
}

TEST_P(Language, RopeTurnsPairs) {
  for (const bool interleaved : {false, true})
    for (const int64_t pairs : {1, 4, 9, 32}) {
      Random random(2);
      const int64_t heads = 3, length = 2 * pairs + 3;
      const auto x = random.reals(heads * length), angles = random.reals(pairs, -3, 3);
      std::vector<float> cosines, sines, y(x.size()), want = x;
      for (const float angle : angles) {
        cosines.push_back(std::cos(angle));
        sines.push_back(std::sin(angle));
      }
      for (int64_t h = 0; h < heads; ++h)
        for (int64_t i = 0; i < pairs; ++i) {
          const size_t a = at(h * length + (interleaved ? 2 * i : i)), b = a + at(interleaved ? 1 : pairs);
          want[a] = x[a] * cosines[at(i)] - x[b] * sines[at(i)];
          want[b] = x[b] * cosines[at(i)] + x[a] * sines[at(i)];
        }
      RopeF32 g{x.data(), y.data(), cosines.data(), sines.data(), heads, length, pairs, interleaved};
      k().rope_f32(g);
      EXPECT_EQ(y, want) << "pairs " << pairs;
      y = x;
      g.x = y.data();
      k().rope_f32(g);
      EXPECT_EQ(y, want) << "in place";
    }
}

TEST_P(Language, SiluTimesAnother) {
  for (const int64_t count : {1, 15, 16, 33}) {
    Random random(3);
    const auto a = random.reals(count, -20, 20), b = random.reals(count);
    std::vector<float> y(at(count)), want;
    for (int64_t i = 0; i < count; ++i)
      want.push_back(static_cast<float>(double{a[at(i)]} / (1 + std::exp(-double{a[at(i)]})) * double{b[at(i)]}));
    k().silu_mul_f32(a.data(), b.data(), y.data(), count);
    expect_near(y, want, 2e-6f, "silu * b");
  }
}

struct Case {
  int64_t tokens, heads, shared, rows, length, value_length, window, start;
};

// One key/value head out of `shared`, the last.
template <class T>
struct Problem {
  explicit Problem(const Case& from) : c(from) {
    Random random(7);
    query = random.reals(c.tokens * c.heads * c.length);
    make(random, c.length, keys, key_affine);
    make(random, c.value_length, values, value_affine);
    for (int64_t t = 0; t < c.tokens; ++t) positions.push_back(c.start + t);
  }
  void make(Random& random, int64_t length, std::vector<T>& to, std::vector<float>& affine) const {
    const int64_t count = c.rows * c.shared * length;
    if constexpr (std::is_same_v<T, float>)
      to = random.reals(count, -2, 2);
    else
      to = random.integers<T>(count, -128, 127);
    for (int64_t i = 0; i < c.rows * c.shared; ++i) {
      affine.push_back(random.real(0.005f, 0.02f));
      affine.push_back(static_cast<float>(random.integer(-128, 127)));
    }
  }
  double number(const std::vector<T>& from, const std::vector<float>& affine, int64_t row, int64_t length,
                int64_t i) const {
    const int64_t head = row * c.shared + c.shared - 1;
    const double x = from[at(head * length + i)];
    if (std::is_same_v<T, float>) return x;
    return (x - double{affine[at(2 * head + 1)]}) * double{affine[at(2 * head)]};
  }
  std::vector<float> expected() const {
    std::vector<float> out;
    for (int64_t r = 0; r < c.tokens * c.heads; ++r) {
      const int64_t last = positions[at(r / c.heads)];
      const int64_t first = c.window == 0 ? 0 : std::max<int64_t>(last - c.window + 1, 0);
      std::vector<double> sums(at(c.value_length), 0.0);
      double total = 0;
      for (int64_t row = first; row <= last; ++row) {
        double score = 0;
        for (int64_t d = 0; d < c.length; ++d)
          score += double{query[at(r * c.length + d)]} * number(keys, key_affine, row, c.length, d);
        const double power = std::exp(0.3 * score);
        total += power;
        for (int64_t d = 0; d < c.value_length; ++d)
          sums[at(d)] += power * number(values, value_affine, row, c.value_length, d);
      }
      for (const double sum : sums) out.push_back(static_cast<float>(sum / total));
    }
    return out;
  }
  CacheRows<T> rows(const std::vector<T>& data, const std::vector<float>& affine, int64_t length) const {
    return {data.data() + (c.shared - 1) * length, affine.data() + 2 * (c.shared - 1), c.shared * length, 2 * c.shared,
            length};
  }
  void run(void (*kernel)(const Attention<T>&), const std::string& what) const {
    const int64_t pairs = c.tokens * c.heads;
    std::vector<float> y(at(pairs * c.value_length)),
        memory(at(attention_floats(pairs, c.length, c.value_length)) + 16, NAN);
    Attention<T> g;
    g.query = query.data();
    g.query_stride = c.heads * c.length;
    g.tokens = c.tokens;
    g.heads = c.heads;
    g.keys = rows(keys, key_affine, c.length);
    g.values = rows(values, value_affine, c.value_length);
    g.positions = positions.data();
    g.window = c.window;
    g.scale = 0.3f;
    g.y = y.data();
    g.y_stride = c.heads * c.value_length;
    g.scratch = memory.data() + (64 - reinterpret_cast<uintptr_t>(memory.data()) % 64) / 4;
    kernel(g);
    expect_near(y, expected(), 1e-5f, what);
  }
  Case c;
  std::vector<float> query, key_affine, value_affine;
  std::vector<T> keys, values;
  std::vector<int64_t> positions;
};

TEST_P(Language, AttentionOverFloatsAndCodes) {
  const Case cases[] = {{1, 1, 1, 1, 1, 1, 0, 0},        {1, 4, 2, 300, 64, 64, 0, 299},
                        {1, 1, 3, 70, 20, 12, 5, 66},    {5, 3, 2, 90, 33, 17, 0, 80},
                        {40, 2, 1, 200, 16, 48, 0, 100}, {30, 1, 2, 130, 64, 32, 70, 99},
                        {64, 1, 1, 64, 128, 128, 0, 0},  {16, 1, 1, 65, 8, 40, 1, 49}};
  for (const Case& c : cases) {
    const std::string what = std::to_string(c.tokens) + " tokens, " + std::to_string(c.rows) + " rows";
    Problem<float>(c).run(k().attention_f32, what);
    Problem<int8_t>(c).run(k().attention_s8, what + " of codes");
  }
}

}  // namespace
}  // namespace quoin::cpu::test
