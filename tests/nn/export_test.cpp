// The form of exported graphs.
#include <set>

#include "../checkpoint/support.hpp"
#include "ir/dynamic.hpp"
#include "ir/verify.hpp"
#include "support.hpp"
#include "tiny_model.hpp"

namespace quoin::nn::test {
namespace {

using checkpoint::test::fails_with;
using checkpoint::test::TempFolder;

constexpr ExportOptions kOptions{.context = 32, .chunk = 8};

class Export : public ::testing::Test {
 protected:
  LanguageModel& make(TinyModel tiny = {}) {
    tiny.make();
    tiny.write(folder_.path());
    return model_.emplace(open(folder_.path()));
  }
  template <class T>
  T& find(const std::string& path) {
    Module* found = nullptr;
    visit(model_->root(), [&](Module& module) {
      if (module.path() == path) found = &module;
    });
    return dynamic_cast<T&>(*found);
  }
  TempFolder folder_;
  std::optional<LanguageModel> model_;
};

const ir::Node* find_node(const ir::Graph& graph, const std::string& name) {
  for (const ir::NodeId id : graph.order())
    if (graph.node(id).name == name) return &graph.node(id);
  return nullptr;
}
const ir::Value* find_value(const ir::Graph& graph, const std::string& name) {
  for (ir::ValueId id = 0; id < graph.value_capacity(); ++id)
    if (graph.value(id).name == name) return &graph.value(id);
  return nullptr;
}
// The node that reads the value called `name` at `slot`.
const ir::Node* reader(const ir::Graph& graph, const std::string& name) {
  const ir::Value* value = find_value(graph, name);
  return value == nullptr || value->users.empty() ? nullptr : &graph.node(value->users[0].node);
}

// Some codes with scale 0.1 in groups of 8.
Quantized quantize(int64_t out, int64_t in) {
  QParams qparams;
  qparams.dtype = DType::s4;
  qparams.scheme = Scheme::per_group;
  qparams.group = 8;
  qparams.qmin = -8;
  qparams.qmax = 7;
  qparams.scale.assign(static_cast<size_t>(out * in / 8), 0.1f);
  Tensor codes(DType::s4, {out, in});
  for (size_t i = 0; i < codes.bytes(); ++i) static_cast<uint8_t*>(codes.data())[i] = static_cast<uint8_t>(i * 37);
  return {std::move(codes), std::make_shared<QParams>(std::move(qparams))};
}

TEST_F(Export, MethodsHaveTheirInputsOutputsAndStates) {
  LanguageModel& model = make();
  const ir::Graph graph = must(model.export_method(Method::prefill, kOptions));
  std::vector<std::string> inputs, states;
  for (const ir::ValueId id : graph.inputs()) inputs.push_back(graph.value(id).name);
  for (const ir::State& state : graph.states) {
    states.push_back(state.name);
    EXPECT_EQ(graph.value(graph.inputs()[state.input]).type, (TensorType{DType::f32, {32, 2, 12}, nullptr}));
    EXPECT_EQ(graph.node(graph.value(graph.outputs()[state.output]).producer).op(), "quoin.kv_update.default");
  }
  EXPECT_EQ(graph.name, "prefill");
  EXPECT_EQ(states, (std::vector<std::string>{"layers.0.k", "layers.0.v", "layers.1.k", "layers.1.v"}));
  states.insert(states.begin(), {"tokens", "positions"});
  EXPECT_EQ(inputs, states);
  EXPECT_EQ(graph.outputs().size(), 5u);
}

TEST_F(Export, OnlyTheLengthIsDynamic) {
  LanguageModel& model = make();
  const ir::Graph score = must(model.export_method(Method::score, kOptions)),
                  prefill = must(model.export_method(Method::prefill, kOptions)),
                  decode = must(model.export_method(Method::decode, kOptions));
  EXPECT_EQ(ir::longest(score), 8);
  EXPECT_EQ(ir::longest(prefill), 8);
  EXPECT_EQ(ir::longest(decode), 0);
  const auto logits = [](const ir::Graph& graph) { return graph.value(graph.outputs()[0]); };
  EXPECT_EQ(logits(score).type.shape, (Shape{8, 32}));
  EXPECT_EQ(logits(score).dynamic, 1u);
  EXPECT_EQ(logits(prefill).type.shape, (Shape{1, 32}));
  EXPECT_EQ(logits(prefill).dynamic, 0u);
  EXPECT_EQ(logits(decode).type.shape, (Shape{1, 32}));
  EXPECT_EQ(find_value(score, "linear")->dynamic, 1u);
}

TEST_F(Export, Int8CachesHaveScalesAndZeroPoints) {
  LanguageModel& model = make();
  ExportOptions options = kOptions;
  options.int8_cache = true;
  const ir::Graph graph = must(model.export_method(Method::decode, options));
  ASSERT_EQ(graph.states.size(), 8u);
  EXPECT_EQ(find_value(graph, "layers.1.v")->type, (TensorType{DType::s8, {32, 2, 12}, nullptr}));
  EXPECT_EQ(find_value(graph, "layers.1.v_affine")->type, (TensorType{DType::f32, {32, 2, 2}, nullptr}));
}

TEST_F(Export, NodesCarryTheirModules) {
  LanguageModel& model = make();
  const ir::Graph graph = must(model.export_method(Method::decode, kOptions));
  const std::vector<ir::ModuleFrame> frames{{"", "CausalDecoder"},
                                            {"model", "Decoder"},
                                            {"model.layers.0", "DecoderLayer"},
                                            {"model.layers.0.self_attn", "Attention"},
                                            {"model.layers.0.self_attn.q_proj", "Linear"}};
  EXPECT_EQ(find_node(graph, "linear")->modules, frames);
  EXPECT_EQ(reader(graph, "lm_head.weight")->module_path(), "lm_head");
  EXPECT_EQ(reader(graph, "model.norm.weight")->module_path(), "model.norm");
  EXPECT_NE(find_node(graph, "kv_update_3"), nullptr);
}

TEST_F(Export, ParametersHaveTheNamesOfHuggingFace) {
  TinyModel tiny{.layers = 1, .qk_norm = true};
  tiny.architecture = "qwen3";
  tiny.make();
  LanguageModel& model = make(tiny);
  std::set<std::string> found, expected;
  visit(model.root(), [&](Module& module) {
    for (const Parameter* parameter : module.parameters()) {
      EXPECT_TRUE(parameter->name.starts_with(module.path())) << parameter->name;
      found.insert(parameter->name);
    }
  });
  for (const auto& [name, tensor] : tiny.weights) expected.insert(name);
  EXPECT_EQ(found, expected);
}

TEST_F(Export, MethodsShareTheBytesOfParameters) {
  LanguageModel& model = make();
  const ir::Graph prefill = must(model.export_method(Method::prefill, kOptions)),
                  decode = must(model.export_method(Method::decode, kOptions));
  size_t shared = 0;
  for (ir::ValueId id = 0; id < prefill.value_capacity(); ++id) {
    const ir::Value& value = prefill.value(id);
    if (!value.constant || !value.name.ends_with(".weight")) continue;
    const ir::Value* other = find_value(decode, value.name);
    ASSERT_NE(other, nullptr) << value.name;
    EXPECT_EQ(other->constant->data(), value.constant->data()) << value.name;
    ++shared;
  }
  EXPECT_EQ(shared, 1u + 2 * 9 + 2);
}

TEST_F(Export, TiedWeightsAreOneConstantUntilTheyDiffer) {
  LanguageModel& model = make({.tied = true});
  const ir::Graph tied = must(model.export_method(Method::decode, kOptions));
  EXPECT_EQ(find_value(tied, "lm_head.weight"), nullptr);
  EXPECT_EQ(find_value(tied, "model.embed_tokens.weight")->users.size(), 2u);

  find<Embedding>("model.embed_tokens").weight.quantized = quantize(32, 48);
  const ir::Graph apart = must(model.export_method(Method::decode, kOptions));
  EXPECT_EQ(find_value(apart, "lm_head.weight")->type.dtype, DType::f32);
  EXPECT_EQ(find_value(apart, "model.embed_tokens.weight")->type.dtype, DType::s4);
  EXPECT_EQ(reader(apart, "model.embed_tokens.weight")->op(), "aten.embedding.default");
}

TEST_F(Export, QuantizedLinearsAreTyped) {
  LanguageModel& model = make();
  find<Linear>("model.layers.0.mlp.up_proj").weight.quantized = quantize(40, 48);
  auto& dynamic = find<Linear>("model.layers.0.mlp.gate_proj");
  dynamic.weight.quantized = quantize(40, 48);
  dynamic.dynamic_activations = true;
  const ir::Graph graph = must(model.export_method(Method::score, kOptions));
  EXPECT_EQ(reader(graph, "model.layers.0.mlp.up_proj.weight")->op(), "aten.linear.default");
  const ir::Node* node = reader(graph, "model.layers.0.mlp.gate_proj.weight");
  EXPECT_EQ(node->op(), "quoin.linear_dynamic.default");
  EXPECT_EQ(get_text(node->attrs, "scheme"), "token");
  EXPECT_EQ(get_text(node->attrs, "granularity"), "per_token");
  EXPECT_EQ(runner(model, Method::score, kOptions)({1, 2, 3, 4, 5, 6, 7, 8}).shape(), (Shape{8, 32}));
}

TEST_F(Export, DynamicActivationsNeedAQuantizedWeight) {
  LanguageModel& model = make();
  find<Linear>("lm_head").dynamic_activations = true;
  EXPECT_TRUE(fails_with(model.export_method(Method::score, kOptions), Code::input, "module lm_head"));
}

TEST_F(Export, PaddedWeightsGetPaddedInputs) {
  LanguageModel& model = make();
  auto& linear = find<Linear>("model.layers.0.mlp.down_proj");
  linear.weight.quantized = quantize(48, 56);  // 40 columns and 16 that stand for nothing
  EXPECT_EQ(linear.padded_in(), 56);
  const ir::Graph graph = must(model.export_method(Method::score, kOptions));
  const ir::Node* node = reader(graph, "model.layers.0.mlp.down_proj.weight");
  const ir::Node& pad = graph.node(graph.value(node->inputs[0]).producer);
  EXPECT_EQ(pad.op(), "aten.pad.default");
  EXPECT_EQ(pad.module_path(), linear.path());
  EXPECT_EQ(graph.value(pad.outputs[0]).type.shape, (Shape{8, 56}));

  find<Embedding>("model.embed_tokens").weight.quantized = quantize(32, 56);
  const ir::Graph sliced = must(model.export_method(Method::score, kOptions));
  EXPECT_EQ(sliced.value(find_node(sliced, "slice")->outputs[0]).type.shape, (Shape{8, 48}));
}

TEST_F(Export, ReplacedParametersAreUsedHereOnly) {
  LanguageModel& model = make({.tied = true});
  auto& head = find<Linear>("lm_head");
  head.weight.replace(Tensor(DType::f32, {32, 48}));
  EXPECT_FALSE(head.weight.same_source(find<Embedding>("model.embed_tokens").weight));
  const Tensor logits = runner(model, Method::decode, kOptions)({1});
  EXPECT_EQ(std::as_const(logits).as<float>()[5], 0.0f);
  EXPECT_NE(find_value(must(model.export_method(Method::decode, kOptions)), "lm_head.weight"), nullptr);
}

TEST_F(Export, WindowsWiderThanTheContextAreNone) {
  TinyModel tiny{.architecture = "mistral", .more = R"(,"sliding_window":16)"};
  LanguageModel& model = make(tiny);
  const auto window = [&](int64_t context) {
    const ir::Graph graph = must(model.export_method(Method::decode, {.context = context, .chunk = 1}));
    return get_int(find_node(graph, "attention")->attrs, "window");
  };
  EXPECT_EQ(window(32), 16);
  EXPECT_EQ(window(16), 0);
}

TEST_F(Export, OptionsOutOfRangeAreRefused) {
  LanguageModel& model = make();
  const auto refuses = [&](ExportOptions options, const std::string& part) {
    return fails_with(model.export_method(Method::prefill, options), Code::input, part);
  };
  EXPECT_TRUE(refuses({.context = 65}, "context of 65 positions, the model has 1..64 (max_position_embeddings of "));
  EXPECT_TRUE(refuses({.context = 0}, "context of 0"));
  EXPECT_TRUE(refuses({.context = 32, .chunk = 33}, "chunk of 33 tokens, expected 1..32"));
  EXPECT_TRUE(fails_with(model.export_stage(4, 8), Code::input, "stage 4, the model has 4"));
  EXPECT_TRUE(fails_with(model.export_stage(1, 65), Code::input, "stage of 65 tokens"));
}

TEST_F(Export, StagesHaveNoStates) {
  LanguageModel& model = make();
  ASSERT_EQ(model.stages(), 4u);
  for (size_t stage = 0; stage < model.stages(); ++stage) {
    const ir::Graph graph = must(model.export_stage(stage, 8));
    EXPECT_TRUE(graph.states.empty());
    EXPECT_EQ(graph.outputs().size(), 1u);
    EXPECT_EQ(graph.inputs().size(), stage == 1 || stage == 2 ? 2u : 1u);
  }
}

}  // namespace
}  // namespace quoin::nn::test
