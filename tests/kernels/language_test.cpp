// The operators of language models against formulas written out in double.
#include <quoin/numerics.hpp>

#include <algorithm>
#include <cmath>

#include "ir/snapshot.hpp"
#include "op_runner.hpp"

namespace quoin::test {
namespace {

Tensor positions(std::vector<int64_t> rows) {
  const auto count = static_cast<int64_t>(rows.size());
  return tensor<int64_t>({count}, std::move(rows));
}

std::shared_ptr<const QParams> groups(DType dtype, uint32_t group, std::vector<float> scale,
                                      std::vector<int32_t> zero) {
  QParams q;
  q.dtype = dtype;
  q.scheme = Scheme::per_group;
  q.group = group;
  q.qmin = -(1 << (bits(dtype) - 1));
  q.qmax = -q.qmin - 1;
  q.scale = std::move(scale);
  q.zero_point = std::move(zero);
  return std::make_shared<const QParams>(q);
}

// Codes of a [rows, columns] tensor with element 0 in the low bits; rows start on a byte.
Tensor packed(DType dtype, const std::vector<std::vector<int>>& rows) {
  Tensor out(dtype, {static_cast<int64_t>(rows.size()), static_cast<int64_t>(rows[0].size())});
  const size_t width = bits(dtype), line = (rows[0].size() * width + 7) / 8;
  for (size_t r = 0; r < rows.size(); ++r)
    for (size_t c = 0; c < rows[r].size(); ++c)
      out.as<uint8_t>()[r * line + c * width / 8] |=
          static_cast<uint8_t>((static_cast<uint32_t>(rows[r][c]) & ((1u << width) - 1)) << (c * width % 8));
  return out;
}

// -- rope

TEST(Rope, TurnsHalvesOfEveryHead) {
  const Tensor x = Random(1).reals({2, 3, 6});
  const std::vector<float> frequencies{1.0f, 0.1f};  // the last two elements of a head stay
  const std::vector<int64_t> at{0, 7};
  const Tensor y =
      Op("quoin.rope.default").in(x).in(positions(at)).in(tensor<float>({2}, frequencies)).attr("scale", 1.5).run();
  const auto from = x.as<float>(), to = y.as<float>();
  for (size_t t = 0; t < 2; ++t)
    for (size_t h = 0; h < 3; ++h) {
      const size_t first = (t * 3 + h) * 6;
      for (size_t i = 0; i < 2; ++i) {
        const double angle = static_cast<double>(at[t]) * static_cast<double>(frequencies[i]);
        const double a = from[first + i], b = from[first + i + 2];
        EXPECT_NEAR(to[first + i], 1.5 * (a * std::cos(angle) - b * std::sin(angle)), 2e-6);
        EXPECT_NEAR(to[first + i + 2], 1.5 * (b * std::cos(angle) + a * std::sin(angle)), 2e-6);
      }
      for (size_t i = 4; i < 6; ++i) EXPECT_EQ(to[first + i], from[first + i]);
    }
}

TEST(Rope, TurnsNeighboursIfInterleaved) {
  const Tensor y = Op("quoin.rope.default")
                       .in(tensor<float>({1, 1, 4}, {1, 2, 3, 4}))
                       .in(positions({2}))
                       .in(tensor<float>({2}, {1.0f, 0.5f}))
                       .attr("interleaved", true)
                       .run();
  const double c = std::cos(2.0), s = std::sin(2.0), d = std::cos(1.0), r = std::sin(1.0);
  const std::vector<double> expected{c - 2 * s, 2 * c + s, 3 * d - 4 * r, 4 * d + 3 * r};
  for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(y.as<float>()[i], expected[i], 1e-6);
}

// -- caches

TEST(KvUpdate, ReplacesTheRowsOfItsPositions) {
  const Tensor cache = Random(2).reals({4, 2, 3}), rows = Random(3).reals({2, 2, 3});
  const Tensor y = Op("quoin.kv_update.default").in(cache).in(rows).in(positions({3, 1})).run();
  for (size_t row = 0; row < 4; ++row)
    for (size_t i = 0; i < 6; ++i) {
      const bool replaced = row == 1 || row == 3;
      EXPECT_EQ(y.as<float>()[row * 6 + i],
                replaced ? rows.as<float>()[(row == 3 ? 0 : 6) + i] : cache.as<float>()[row * 6 + i]);
    }
}

TEST(KvUpdate, NamesAPositionOutsideTheCache) {
  for (const int64_t wrong : {int64_t{-1}, int64_t{4}, INT64_MAX, INT64_MIN}) {
    const std::string expected = fmt::format("position {} of token 1 is outside the cache of 4 rows", wrong);
    const Tensor cache = Random(2).reals({4, 2, 3}), rows = Random(3).reals({2, 2, 3});
    EXPECT_NE(Op("quoin.kv_update.default").in(cache).in(rows).in(positions({0, wrong})).error().find(expected),
              std::string::npos);
    EXPECT_NE(Op("quoin.kv_update_int8.default")
                  .in(Tensor(DType::s8, {4, 2, 3}))
                  .in(Tensor(DType::f32, {4, 2, 2}))
                  .in(rows)
                  .in(positions({0, wrong}))
                  .error()
                  .find(expected),
              std::string::npos);
    EXPECT_NE(Op("quoin.attention.default")
                  .in(rows)
                  .in(cache)
                  .in(cache)
                  .in(positions({0, wrong}))
                  .attr("scale", 1.0)
                  .error()
                  .find(expected),
              std::string::npos);
  }
}

TEST(KvUpdateInt8, ChoosesAScaleForEveryRowAndHead) {
  const Tensor rows = Random(5).reals({3, 2, 5}, -3, 1);
  const Tensor codes = Random(6).integers<int8_t>({4, 2, 5}, -128, 127), affine = Random(7).reals({4, 2, 2});
  const std::vector<size_t> at{2, 0, 3};
  const auto y = Op("quoin.kv_update_int8.default").in(codes).in(affine).in(rows).in(positions({2, 0, 3})).run_all();
  for (size_t i = 0; i < 6; ++i) {
    const auto row = rows.as<float>().subspan(i * 5, 5);
    const auto q = numerics::choose_dynamic(numerics::Dynamic::token, *std::min_element(row.begin(), row.end()),
                                            *std::max_element(row.begin(), row.end()), -128, 127, 0x1p-23f);
    const size_t to = at[i / 2] * 2 + i % 2;
    EXPECT_EQ(y[1].as<float>()[2 * to], q.scale);
    EXPECT_EQ(y[1].as<float>()[2 * to + 1], static_cast<float>(q.zero_point));
    for (size_t d = 0; d < 5; ++d)
      EXPECT_EQ(y[0].as<int8_t>()[to * 5 + d],
                numerics::quantize_dynamic(numerics::Dynamic::token, row[d], q, -128, 127));
  }
  for (size_t i = 0; i < 10; ++i) EXPECT_EQ(y[0].as<int8_t>()[10 + i], codes.as<int8_t>()[10 + i]) << "row 1 stays";
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(y[1].as<float>()[4 + i], affine.as<float>()[4 + i]);
}

// Runs the update with operand and result in one buffer, as a program does with its states.
TEST(KvUpdate, WritesInPlace) {
  ir::Graph graph;
  const auto cache = graph.add_input("cache", {DType::f32, {4, 1, 2}, nullptr});
  const auto rows = graph.add_input("rows", {DType::f32, {1, 1, 2}, nullptr});
  const auto at = graph.add_input("positions", {DType::s64, {1}, nullptr});
  graph.set_outputs(graph.node(*graph.add_node("quoin.kv_update.default", {cache, rows, at}, {})).outputs);
  const auto snapshot = ir::Snapshot::of(graph);
  const auto choice = kernels::KernelSet().select(snapshot.view(), 0, 0);
  ASSERT_TRUE(choice);
  void* state = nullptr;
  quoin_memory_need need{sizeof need, 0, 0, 0};
  quoin_error error{sizeof error, 0, 0, 0, {}};
  ASSERT_EQ(choice->kernel->prepare(&host(), snapshot.view(), 0, &state, &need, &error), QUOIN_OK);

  std::vector<float> buffer{0, 1, 2, 3, 4, 5, 6, 7}, row{8, 9};
  int64_t position = 2, dims[] = {4, 1, 2}, row_dims[] = {1, 1, 2}, one = 1;
  const quoin_tensor in[] = {{QUOIN_F32, 3, dims, buffer.data(), 32, nullptr},
                             {QUOIN_F32, 3, row_dims, row.data(), 8, nullptr},
                             {QUOIN_S64, 1, &one, &position, 8, nullptr}};
  std::vector<std::byte> scratch(need.scratch + 64);
  void* aligned = scratch.data() + (64 - reinterpret_cast<uintptr_t>(scratch.data()) % 64);
  const quoin_run run{sizeof run, 0, {in, 3, sizeof *in}, {in, 1, sizeof *in}, aligned, need.scratch, nullptr, nullptr};
  EXPECT_EQ(choice->kernel->run(&host(), state, &run, &error), QUOIN_OK);
  EXPECT_EQ(buffer, (std::vector<float>{0, 1, 2, 3, 8, 9, 6, 7}));
  choice->kernel->release(&host(), state);
}

// -- attention

struct Attention {
  int64_t tokens = 3, heads = 4, shared = 2, rows = 9, length = 5, value_length = 3, window = 0;
  double scale = 0.4;
  std::vector<int64_t> at{6, 7, 8};
  Tensor query = Random(11).reals({tokens, heads, length}), keys = Random(12).reals({rows, shared, length}),
         values = Random(13).reals({rows, shared, value_length});

