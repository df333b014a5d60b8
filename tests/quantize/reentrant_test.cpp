// A converted graph can be annotated, prepared, calibrated and converted again.
#include "fake_plugin.hpp"

namespace quoin::quantize {
namespace {

using test::count;
using test::in;
using test::out;
using test::random_tensor;

using Names = std::vector<std::string>;
constexpr const char* kQ = "quantize_per_tensor.default";
constexpr const char* kDq = "dequantize_per_tensor.default";
constexpr const char* kDqChannel = "dequantize_per_channel.default";

quoin_qspec abi_weight(bool per_channel) {
  quoin_qspec spec = test::abi_spec(QUOIN_S8, -127, 127);
  spec.flags = QUOIN_SYMMETRIC;
  spec.scheme = per_channel ? QUOIN_PER_CHANNEL : QUOIN_PER_TENSOR;
  spec.axis = per_channel ? 0 : -1;
  return spec;
}

// Annotates operand, weight and result of every layer of one operator; behind a relu that alone reads the result, if
// there is one. With `bias` the bias is derived.
test::FakePlugin::Annotate layers(std::string op, bool per_channel = true, bool bias = false) {
  return [=](const quoin_quant_request& request, const quoin_annotator& annotator, quoin_error&) {
    quoin_qspec data = test::abi_spec(), weight = abi_weight(per_channel);
    data.observer = test::str("minmax");
    for (uint32_t i = 0; i < request.graph->nodes.count; ++i) {
      if (test::op_at(request, i) != op || request.node_config[i] == QUOIN_NONE) continue;
      const bool relu = i + 1 < request.graph->nodes.count && test::op_at(request, i + 1) == "aten.relu.default";
      EXPECT_EQ(annotator.set(annotator.self, {i, 0, 0, 0}, &data), QUOIN_OK);
      EXPECT_EQ(annotator.set(annotator.self, {i, 1, 0, 0}, &weight), QUOIN_OK);
      EXPECT_EQ(annotator.set(annotator.self, {relu ? i + 1 : i, 0, 1, 0}, &data), QUOIN_OK);
      if (!bias) continue;
      const quoin_place sources[] = {{i, 0, 0, 0}, {i, 1, 0, 0}};
      quoin_qspec derived = test::abi_spec(QUOIN_S32, INT32_MIN, INT32_MAX);
      derived.kind = QUOIN_DERIVED;
      derived.scheme = per_channel ? QUOIN_PER_CHANNEL : QUOIN_PER_TENSOR;
      derived.axis = per_channel ? 0 : -1;
      derived.rule = QUOIN_RULE_PRODUCT;
      derived.sources = sources;
      derived.num_sources = 2;
      EXPECT_EQ(annotator.set(annotator.self, {i, 2, 0, 0}, &derived), QUOIN_OK);
    }
    return QUOIN_OK;
  };
}

// x -> conv -> relu -> linear
class Reentrant : public testing::Test {
 protected:
  Reentrant() {
    test::Model model;
    const auto conv = model.add("aten.conv2d.default",
                                {model.input({1, 3, 6, 4}), model.constant(random_tensor({3, 3, 3, 3}, 1), "conv_w"),
                                 model.constant(random_tensor({3}, 2), "conv_b")},
                                {{"padding", std::vector<int64_t>{1, 1}}}, "conv");
    const auto relu = model.add("aten.relu.default", {model.value(conv)}, {}, "relu");
    const auto linear = model.add("aten.linear.default",
                                  {model.value(relu), model.constant(random_tensor({5, 4}, 3), "linear_w"),
                                   model.constant(random_tensor({5}, 4), "linear_b")},
                                  {}, "linear");
    model.graph.set_outputs({model.value(linear)});
    model_ = std::move(model.graph);
  }
  // Annotates, calibrates and converts `graph` with the quantizers.
  ir::Graph quantized(ir::Graph graph, const std::vector<test::FakePlugin*>& plugins) {
    std::vector<Assignment> assignments;
    for (test::FakePlugin* plugin : plugins) assignments.push_back(plugin->assign());
    annotations_ = test::ok(annotate(graph, assignments, notes_));
    Prepared prepared = test::ok(prepare(graph, annotations_, {}));
    const test::Samples data({{sample_}});
    test::ok(calibrate(graph, prepared, &data, {}, test::host(), nullptr, notes_));
    return test::ok(convert(graph, prepared, notes_));
  }
  const Verdict& verdict(const ir::Graph& graph, std::string_view op) const {
    return annotations_.verdicts.at(test::find(graph, op));
  }
  void expect_equal(const ir::Graph& a, const ir::Graph& b) {
    EXPECT_EQ(test::ops(a), test::ops(b));
    for (size_t i = 0; i < std::min(a.order().size(), b.order().size()); ++i)
      EXPECT_EQ(a.node(a.order()[i]).attrs, b.node(b.order()[i]).attrs);
    for (const bool typed : {false, true}) {
      const auto left = test::run(typed ? test::ok(to_typed(a, notes_)) : a, {sample_})[0];
      const auto right = test::run(typed ? test::ok(to_typed(b, notes_)) : b, {sample_})[0];
      for (size_t i = 0; i < left.as<float>().size(); ++i) EXPECT_EQ(left.as<float>()[i], right.as<float>()[i]);
    }
  }
  bool told(std::string_view text) const {
    const auto notes = notes_.notes();
    return std::any_of(notes.begin(), notes.end(),
                       [&](const Note& note) { return note.text().find(text) != std::string::npos; });
  }

