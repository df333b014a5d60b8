// Scaled dot product attention becomes one instruction, whatever surrounds it, and computes what its operators do.
#include <algorithm>

#include "harness.hpp"

namespace quoin::cpu::testing {
namespace {

using Ints = std::vector<int64_t>;
using Names = std::vector<std::string>;

struct Shape4 {
  int64_t batch, heads, rows, keys, width, depth;  // depth: width of the values
  Shape mask;                                      // empty: none
};

class Attention : public ::testing::Test {
 protected:
  std::mt19937 random{7};
  Net net{random, false};
  Net::V scores = 0;  // before softmax

  Net::V swap(Net::V x, int64_t a, int64_t c) { return net.op("aten.transpose.int", {x}, {{"dim0", a}, {"dim1", c}}); }
  // [batch, rows, heads, width] of the graph's input, seen as [batch, heads, rows, width].
  Net::V split(int64_t batch, int64_t rows, int64_t heads, int64_t width) {
    return swap(net.input({batch, rows, heads, width}), 1, 2);
  }
  Net::V probabilities(const Shape4& s, Net::V q, Net::V k) {
    scores = net.op("aten.matmul.default", {q, swap(k, -1, -2)});
    scores = net.op("aten.mul.Tensor", {scores, net.constant({})});
    if (!s.mask.empty()) scores = net.op("aten.add.Tensor", {net.input(s.mask), scores});
    return net.op("aten.softmax.int", {scores}, {{"dim", int64_t{-1}}});
  }
  Net::V attention(const Shape4& s) {
    const auto p = probabilities(s, split(s.batch, s.rows, s.heads, s.width), split(s.batch, s.keys, s.heads, s.width));
    return net.op("aten.matmul.default", {p, split(s.batch, s.keys, s.heads, s.depth)});
  }
  void expect_close(Net::V out, uint32_t workers = 1) { expect_same(net.returns({out}), random, workers, 5e-5f); }

  // The operations that the compiled graph runs.
  Names operations() {
    const FakeHost host;
    const Plugin plugin(host);
    Named named;
    const Blob blob = plugin.compile(net.graph, named);
    Loaded loaded(host, plugin, blob, named);
    Names names;
    quoin_profiler profiler{sizeof profiler, 0, &names, nullptr, nullptr, nullptr};
    profiler.begin = [](void* self, quoin_str name, uint64_t) -> uint64_t {
      static_cast<Names*>(self)->emplace_back(name.data, name.size);
      return 0;
    };
    profiler.end = [](void*, uint64_t) {};
    std::vector<Tensor> outputs;
    for (const auto id : net.graph.outputs()) outputs.emplace_back(DType::f32, net.graph.value(id).type.shape);
    EXPECT_EQ(loaded.run(random_inputs(net.graph, random), outputs, &profiler), QUOIN_OK);
    return names;
  }
};

TEST_F(Attention, IsOneInstructionThatReadsAndWritesTheHeadsInPlace) {
  const auto y = swap(attention({2, 3, 7, 9, 20, 24, {2, 1, 1, 9}}), 1, 2);
  expect_close(net.op("aten.reshape.default", {y}, {{"shape", Ints{2, 7, 72}}}));
  EXPECT_EQ(operations(), Names{"sdpa_f32"});
}
TEST_F(Attention, PermutationsAreTranspositions) {
  const auto p = probabilities({1, 2, 5, 5, 8, 8, {}}, net.input({1, 2, 5, 8}), net.input({1, 2, 5, 8}));
  auto y = net.op("aten.matmul.default", {p, net.input({1, 2, 5, 8})});
  y = net.op("aten.permute.default", {y}, {{"dims", Ints{0, 2, 1, 3}}});
  expect_close(y);
  EXPECT_EQ(operations(), Names{"sdpa_f32"});
}
TEST_F(Attention, MasksRepeatOverAnyDim) {
  for (const Shape& mask :
       {Shape{}, Shape{11}, Shape{6, 11}, Shape{1, 1, 1, 11}, Shape{2, 3, 6, 11}, Shape{3, 1, 11}}) {
    net.graph = {};
    expect_close(attention({2, 3, 6, 11, 5, 20, mask}));
    EXPECT_EQ(operations(), Names{"sdpa_f32"});
  }
}
TEST_F(Attention, LongOnesAreSharedOutByRows) {
  expect_close(attention({1, 2, 300, 140, 32, 32, {300, 140}}), 3);
  EXPECT_EQ(operations(), Names{"sdpa_f32"});
}
TEST_F(Attention, SmallHeads) {
  for (const auto& [heads, depth] :
       std::vector<std::pair<int64_t, int64_t>>{{1, 16}, {2, 8}, {4, 4}, {16, 1}, {1, 1}}) {
    net.graph = {};
    expect_close(attention({1, heads, 4, 6, 3, depth, {}}), 2);
  }
}
TEST_F(Attention, ScoresThatAreReadElsewhereStayOperators) {
  const auto y = attention({1, 2, 5, 6, 8, 8, {}});
  expect_same(net.returns({y, scores}), random, 1, 5e-5f);
  const Names names = operations();
  EXPECT_EQ(std::ranges::count(names, "sdpa_f32"), 0);
  EXPECT_EQ(std::ranges::count(names, "matmul_f32"), 2);
}
TEST_F(Attention, AMaskOfOneNumberPerRowStaysAnOperator) {
  expect_close(attention({1, 2, 5, 6, 8, 8, {5, 1}}));
  EXPECT_EQ(std::ranges::count(operations(), "sdpa_f32"), 0);
}

TEST_F(Attention, AMaskThatAddsImagesStaysAnOperator) {
  const auto p = probabilities({1, 2, 5, 5, 8, 8, {3, 1, 5, 5}}, net.input({1, 2, 5, 8}), net.input({1, 2, 5, 8}));
  expect_close(net.op("aten.matmul.default", {p, net.input({3, 2, 5, 8})}));
  EXPECT_EQ(std::ranges::count(operations(), "sdpa_f32"), 0);
}

}  // namespace
}  // namespace quoin::cpu::testing
