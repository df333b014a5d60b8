// The C++ API end to end, on the shipped digits model and the cpu plugin of this build tree.
#include "flow/flow.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "ir/print.hpp"

namespace quoin::flow {
namespace {

const std::string kQuickstart = std::string(QUOIN_SOURCE_ROOT) + "/configs/quickstart";

// Counts stages and steps; stops the flow at step `stop_at` of a stage with a known length.
class Counter : public Progress {
 public:
  explicit Counter(uint64_t stop_at = 0) : stop_at_(stop_at) {}
  void stage(std::string_view, uint64_t) override { ++stages; }
  bool step(uint64_t done) override {
    steps = std::max(steps, done);
    return stop_at_ == 0 || done < stop_at_;
  }
  uint64_t stages = 0, steps = 0;

 private:
  uint64_t stop_at_;
};

class Flow : public testing::Test {
 protected:
  void SetUp() override {
    auto loaded = recipe::load(kQuickstart + "/digits.yaml");
    ASSERT_TRUE(loaded) << loaded.error().text();
    recipe = *std::move(loaded);
    auto made = make_context(recipe, {QUOIN_PLUGIN_FOLDER}, false, notes);
    ASSERT_TRUE(made) << made.error().text();
    context = *std::move(made);
  }
  Result<Score> score(runtime::Executable& executable, const std::string& metric,
                      runtime::Executable* against = nullptr) {
    data::Source source;
    source.path = kQuickstart + "/test.safetensors";
    QUOIN_TRY(const auto dataset, data::open_dataset(source, input_specs(executable)));
    return evaluate(executable, against, *dataset, metric, nullptr, notes);
  }
  const std::string model = kQuickstart + "/digits.pt2";
  Diagnostics notes;
  recipe::Recipe recipe;
  std::unique_ptr<Context> context;
};

TEST_F(Flow, QuantizeReportsStagesAndPlacesEveryNode) {
  Counter progress;
  const auto result = quantize(model, recipe, *context, &progress, notes);
  ASSERT_TRUE(result) << result.error().text();
  EXPECT_EQ(progress.steps, result->samples);
  EXPECT_GE(progress.stages, 5u);
  EXPECT_EQ(result->lowered.placement.size(), result->graph.order().size());
  EXPECT_EQ(result->lowered.model.metadata.at("recipe"), recipe.resolved);
}

TEST_F(Flow, AProgramHasTheOutputNamesOfItsModel) {
  const auto result = quantize(model, recipe, *context, nullptr, notes);
  const auto executable = open_model(model, recipe, *context, notes);
  ASSERT_TRUE(result && executable);
  const program::Graph& graph = result->lowered.model.methods[0].graph;
  ASSERT_EQ(graph.outputs.size(), executable->outputs().size());
  for (size_t i = 0; i < graph.outputs.size(); ++i)
    EXPECT_EQ(graph.values[graph.outputs[i]].name, executable->outputs()[i].name);
}

TEST_F(Flow, APluginIsUnloadedOnceItsDelegatesAreGoneAndComesBackOnRequest) {
  {
    const auto executable = open_model(model, recipe, *context, notes);
    ASSERT_TRUE(executable) << executable.error().text();
    const Status refused = unload_plugin(*context, "cpu");
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().text().find("plugin \"cpu\" is in use by 1 object(s), among them 1 delegate"),
              std::string::npos)
        << refused.error().text();
  }
  const Status gone = unload_plugin(*context, "cpu");
  ASSERT_TRUE(gone) << gone.error().text();
  EXPECT_TRUE(context->registry.open("cpu"));
}

TEST_F(Flow, StoppingTheCalibrationIsCancelled) {
  Counter progress(3);
  const auto result = quantize(model, recipe, *context, &progress, notes);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::cancelled);
}

TEST_F(Flow, AFloatModelAgreesWithItself) {
  auto left = open_model(model, recipe, *context, notes);
  auto right = open_model(model, recipe, *context, notes);
  ASSERT_TRUE(left && right) << left.error().text();
  const auto result = score(*left, "top1", &*right);
  ASSERT_TRUE(result) << result.error().text();
  EXPECT_EQ(result->agreement, 1.0);
  EXPECT_EQ(result->sqnr_db, std::nullopt) << "no noise: the ratio has no value";
  EXPECT_GT(result->value, 0.95);
}

TEST_F(Flow, AMetricTheDataCannotGiveIsNamed) {
  auto executable = open_model(model, recipe, *context, notes);
  ASSERT_TRUE(executable);
  const auto result = score(*executable, "cosine");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::data);
  EXPECT_NE(result.error().text().find("cosine"), std::string::npos);
}

TEST_F(Flow, EveryNodeHasAVerdictWithAReason) {
  const auto annotated = annotate(model, recipe, *context, notes);
  ASSERT_TRUE(annotated) << annotated.error().text();
  for (const ir::NodeId id : annotated->graph.order()) {
    const auto verdict = annotated->annotations.verdicts.find(id);
    ASSERT_NE(verdict, annotated->annotations.verdicts.end()) << annotated->graph.describe(id);
    const bool quantized = verdict->second.kind == quantize::Verdict::Kind::quantized;
    EXPECT_FALSE((quantized ? verdict->second.rule : verdict->second.reason).empty()) << annotated->graph.describe(id);
  }
}

// A model that PyTorch quantized, and a recipe that wants to quantize: the model keeps what it has, without
// calibration.
TEST_F(Flow, AModelThatIsQuantizedAlreadyStaysAsItIs) {
  recipe.quantize.calibrate.data.path.clear();
  recipe::Recipe bare = recipe;
  bare.quantize.quantizers.clear();
  const std::string folder = std::string(QUOIN_SOURCE_ROOT) + "/tests/models/quantized/";
  for (const char* name : {"static_per_channel", "static_int16"}) {
    const std::string path = folder + name + ".pt2";
    const auto result = quantize(path, recipe, *context, nullptr, notes);
    ASSERT_TRUE(result) << result.error().text();
    size_t by_model = 0;
    for (const auto& [id, verdict] : result->annotations.verdicts) {
      EXPECT_EQ(verdict.kind, quantize::Verdict::Kind::quantized) << verdict.node << ": " << verdict.reason;
      by_model += verdict.plugin == "model" ? 1 : 0;
    }
    EXPECT_GT(by_model, 0u);
    for (const auto& [place, spec] : result->annotations.all()) EXPECT_TRUE(spec.existing) << place.node;

    const auto plain = quantize(path, bare, *context, nullptr, notes);
    ASSERT_TRUE(plain) << plain.error().text();
    EXPECT_EQ(ir::print(result->graph), ir::print(plain->graph));
    for (const ir::NodeId id : result->graph.order()) {
      if (result->graph.node(id).op().starts_with("quoin.")) continue;
      EXPECT_TRUE(result->graph.value(result->graph.output(id)).type.qparams) << result->graph.describe(id);
    }
  }
}

TEST_F(Flow, WithoutQuantizersTheProgramIsFloat) {
  recipe.quantize.quantizers.clear();
  const auto result = quantize(model, recipe, *context, nullptr, notes);
  ASSERT_TRUE(result) << result.error().text();
  const auto& placement = result->lowered.placement;
  EXPECT_TRUE(std::none_of(placement.begin(), placement.end(), [](const auto& row) { return row.integer; }));
}

}  // namespace
}  // namespace quoin::flow
