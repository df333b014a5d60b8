// The text of a graph reads back as the same graph, and foreign text is refused with its line and column.
#include "ir/parse.hpp"
#include "ir/dynamic.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "difference.hpp"
#include "ir/print.hpp"

namespace quoin::ir {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

std::string why(const Result<Graph>& result) { return result ? "parsed" : result.error().text(); }
std::string why(const Status& status) { return status ? "fine" : status.error().text(); }

Tensor floats(Shape shape, std::vector<float> values) {
  return Tensor::of<float>(DType::f32, std::move(shape), values);
}

std::shared_ptr<const QParams> shared(QParams q) { return std::make_shared<const QParams>(std::move(q)); }

ValueId result(Graph& graph, std::string_view op, std::vector<ValueId> inputs, Attrs attrs = {},
               Provenance provenance = {}) {
  const auto id = graph.add_node(op, std::move(inputs), std::move(attrs), {}, std::move(provenance));
  EXPECT_TRUE(id) << id.error().text();
  return graph.output(*id);
}

void expect_identity(const Graph& graph) {
  ASSERT_TRUE(verify(graph)) << why(verify(graph));
  const std::string text = print(graph, Detail::complete);
  const auto parsed = parse(text);
  ASSERT_TRUE(parsed) << why(parsed) << "\n" << text;
  EXPECT_EQ(test::difference(graph, *parsed), "") << text;
  EXPECT_EQ(print(*parsed, Detail::complete), text);
  EXPECT_TRUE(verify(*parsed)) << why(verify(*parsed));
}

// Two inputs, a convolution inside two modules, a node with two results, one constant twice, odd names.
Graph sample() {
  Graph graph;
  graph.name = "a \"graph\"";
  const ValueId x = graph.add_input("x", {DType::f32, {1, 2, 4, 4}, nullptr});
  const ValueId y = graph.add_input("/in put\n\xc3\xa4:0", {DType::f32, {1, 4, 4, 4}, nullptr});
  std::vector<float> elements(4 * 2 * 3 * 3);
  for (size_t i = 0; i < elements.size(); ++i) elements[i] = 0.1f * static_cast<float>(i);
  const ValueId w = graph.add_constant("w", floats({4, 2, 3, 3}, elements));
  const ValueId b = graph.add_constant("b", floats({4}, {0.1f, -0.0f, 1e-40f, 3e38f}));
  const Provenance inside{
      {{"net", "Net"}, {"net.conv", "torch.nn.modules.conv.Conv2d"}}, "net.py:7", UINT64_MAX, {"a", "b\t"}};
  const ValueId conv =
      result(graph, "aten.conv2d.default", {x, w, b}, {{"padding", std::vector<int64_t>{1, 1}}}, inside);
  const ValueId sum = result(graph, "aten.add.Tensor", {conv, y});
  const ValueId twice = result(graph, "aten.add.Tensor", {sum, sum});
  const Attrs range{
      {"quant_min", int64_t{-128}}, {"quant_max", int64_t{127}}, {"eps", 1e-5}, {"dtype", std::string("s8")}};
  const ValueId scale = result(graph, "quantized_decomposed.choose_qparams.tensor", {twice}, range);
  const ValueId zero_point = graph.output(graph.value(scale).producer, 1);
  graph.set_outputs({zero_point, sum, x, w, sum});
  return graph;
}

TEST(Parse, EverythingOfAGraphComesBack) { expect_identity(sample()); }

// A step of a language model: states, and tokens of any number up to 4.
Graph language() {
  Graph graph;
  graph.name = "language";
  const ValueId x = graph.add_input("x", {DType::f32, {4, 1, 2}, nullptr});
  const ValueId positions = graph.add_input("positions", {DType::s64, {4}, nullptr});
  const ValueId cache = graph.add_input("cache", {DType::f32, {8, 1, 2}, nullptr});
  const ValueId updated = result(graph, "quoin.kv_update.default", {cache, x, positions});
  const ValueId y = result(graph, "quoin.attention.default", {x, updated, updated, positions}, {{"scale", 1.0}});
  graph.set_outputs({y, updated});
  graph.states = {{"layers.0.k", 2, 1}};
  graph.value(x).dynamic = graph.value(positions).dynamic = 1;
  EXPECT_TRUE(mark_dynamic(graph));
  return graph;
}

TEST(Parse, StatesAndDynamicDimsComeBack) {
  expect_identity(language());
  const std::string text = print(language());
  EXPECT_NE(text.find("input %x: f32[..4, 1, 2]\n"), std::string::npos) << text;
  EXPECT_NE(text.find("%attention: f32[..4, 1, 2] = "), std::string::npos) << text;
  EXPECT_NE(text.find("  state layers.0.k input 2 output 1\n}"), std::string::npos) << text;
}

TEST(Verify, DynamicDimsAreThoseThatInferenceFinds) {
  Graph graph = language();
  graph.value(graph.outputs()[0]).dynamic = 0;
  EXPECT_NE(why(verify(graph)).find("dims 0b0 are said to follow the length of the run, 0b1 do"), std::string::npos);
}

TEST(Parse, ErasedThingsLeaveNoTrace) {
  Graph graph = sample();
  graph.set_outputs({graph.inputs()[0]});
  graph.erase_dead();
  expect_identity(graph);
  expect_identity(graph.compact());
}

TEST(Parse, EveryResultHasItsOwnName) {
  const auto parsed = parse(R"(graph g {
    input %x: f32[4]
    %a: f64[1], %b: s64[1] = quantized_decomposed.choose_qparams.tensor(%x) {quant_min=0, quant_max=255, eps=1, dtype="u8"}
    %a_out1: f32[4] = aten.relu.default(%x)
    return %a_out1, %b })");
  ASSERT_TRUE(parsed) << why(parsed);
  EXPECT_EQ(parsed->value(parsed->outputs()[0]).name, "a_out1");
  EXPECT_EQ(parsed->value(parsed->outputs()[1]).name, "b");
  expect_identity(*parsed);
}

