// Language models in one delegate: against the portable kernels, in place, for every length, and on every tier.
#include "language_net.hpp"

#include <cmath>
#include <cstring>

namespace quoin::cpu::testing {
namespace {

std::vector<uint64_t> tiers() {
  std::vector<uint64_t> out;
  for (const uint64_t isa :
       {uint64_t{0}, uint64_t{QUOIN_ISA_AVX2}, uint64_t{QUOIN_ISA_AVX2 | QUOIN_ISA_AVX512}, FakeHost::machine_isa()})
    if ((isa & ~FakeHost::machine_isa()) == 0) out.push_back(isa);
  return out;
}

struct Program {
  Program(const FakeHost& host, const ir::Graph& graph)
      : plugin(host), blob(plugin.compile(graph, named)), loaded(host, plugin, blob, named) {}
  Plugin plugin;
  Named named;
  Blob blob;
  Loaded loaded;
};

std::vector<Tensor> room_for(const std::vector<Tensor>& like) {
  std::vector<Tensor> out;
  for (const Tensor& t : like) out.emplace_back(t.dtype(), t.shape());
  return out;
}

double difference(const Tensor& a, const Tensor& b) {
  double worst = 0;
  for (size_t i = 0; i < a.as<float>().size(); ++i)
    worst = std::max(worst, std::abs(static_cast<double>(a.as<float>()[i]) - static_cast<double>(b.as<float>()[i])));
  return worst;
}
bool equal(const Tensor& a, const Tensor& b) {
  return a.bytes() == b.bytes() && std::memcmp(a.data(), b.data(), a.bytes()) == 0;
}

// Dynamic activations turn the last bit of a float into a step of an integer where it crosses the middle between two.
double tolerance(const LanguageShape& shape) {
  const bool steps =
      shape.int8_cache || shape.weights == Weights::int4_dynamic || shape.weights == Weights::int8_channels;
  return steps ? 0.05 : 2e-4;
}

class Models : public ::testing::TestWithParam<std::tuple<Weights, bool, bool>> {
 protected:
  LanguageShape shape() const {
    LanguageShape s;
    std::tie(s.weights, s.int8_cache, s.asymmetric) = GetParam();
    return s;
  }
};

TEST_P(Models, AreOneDelegateThatEqualsThePortableKernels) {
  for (const int64_t tokens : {1, 7})
    for (const uint64_t isa : tiers()) {
      LanguageShape s = shape();
      s.tokens = tokens;
      s.last_only = tokens > 1;
      const FakeHost host(3, isa);
      std::mt19937 random(5);
      const ir::Graph graph = language_graph(s, 1);
      const std::vector<Tensor> inputs = language_inputs(s, 3, random), expected = reference(host, graph, inputs);
      Program program(host, graph);
      ASSERT_EQ(program.loaded.status(), QUOIN_OK) << program.loaded.message();
      std::vector<Tensor> found = room_for(expected);
      ASSERT_EQ(program.loaded.run(inputs, found), QUOIN_OK) << program.loaded.message();
      EXPECT_LT(difference(found[0], expected[0]), tolerance(s)) << tokens << " tokens, isa " << isa;
    }
}

// Prefill in pieces of every length, caches in place, equals one run over all tokens.
TEST_P(Models, RunsOfAnyLengthUpdateTheirCachesInPlace) {
  LanguageShape whole = shape();
  whole.tokens = 9;
  const FakeHost host(2);
  std::mt19937 random(6);
  const std::vector<Tensor> inputs = language_inputs(whole, 0, random);
  const std::vector<Tensor> expected = reference(host, language_graph(whole, 2), inputs);
  LanguageShape pieces = whole;
  pieces.tokens = 5;
  pieces.dynamic = pieces.last_only = true;
  Program program(host, language_graph(pieces, 2));
  ASSERT_EQ(program.loaded.status(), QUOIN_OK) << program.loaded.message();
  std::vector<Tensor> state(inputs.begin() + 2, inputs.end());
  for (Tensor& t : state) {
    Tensor own(t.dtype(), t.shape());
    t = own;
  }
  Tensor logits(DType::f32, {1, whole.vocabulary});
  int64_t done = 0;
  for (const int64_t count : {3, 1, 5}) {
    std::vector<Tensor> piece;
    for (size_t i = 0; i < 2; ++i)
      piece.push_back(Tensor::of<int64_t>(
          DType::s64, {count}, inputs[i].as<int64_t>().subspan(static_cast<size_t>(done), static_cast<size_t>(count))));
    piece.insert(piece.end(), state.begin(), state.end());
    std::vector<Tensor> results{logits};
    results.insert(results.end(), state.begin(), state.end());
    ASSERT_EQ(program.loaded.run(piece, results), QUOIN_OK) << program.loaded.message();
    done += count;
  }
  const size_t row = static_cast<size_t>(whole.vocabulary);
  Tensor last = Tensor::of<float>(DType::f32, {1, whole.vocabulary}, expected[0].as<float>().subspan(8 * row, row));
  EXPECT_LT(difference(logits, last), tolerance(whole));
}

// Whatever the length, thread count and tier, integers decide: the same logits, bit by bit, where nothing is float but
// sums of one order.
TEST_P(Models, ThreadsDoNotChangeAnything) {
  const LanguageShape s = shape();
  std::mt19937 random(7);
  const ir::Graph graph = language_graph(s, 3);
  const std::vector<Tensor> inputs = language_inputs(s, 2, random);
  std::vector<Tensor> first;
  for (const uint32_t workers : {1u, 2u, 5u}) {
    const FakeHost host(workers);
    Program program(host, graph);
    std::vector<Tensor> found;
    for (const ir::ValueId id : graph.outputs())
      found.emplace_back(graph.value(id).type.dtype, graph.value(id).type.shape);
    ASSERT_EQ(program.loaded.run(inputs, found), QUOIN_OK) << program.loaded.message();
    if (first.empty()) first = found;
    for (size_t i = 0; i < found.size(); ++i) EXPECT_TRUE(equal(found[i], first[i])) << "output " << i;
  }
}

TEST_P(Models, MethodsShareTheirWeights) {
  LanguageShape prefill = shape(), decode = shape();
  prefill.dynamic = prefill.last_only = true;
  decode.tokens = 1;
  const FakeHost host;
  const Plugin plugin(host);
  Named named;
  const Blob first = plugin.compile(language_graph(prefill, 4), named);
  const size_t keys = named.size();
  EXPECT_GT(keys, 14u);
  const Blob second = plugin.compile(language_graph(decode, 4), named);
  EXPECT_EQ(named.size(), keys);
  EXPECT_LT(second.size(), 60000u) << "no weight lies in the blob";
}

INSTANTIATE_TEST_SUITE_P(Kinds, Models,
                         ::testing::Combine(::testing::Values(Weights::f32, Weights::int4, Weights::int4_dynamic,
                                                              Weights::int8_channels),
                                            ::testing::Bool(), ::testing::Bool()));

// -- single operators: equal to the portable kernels, bit by bit

void expect_equal(const ir::Graph& graph, const std::vector<Tensor>& inputs) {
  for (const uint64_t isa : tiers()) {
    const FakeHost host(2, isa);
    const std::vector<Tensor> expected = reference(host, graph, inputs);
    Program program(host, graph);
    ASSERT_EQ(program.loaded.status(), QUOIN_OK) << program.loaded.message();
    std::vector<Tensor> found = room_for(expected);
    ASSERT_EQ(program.loaded.run(inputs, found), QUOIN_OK) << program.loaded.message();
    for (size_t i = 0; i < found.size(); ++i)
      EXPECT_TRUE(equal(found[i], expected[i])) << "output " << i << ", isa " << isa;
  }
}

class Operators : public ::testing::TestWithParam<int> {
 protected:
  std::mt19937 random{static_cast<uint32_t>(GetParam())};
  Net net{random, false};
  Tensor indices(int64_t count, int64_t below) {
    Tensor out(DType::s64, {count});
    for (int64_t& i : out.as<int64_t>()) i = net.pick(0, below - 1);
    return out;
  }
  Net::V tokens(int64_t count) {
    return net.graph.add_input(net.graph.unique_name("t"), {DType::s64, {count}, nullptr});
  }
  DType dtype() { return std::array{DType::s2, DType::s4, DType::s8}[static_cast<size_t>(GetParam()) % 3]; }
};

TEST_P(Operators, GroupedDynamicLinear) {
  const int64_t group = 8 * net.pick(1, 9), columns = group * net.pick(1, 5), rows = net.pick(1, 70);
  const bool bias = net.pick(0, 1) == 0;
  const auto x = net.input({net.pick(1, 20), columns});
  const auto w = grouped_weight(net, dtype(), rows, columns, columns, group, net.pick(0, 1) == 0);
  const char* schemes[] = {"affine", "symmetric", "token", "token_symmetric"};
  auto y = net.real("quoin.linear_dynamic.default", {x, w, bias ? net.constant({rows}) : ir::kNone},
                    {{"scheme", std::string(schemes[net.pick(0, 3)])}});
  if (bias) y = net.clamp(y, -1, 1);
  expect_equal(net.returns({y}), random_inputs(net.graph, random));
}

// The padding that a quantizer adds for groups is free where the weight has nothing for it, and exact where it has.
TEST_P(Operators, PaddedDynamicLinear) {
  const int64_t used = net.pick(33, 64), zeros = GetParam() % 2 == 0 ? used : used - 2;
  const auto x = net.input({net.pick(1, 9), used});
  const auto padded =
      net.real("aten.pad.default", {x},
               {{"pad", std::vector<int64_t>{0, 64 - used}}, {"mode", std::string("constant")}, {"value", 0.0}});
  const auto w = grouped_weight(net, dtype(), 20, 64, zeros == used ? used : 64, 32, true);
  const Attrs token{{"scheme", std::string("token")}};
  expect_equal(net.returns({net.real("quoin.linear_dynamic.default", {padded, w}, token)}),
               random_inputs(net.graph, random));
}

TEST_P(Operators, Embedding) {
  const int64_t rows = net.pick(2, 60), columns = 32 * net.pick(1, 3), count = net.pick(1, 9);
  const auto ids = tokens(count);
  const auto coded = grouped_weight(net, dtype(), rows, columns, columns, 32, net.pick(0, 1) == 0);
  const auto real = net.constant({rows, 5});
  net.returns({net.real("aten.embedding.default", {coded, ids}), net.real("aten.embedding.default", {real, ids})});
  Tensor wanted = indices(count, rows);
  wanted.as<int64_t>()[0] = -1;  // the last row
  expect_equal(net.graph, {wanted});
}

TEST_P(Operators, RopeAndCaches) {
  const int64_t count = net.pick(1, 6), heads = net.pick(1, 3), length = 2 * net.pick(1, 20), rows = 8;
  const auto x = net.input({count, heads, length}), at = tokens(count);
  const auto codes = net.graph.add_input("codes", {DType::s8, {rows, heads, length}, nullptr});
  const auto affine = net.input({rows, heads, 2}), cache = net.input({rows, heads, length});
  const auto turned =
      net.real("quoin.rope.default", {x, at, net.constant({length / 2 - net.pick(0, 1) * (length > 2)})},
               {{"interleaved", net.pick(0, 1) == 0}, {"scale", 1.5}});
  const auto updated = net.real("quoin.kv_update.default", {cache, turned, at});
  const auto quantized = net.graph.add_node("quoin.kv_update_int8.default", {codes, affine, x, at}, {});
  const auto& results = net.graph.node(*quantized).outputs;
  net.returns({turned, updated, results[0], results[1]});
  std::vector<Tensor> inputs = random_inputs(net.graph, random);
  for (Tensor& t : inputs)
    if (t.dtype() == DType::s64) t = indices(count, rows);
  expect_equal(net.graph, inputs);
}

TEST_P(Operators, AttentionWithinItsBound) {
  const int64_t count = net.pick(1, 40), shared = net.pick(1, 3), heads = shared * net.pick(1, 4),
                rows = net.pick(50, 200);
  const auto q = net.input({count, heads, 24}), at = tokens(count);
  const auto k = net.input({rows, shared, 24}), v = net.input({rows, shared, 20});
  net.returns({net.real("quoin.attention.default", {q, k, v, at}, {{"scale", 0.2}, {"window", net.pick(0, 1) * 30}})});
  std::vector<Tensor> inputs = random_inputs(net.graph, random);
  for (Tensor& t : inputs)
    if (t.dtype() == DType::s64) t = indices(count, rows);
  for (const uint64_t isa : tiers()) {
    const FakeHost host(3, isa);
    const std::vector<Tensor> expected = reference(host, net.graph, inputs);
    Program program(host, net.graph);
    std::vector<Tensor> found = room_for(expected);
    ASSERT_EQ(program.loaded.run(inputs, found), QUOIN_OK) << program.loaded.message();
    EXPECT_LT(difference(found[0], expected[0]), 2e-5);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, Operators, ::testing::Range(0, 12));

// -- what a run may bring

class Runs : public ::testing::Test {
 protected:
  LanguageShape shape{.dynamic = true};
  std::mt19937 random{9};
  FakeHost host{2};
  ir::Graph graph = language_graph(shape, 5);
  std::vector<Tensor> outputs() const {
    std::vector<Tensor> out;
    for (const ir::ValueId id : graph.outputs())
      out.emplace_back(graph.value(id).type.dtype, graph.value(id).type.shape);
    return out;
  }
};

TEST_F(Runs, PositionsOutsideTheCacheAreNamed) {
  Program program(host, graph);
  std::vector<Tensor> inputs = language_inputs(shape, 0, random), found = outputs();
  inputs[1].as<int64_t>()[2] = 24;
  EXPECT_EQ(program.loaded.run(inputs, found), QUOIN_INVALID);
  EXPECT_NE(program.loaded.message().find("position 24 of token 2 is outside the cache of 24 rows"), std::string::npos)
      << program.loaded.message();
}

TEST_F(Runs, TokensOutsideTheVocabularyAreNamed) {
  Program program(host, graph);
  std::vector<Tensor> inputs = language_inputs(shape, 0, random), found = outputs();
  inputs[0].as<int64_t>()[1] = 50;
  EXPECT_EQ(program.loaded.run(inputs, found), QUOIN_INVALID);
  EXPECT_NE(program.loaded.message().find("index 50 of token 1 is outside the embedding of 50 rows"), std::string::npos)
      << program.loaded.message();
}

TEST_F(Runs, LongerThanCompiledIsUnsupported) {
  Program program(host, graph);
  LanguageShape longer = shape;
  longer.tokens = 8;
  std::vector<Tensor> inputs = language_inputs(longer, 0, random), found = outputs();
  EXPECT_EQ(program.loaded.run(inputs, found), QUOIN_UNSUPPORTED);
  EXPECT_NE(program.loaded.message().find("compiled for [7], found [8]"), std::string::npos)
      << program.loaded.message();
}

TEST_F(Runs, NamedDataOfAnotherSizeIsRefused) {
  const Plugin plugin(host);
  Named named;
  const Blob blob = plugin.compile(graph, named);
  for (auto& [key, bytes] : named) {
    Named changed = named;
    changed[key].pop_back();
    EXPECT_EQ(Loaded(host, plugin, blob, changed).status(), QUOIN_CORRUPT) << key;
    changed.erase(key);
    EXPECT_NE(Loaded(host, plugin, blob, changed).status(), QUOIN_OK) << key;
  }
}

// As blob_test.cpp, for the parts that only language models have.
TEST_F(Runs, ChangedBlobsAreRefusedOrHarmless) {
  const Plugin plugin(host);
  Named named;
  const Blob blob = plugin.compile(graph, named);
  const std::vector<Tensor> inputs = language_inputs(shape, 3, random);
  size_t refused = 0;
  for (int trial = 0; trial < 1500; ++trial) {
    Blob changed = blob;
    const auto head = static_cast<int64_t>(std::min<size_t>(blob.size(), 60 * 568));
    const auto at = static_cast<size_t>(std::uniform_int_distribution<int64_t>(0, head / 4 - 1)(random)) * 4;
    if (trial % 2 == 0) {
      changed[at] ^= static_cast<char>(1 << trial % 8);
    } else {
      const int32_t values[] = {0, 1, -1, 3, 8, 64, 4096, INT32_MAX, INT32_MIN};
      std::memcpy(&changed[at], &values[trial / 2 % 9], 4);
    }
    uint64_t scratch = 0, worker = 0;
    std::memcpy(&scratch, changed.data() + 24, sizeof scratch);
    std::memcpy(&worker, changed.data() + 32, sizeof worker);
    Loaded loaded(host, plugin, changed, named);
    refused += loaded.status() != QUOIN_OK ? 1 : 0;
    std::vector<Tensor> found = outputs();
    if (loaded.status() == QUOIN_OK && scratch < (1 << 24) && worker < (1 << 24)) loaded.run(inputs, found);
  }
  EXPECT_GT(refused, 200u);
}

TEST_F(Runs, CachesThatOthersReadAreDeclined) {
  const ir::ValueId cache = graph.inputs()[2];
  const auto copy = graph.add_node("aten.clone.default", {cache}, {});
  std::vector<ir::ValueId> results = graph.outputs();
  results.push_back(graph.output(*copy));
  graph.set_outputs(results);
  const Claimed claimed = Plugin(host).partition(graph);
  ASSERT_EQ(claimed.declined.size(), 1u);
  EXPECT_NE(claimed.declined[0].second.find("'cache0' is read by others, too"), std::string::npos);
}

}  // namespace
}  // namespace quoin::cpu::testing