  // softmax(scale * q . k) . v over the visible rows, one after the other
  std::vector<double> expected(const std::vector<double>& k, const std::vector<double>& v) const {
    std::vector<double> out;
    for (int64_t t = 0; t < tokens; ++t)
      for (int64_t h = 0; h < heads; ++h) {
        const int64_t last = at[static_cast<size_t>(t)], g = h / (heads / shared);
        std::vector<double> sums(static_cast<size_t>(value_length), 0.0);
        double total = 0;
        for (int64_t row = 0; row <= last; ++row) {
          if (window != 0 && row <= last - window) continue;
          double score = 0;
          for (int64_t d = 0; d < length; ++d)
            score += static_cast<double>(query.as<float>()[static_cast<size_t>((t * heads + h) * length + d)]) *
                     k[static_cast<size_t>((row * shared + g) * length + d)];
          const double power = std::exp(scale * score);
          total += power;
          for (int64_t d = 0; d < value_length; ++d)
            sums[static_cast<size_t>(d)] += power * v[static_cast<size_t>((row * shared + g) * value_length + d)];
        }
        for (const double sum : sums) out.push_back(sum / total);
      }
    return out;
  }
  static std::vector<double> wide(const Tensor& x) { return {x.as<float>().begin(), x.as<float>().end()}; }
  Op op() const {
    return Op("quoin.attention.default")
        .in(query)
        .in(keys)
        .in(values)
        .in(positions(at))
        .attr("scale", scale)
        .attr("window", window);
  }
};

void expect_equal(const Tensor& y, const std::vector<double>& expected) {
  ASSERT_EQ(y.as<float>().size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(y.as<float>()[i], expected[i], 2e-6) << "element " << i;
}

TEST(Attention, SeesTheRowsUpToItsPosition) {
  const Attention a;
  expect_equal(a.op().run(), a.expected(Attention::wide(a.keys), Attention::wide(a.values)));
}

TEST(Attention, SeesAWindow) {
  for (const int64_t window : {1, 3, 8, 100}) {
    Attention a;
    a.window = window;
    a.at = {0, 8, 4};
    expect_equal(a.op().run(), a.expected(Attention::wide(a.keys), Attention::wide(a.values)));
  }
}

TEST(Attention, LargeScoresStayFinite) {
  Attention a;
  a.scale = 1000;
  for (const float y : elements<float>(a.op().run())) EXPECT_TRUE(std::isfinite(y));
}

TEST(AttentionInt8, ReadsCodesAsTheNumbersTheyStandFor) {
  const Attention a;
  const auto codes = [](const Tensor& like, uint64_t seed) {
    return Random(seed).integers<int8_t>(like.shape(), -128, 127);
  };
  const auto pairs = [&](uint64_t seed) {
    Tensor out = Random(seed).reals({a.rows, a.shared, 2}, 0.005f, 0.02f);
    for (size_t i = 1; i < out.as<float>().size(); i += 2) out.as<float>()[i] = static_cast<float>(i % 40) - 20;
    return out;
  };
  const auto real = [](const Tensor& q, const Tensor& affine) {
    std::vector<double> out;
    const size_t length = q.as<int8_t>().size() * 2 / affine.as<float>().size();
    for (size_t i = 0; i < q.as<int8_t>().size(); ++i) {
      const float* pair = &affine.as<float>()[i / length * 2];
      out.push_back((static_cast<double>(q.as<int8_t>()[i]) - static_cast<double>(pair[1])) *
                    static_cast<double>(pair[0]));
    }
    return out;
  };
  const Tensor keys = codes(a.keys, 21), values = codes(a.values, 22), key_affine = pairs(23), value_affine = pairs(24);
  const Tensor y = Op("quoin.attention_int8.default")
                       .in(a.query)
                       .in(keys)
                       .in(key_affine)
                       .in(values)
                       .in(value_affine)
                       .in(positions(a.at))
                       .attr("scale", a.scale)
                       .run();
  expect_equal(y, a.expected(real(keys, key_affine), real(values, value_affine)));
}

// -- weights that stay packed

const std::vector<std::vector<int>> kCodes{{-8, 7, 3, 0, -1}, {1, -2, 5, -7, 6}, {0, 4, -4, 2, -3}};

TEST(QuantizedEmbedding, DequantizesTheRowsItIsAskedFor) {
  const auto q = groups(DType::s4, 5, {0.5f, 0.25f, 0.125f}, {1, -2, 0});
  const Tensor y = Op("aten.embedding.default").in(packed(DType::s4, kCodes), q).in(positions({2, 0, 2})).run();
  std::vector<float> expected;
  for (const size_t row : {2, 0, 2})
    for (const int code : kCodes[row])
      expected.push_back(static_cast<float>(code - q->zero_point[row]) * q->scale[row]);
  EXPECT_EQ(elements<float>(y), expected);
}

TEST(QuantizedEmbedding, HasGroupsOfTwoBits) {
  const auto q = groups(DType::s2, 3, {0.5f, 0.25f, 3.0f, 0.1f}, {});
  const Tensor y = Op("aten.embedding.default")
                       .in(packed(DType::s2, {{-2, 1, 0, -1, 1, -2}, {1, 1, -2, -1, 0, -1}}), q)
                       .in(positions({1, 0}))
                       .run();
  EXPECT_EQ(elements<float>(y), (std::vector<float>{3, 3, -6, -0.1f, 0, -0.1f, -1, 0.5f, 0, -0.25f, 0.25f, -0.5f}));
}

TEST(QuantizedEmbedding, HasOneScalePerRow) {
  const Tensor y = Op("aten.embedding.default")
                       .in(tensor<int8_t>({2, 2}, {-128, 127, 3, 4}), per_channel(0, {0.5f, 2}))
                       .in(positions({1, 0, -1}))
                       .run();
  EXPECT_EQ(elements<float>(y), (std::vector<float>{6, 8, -64, 63.5f, 6, 8}));
}

TEST(QuantizedEmbedding, NamesAnIndexOutsideTheTable) {
  const auto q = groups(DType::s4, 5, {0.5f, 0.25f, 0.125f}, {});
  const std::string error = Op("aten.embedding.default").in(packed(DType::s4, kCodes), q).in(positions({0, 3})).error();
  EXPECT_NE(error.find("index 3 is out of range for a dim of 3"), std::string::npos) << error;
}

TEST(WeightOnlyLinear, MultipliesWithTheNumbersTheCodesStandFor) {
  const auto q = groups(DType::s4, 5, {0.5f, 0.25f, 0.125f}, {1, -2, 0});
  const Tensor x = Random(31).reals({2, 5}), b = Random(32).reals({3});
  Tensor w(DType::f32, {3, 5});
  for (size_t o = 0; o < 3; ++o)
    for (size_t k = 0; k < 5; ++k)
      w.as<float>()[o * 5 + k] = static_cast<float>(kCodes[o][k] - q->zero_point[o]) * q->scale[o];
  EXPECT_EQ(elements<float>(Op("aten.linear.default").in(x).in(packed(DType::s4, kCodes), q).in(b).run()),
            elements<float>(Op("aten.linear.default").in(x).in(w).in(b).run()));
}

}  // namespace
}  // namespace quoin::test