TEST(Parse, QParamsOfEverySchemeComeBack) {
  Graph graph;
  const auto channel = [](Scheme scheme, std::vector<float> scale, std::vector<int32_t> zero_point) {
    QParams q;
    q.scheme = scheme;
    q.scale = std::move(scale);
    q.zero_point = std::move(zero_point);
    return q;
  };
  std::vector<QParams> all{
      channel(Scheme::per_tensor, {0.02f}, {-3}),         channel(Scheme::per_tensor, {1e-30f}, {}),
      channel(Scheme::per_channel, {0.1f, 0.2f}, {0, 1}), channel(Scheme::per_group, {0.1f, 0.2f, 0.3f, 1.0f / 3}, {}),
      channel(Scheme::per_token, {0.5f, 0.25f}, {1, 2}),  channel(Scheme::per_block, {0.5f, 0.25f}, {1, 2})};
  all[2].axis = 0;
  all[3].group = 2;
  all[3].qmin = -7;
  all[3].qmax = 7;
  all[5].block = {1, 4};
  std::vector<ValueId> outputs;
  for (const QParams& q : all) {
    Tensor tensor(DType::s8, {2, 4});
    tensor.as<int8_t>()[3] = -5;
    outputs.push_back(graph.add_constant("w", tensor, shared(q)));
  }
  graph.set_outputs(outputs);
  expect_identity(graph);
}

TEST(Parse, ElementsOfEveryTypeComeBack) {
  Graph graph;
  std::vector<ValueId> outputs;
  for (uint32_t code = 0; code < 64; ++code) {
    const auto dtype = dtype_from_code(code);
    if (!dtype) continue;
    for (const Shape& shape : {Shape{}, Shape{0, 3}, Shape{3, 5}, Shape{7, 9}}) {
      Tensor tensor(*dtype, shape);
      std::mt19937 engine(code);
      for (auto& byte : std::span(static_cast<uint8_t*>(tensor.data()), tensor.bytes()))
        byte = static_cast<uint8_t>(engine());
      outputs.push_back(graph.add_constant(std::string(name(*dtype)), tensor));
    }
  }
  EXPECT_GE(outputs.size(), 14u * 4);
  graph.set_outputs(outputs);
  expect_identity(graph);
}