  ir::Graph model_;
  Tensor sample_ = random_tensor({1, 3, 6, 4}, 9);
  Diagnostics notes_;
  Annotations annotations_;
  test::FakePlugin conv_{layers("aten.conv2d.default"), "conv"}, linear_{layers("aten.linear.default"), "linear"};
};

TEST_F(Reentrant, OneQuantizerAfterTheOtherEqualsBothAtOnce) {
  const ir::Graph both = quantized(model_, {&linear_, &conv_});
  EXPECT_EQ(test::ops(both), (Names{kQ, kDq, kDqChannel, "conv2d.default", "relu.default", kQ, kDq, kDqChannel,
                                    "linear.default", kQ, kDq}));
  expect_equal(quantized(quantized(model_, {&linear_}), {&conv_}), both);
  // In the other order the result of the linear is observed behind the quantized convolution.
  EXPECT_EQ(test::ops(quantized(quantized(model_, {&conv_}), {&linear_})), test::ops(both));
}

// The reference's test_reentrant, which observes the operand of the linear a second time; here it is quantized once.
TEST_F(Reentrant, ASecondQuantizerTakesWhatTheFirstLeft) {
  test::FakePlugin linear(layers("aten.linear.default", false), "linear");
  const ir::Graph first = quantized(model_, {&conv_});
  const ir::Graph graph = quantized(first, {&linear});
  EXPECT_EQ(test::ops(graph),
            (Names{kQ, kDq, kDqChannel, "conv2d.default", "relu.default", kQ, kDq, kDq, "linear.default", kQ, kDq}));
  EXPECT_TRUE(told("input 0 of node linear"));
  EXPECT_TRUE(told("is quantized in the model already and stays s8 -128..127, affine"));
}

TEST_F(Reentrant, VerdictsSayWhatWasQuantizedBefore) {
  const ir::Graph first = quantized(model_, {&conv_});
  quantized(first, {&linear_});
  for (const char* op : {"conv2d.default", kQ, kDq, kDqChannel}) {
    EXPECT_EQ(verdict(first, op).kind, Verdict::Kind::quantized) << op;
    EXPECT_EQ(verdict(first, op).plugin, "model") << op;
  }
  EXPECT_EQ(verdict(first, "linear.default").plugin, "linear");
}

TEST_F(Reentrant, TheSameQuantizerFindsNothingLeft) {
  const ir::Graph once = quantized(model_, {&linear_, &conv_});
  const ir::Graph twice = quantized(once, {&linear_, &conv_});
  EXPECT_FALSE(annotations_.all().empty());
  for (const auto& [place, spec] : annotations_.all()) EXPECT_TRUE(spec.existing) << describe(once, place);
  expect_equal(once, twice);
}

TEST_F(Reentrant, ABiasIsDerivedFromAnExistingOperand) {
  test::FakePlugin linear(layers("aten.linear.default", true, true), "linear");
  const ir::Graph graph = quantized(quantized(model_, {&conv_}), {&linear});
  const ir::NodeId id = test::find(graph, "linear.default");
  const auto producer = [&](uint32_t slot) { return graph.node(graph.value(graph.input(id, slot)).producer); };
  EXPECT_EQ(get_text(producer(2).attrs, "dtype"), "s32");
  const auto x = static_cast<float>(get_number(producer(0).attrs, "scale"));
  const auto w = graph.value(producer(1).inputs[1]).constant->as<float>();
  const auto b = graph.value(producer(2).inputs[1]).constant->as<float>();
  for (size_t i = 0; i < 5; ++i) EXPECT_EQ(b[i], x * w[i]);
}

TEST_F(Reentrant, OtherQParamsAreNotForcedOnAnExistingPlace) {
  test::FakePlugin unsigned_linear(
      [](const quoin_quant_request& request, const quoin_annotator& annotator, quoin_error&) {
        quoin_qspec data = test::abi_spec(QUOIN_U8, 0, 255), weight = abi_weight(true);
        for (uint32_t i = 0; i < request.graph->nodes.count; ++i) {
          if (test::op_at(request, i) != "aten.linear.default") continue;
          EXPECT_EQ(annotator.set(annotator.self, {i, 0, 0, 0}, &data), QUOIN_OK);
          EXPECT_EQ(annotator.set(annotator.self, {i, 1, 0, 0}, &weight), QUOIN_OK);
          EXPECT_EQ(annotator.set(annotator.self, {i, 0, 1, 0}, &data), QUOIN_OK);
        }
        return QUOIN_OK;
      },
      "unsigned");
  const ir::Graph graph = quantized(quantized(model_, {&conv_}), {&unsigned_linear});
  const ir::NodeId id = test::find(graph, "linear.default");
  EXPECT_EQ(get_text(graph.node(graph.value(graph.input(id, 0)).producer).attrs, "dtype"), "s8");
  EXPECT_EQ(get_text(graph.node(graph.value(graph.output(id)).users[0].node).attrs, "dtype"), "u8");
}

TEST_F(Reentrant, SharingWithAnExistingPlaceTakesItsQParams) {
  test::FakePlugin sharing(
      [](const quoin_quant_request& request, const quoin_annotator& annotator, quoin_error&) {
        const quoin_qspec data = test::abi_spec(), weight = abi_weight(true);
        for (uint32_t i = 0; i < request.graph->nodes.count; ++i) {
          if (test::op_at(request, i) != "aten.linear.default") continue;
          const quoin_place source{i, 0, 0, 0};
          quoin_qspec shared = test::abi_spec();
          shared.kind = QUOIN_SHARED;
          shared.sources = &source;
          shared.num_sources = 1;
          EXPECT_EQ(annotator.set(annotator.self, source, &data), QUOIN_OK);
          EXPECT_EQ(annotator.set(annotator.self, {i, 1, 0, 0}, &weight), QUOIN_OK);
          EXPECT_EQ(annotator.set(annotator.self, {i, 0, 1, 0}, &shared), QUOIN_OK);
        }
        return QUOIN_OK;
      },
      "sharing");
  const ir::Graph graph = quantized(quantized(model_, {&conv_}), {&sharing});
  const ir::NodeId id = test::find(graph, "linear.default");
  EXPECT_EQ(graph.node(graph.value(graph.input(id, 0)).producer).attrs.at("scale"),
            graph.node(graph.value(graph.output(id)).users[0].node).attrs.at("scale"));
}

TEST_F(Reentrant, AResultBeforeADynamicChainIsQuantizedOnItsOwn) {
  test::FakePlugin dynamic(
      [](const quoin_quant_request& request, const quoin_annotator& annotator, quoin_error&) {
        quoin_qspec data = test::abi_spec(), weight = abi_weight(true);
        data.flags = QUOIN_DYNAMIC;
        for (uint32_t i = 0; i < request.graph->nodes.count; ++i) {
          if (test::op_at(request, i) != "aten.linear.default") continue;
          EXPECT_EQ(annotator.set(annotator.self, {i, 0, 0, 0}, &data), QUOIN_OK);
          EXPECT_EQ(annotator.set(annotator.self, {i, 1, 0, 0}, &weight), QUOIN_OK);
        }
        return QUOIN_OK;
      },
      "dynamic");
  const ir::Graph graph = quantized(quantized(model_, {&dynamic}), {&conv_});
  EXPECT_EQ(test::ops(graph),
            (Names{kQ, kDq, kDqChannel, "conv2d.default", "relu.default", kQ, kDq, "choose_qparams.tensor",
                   "quantize_per_tensor.tensor", "dequantize_per_tensor.tensor", kDqChannel, "linear.default"}));
  const ir::Graph typed = test::ok(to_typed(graph, notes_));
  EXPECT_EQ(test::ops(typed), (Names{"quantize.default", "conv2d.default", "relu.default", "dequantize.default",
                                     "linear_dynamic.default"}));
}

}  // namespace
}  // namespace quoin::quantize