TEST(Parse, NumbersComeBackToTheBit) {
  const double odd_nan = std::bit_cast<double>(uint64_t{0xfff8000000000123});
  for (const double number : {0.0, -0.0, 1.0, -1.0, 0.1, 1e-5, 1.0 / 3, 1e22, 5e-324, 1.7976931348623157e308,
                              9007199254740993.0, kInf, -kInf, std::numeric_limits<double>::quiet_NaN(), odd_nan}) {
    Graph graph;
    const ValueId x = graph.add_input("x", {DType::f32, {2}, nullptr});
    graph.set_outputs({result(graph, "aten.hardtanh.default", {x}, {{"min_val", number}, {"max_val", kInf}})});
    expect_identity(graph);
  }
}

TEST(Parse, FixedTextIsItsOwnPrint) {
  const std::string text = R"(graph two {
  input %x: f32[1, 2]
  constant %w: s8[3, 2](per_channel, axis 0, range -127..127, scale [0.5, 0.25, 1e-07]) [1, -2, 3, 4, 5, -127]
  constant %b: s32[3](per_channel, axis 0, range -2147483648..2147483647, scale [0.5, 0.25, 1e-07]) [0, 1, 2]
  %q: s8[1, 2](range -128..127, scale 1, zero_point -3) = quoin.quantize.default(%x)
  %fc: s8[1, 3](range -128..127, scale 0.125, zero_point 7) = aten.linear.default(%q, %w, %b)
    modules ["net": "Net", "net.fc": "torch.nn.Linear"] source "net.py:3" id 12 origins ["linear"]
  %clamped: s8[1, 3](range -128..127, scale 0.125, zero_point 7) = aten.hardtanh.default(%fc) {max_val=inf, min_val=-0.0}
  %out: f32[1, 3] = quoin.dequantize.default(%clamped)
  return %out, %x
}
)";
  const auto parsed = parse(text);
  ASSERT_TRUE(parsed) << why(parsed);
  EXPECT_EQ(print(*parsed, Detail::complete), text);
  EXPECT_EQ(parsed->node(parsed->order()[1]).modules[1].type, "torch.nn.Linear");
  EXPECT_EQ(parsed->value(parsed->output(parsed->order()[1])).type.qparams->zero_point_at(0), 7);
}

TEST(Parse, BlanksCommentsAndOrderOfAttributesAreFree) {
  const auto parsed =
      parse("graph g{input%x:f32[ 2 ]# x\n%y:f32[2]=aten.hardtanh.default(%x){min_val=0,max_val=6}return%y}");
  ASSERT_TRUE(parsed) << why(parsed);
  EXPECT_EQ(get_number(parsed->node(parsed->order()[0]).attrs, "max_val"), 6.0);
}

TEST(Parse, ConstantsComeFromAProviderOrAreRefused) {
  const Graph graph = sample();
  const std::string text = print(graph, Detail::digests);
  EXPECT_LT(text.size(), print(graph, Detail::complete).size());
  const auto refused = parse(text, {"g.txt", {}});
  ASSERT_FALSE(refused);
  EXPECT_NE(why(refused).find("g.txt:4:37: the elements of %w are not in the text"), std::string::npos) << why(refused);

  float factor = 1;
  ParseOptions options;
  options.constants = [&](const std::string& name, const TensorType&) -> Result<Tensor> {
    for (ValueId id = 0; id < graph.value_capacity(); ++id)
      if (graph.value(id).name == name) {
        const auto elements = graph.value(id).constant->as<float>();
        std::vector<float> copy(elements.begin(), elements.end());
        for (float& x : copy) x *= factor;
        return floats(graph.value(id).constant->shape(), copy);
      }
    return fail(Code::not_found, "no constant {}", name);
  };
  const auto parsed = parse(text, options);
  ASSERT_TRUE(parsed) << why(parsed);
  EXPECT_EQ(test::difference(graph, *parsed), "");
  factor = 2;
  EXPECT_NE(why(parse(text, options)).find("another digest"), std::string::npos);
  options.constants = [](const std::string&, const TensorType&) -> Result<Tensor> { return floats({1}, {0}); };
  EXPECT_NE(why(parse(text, options)).find("%w is f32[4, 2, 3, 3], but its elements are f32[1]"), std::string::npos);
}

TEST(Parse, ShortQParamsAreRefusedWithAHint) {
  Graph graph;
  QParams q;
  q.scale = {0.5f};
  graph.set_outputs({graph.add_constant("w", Tensor(DType::s8, {1}), shared(q))});
  EXPECT_NE(why(parse(print(graph))).find("qparams in short are for people"), std::string::npos);
}

struct Bad {
  std::string body;     // of a graph whose first line declares %x: f32[2, 3]
  std::string message;  // with the place
};
class ParseErrors : public testing::TestWithParam<Bad> {};

TEST_P(ParseErrors, NameThePlaceAndTheReason) {
  const auto parsed = parse("graph g { input %x: f32[2, 3]\n" + GetParam().body + "\n}", {"t", {}});
  EXPECT_NE(why(parsed).find(GetParam().message), std::string::npos) << why(parsed);
}

INSTANTIATE_TEST_SUITE_P(
    All, ParseErrors,
    testing::Values(
        Bad{"return %y", "t:2:8: there is no %y so far"}, Bad{"return none", "t:2:8: a graph output cannot be absent"},
        Bad{"input %x: f32[1]", "t:2:7: the name %x is taken"},
        Bad{"input %\"\": f32[1]", "t:2:8: expected a name, found an empty name"},
        Bad{"input %y: f33[1]", "t:2:11: there is no element type \"f33\""},
        Bad{"input %y: f32[-1]", "t:2:15: expected a dim such as 512 or ..512, found \"-1\""},
        Bad{"input %y: f32[..]", "t:2:15: expected a dim such as 512 or ..512, found \"..\""},
        Bad{"input %y: f32[..1] return %x", "dim 0 follows the length of the run, of at most 1"},
        Bad{"input %y: f32[..4] input %z: f32[..5] return %x", "input z: dim 0 follows"},
        Bad{"constant %w: f32[..2] [1, 2]", "t:2:10: a constant has no length of the run"},
        Bad{"input %y: f32[..2, 3] %z: f32[2, 3] = aten.relu.default(%y) return %z", "value z: dims 0b0"},
        Bad{"%y: f32[..2, 3] = aten.relu.default(%x) return %y", "value y: dims 0b1"},
        Bad{"return %x state s input 0 output 1", "state s: it is no input and output of the graph"},
        Bad{"return %x state s input 4294967295 output 0", "t:2:25: 4294967295 is no input of the graph"},
        Bad{"return %x state s output 0", "t:2:19: expected \"input\", found \"output\""},
        Bad{"return %x state s input 0 output 0 state s input 0 output 0", "two states have this name"},
        Bad{"return %x state s input 0 output 0 state t input 0 output 0", "another state has its input"},
        Bad{"input %y: f32[1000000000, 1000000000]", "more than 2^48 elements"},
        Bad{"input %y: f32[1,1,1,1,1,1,1,1,1]", "t:2:11: shape [1, 1, 1, 1, 1, 1, 1, 1, 1] has more than 8 dimensions"},
        Bad{"%y: f32[2, 3] = aten.relo.default(%x)", "t:2:17: "},
        Bad{"%y: f32[2, 3] = aten.relo.default(%x)", "did you mean"},
        Bad{"%y: f32[3, 2] = aten.relu.default(%x)",
            "t:2:1: %y is declared as f32[3, 2], but its operator gives f32[2, 3]"},
        Bad{"%y: f32[2, 3], %z: f32[2] = aten.relu.default(%x)", "has 1 results, found names for 2"},
        Bad{"%y: f32[2, 3], %y: f32[2, 3] = aten.relu.default(%x)", "t:2:"},
        Bad{"%y: f32[2, 3] = aten.relu.default(none)", "t:2:17: "},
        Bad{"%y: f32[2, 3] = aten.relu.default(%x) {a=1}", "unknown attribute a"},
        Bad{"%y: f32[2, 3] = aten.hardtanh.default(%x) {min_val=0, min_val=1}",
            "t:2:55: attribute min_val stands here twice"},
        Bad{"%y: f32[2, 3] = aten.hardtanh.default(%x) {min_val=1e999}", "\"1e999\" is no value"},
        Bad{"%y: f32[2, 3] = aten.relu.default(%x) id -1", "t:2:42: an id is a number"},
        Bad{"%y: f32[2, 3] = aten.relu.default(%x) source \"a\\q\"", "unknown escape"},
        Bad{"constant %w: f32[2] [1]", "t:2:21: 1 elements where f32[2] has 2"},
        Bad{"constant %w: s8[1] [128]", "expected an integer in -128..127"},
        Bad{"constant %w: f16[1] [1]", "elements of f16 can only be given as base64"},
        Bad{"constant %w: f32[2] base64 \"AAA\"", "t:2:28: this is not base64"},
        Bad{"constant %w: f32[2] base64 \"AAAA\"", "t:2:28: 3 bytes where f32[2] has 8"},
        Bad{"constant %w: f32[1000000, 1000000] base64 \"\"", "0 bytes where"},
        Bad{"constant %w: s8[1](range 1..0, scale 1) [0] return %x", "empty integer range"},
        Bad{"constant %w: s8[1](scale 1) [0]", "the qparams have no range"},
        Bad{"constant %w: s8[1](range 0..1, scale 0) [0] return %x", "positive"},
        Bad{"constant %w: s8[1](range 0..1, range 0..1, scale 1) [0]", "stands here twice"},
        Bad{"constant %w: s8[1](range 0..9999999999, scale 1) [0]", "expected a range"},
        Bad{"retrun %x", "t:2:1: expected input, constant, a node or return, found \"retrun\""},
        Bad{"return %x \"", "a string without end"}, Bad{"return %x } x", "t:2:13: expected the end of the text"}));

TEST(Parse, TruncatedTextIsRefused) {
  const std::string text = print(sample(), Detail::complete);
  for (size_t size = 0; size + 2 < text.size(); ++size) {
    const auto parsed = parse(text.substr(0, size));
    ASSERT_FALSE(parsed) << size;
    ASSERT_NE(parsed.error().text().find("graph text:"), std::string::npos) << parsed.error().text();
  }
}

TEST(Parse, DamagedTextNeverCrashesAndWhatParsesVerifies) {
  const std::string text = print(sample(), Detail::complete);
  std::mt19937 engine(7);
  size_t parsed_count = 0;
  for (int i = 0; i < 4000; ++i) {
    std::string damaged = text;
    for (size_t flips = 1 + engine() % 3; flips > 0; --flips)
      damaged[engine() % damaged.size()] ^= static_cast<char>(1u << engine() % 8);
    if (const auto parsed = parse(damaged)) {
      ++parsed_count;
      ASSERT_TRUE(verify(*parsed));
      const std::string again = print(*parsed, Detail::complete);
      const auto second = parse(again);
      ASSERT_TRUE(second) << why(second);
      ASSERT_EQ(print(*second, Detail::complete), again);
    }
  }
  EXPECT_GT(parsed_count, 100u) << "elements and names may be flipped";
}

TEST(Parse, ManyReadersOfOneValueTakeLinearTime) {
  std::string text = "graph g { input %x: f32[1]\n";
  for (int i = 0; i < 20000; ++i) text += fmt::format("%n{}: f32[1] = aten.add.Tensor(%x, %x)\n", i);
  EXPECT_TRUE(parse(text + "return %n7 }"));
}

TEST(Parse, LongNestingIsNotNesting) {
  EXPECT_FALSE(parse(std::string(1 << 20, '[')));
  EXPECT_FALSE(parse("graph g { input %x: f32" + std::string(1 << 20, '[')));
  EXPECT_FALSE(parse("graph g { input %x: s8[1]" + std::string(1 << 20, '(')));
}

}  // namespace
}  // namespace quoin::ir
