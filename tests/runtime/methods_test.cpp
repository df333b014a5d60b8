// Several methods in one program: what they share, and states that live between runs.
#include "language.hpp"

namespace quoin::runtime {
namespace {

using ::testing::HasSubstr;
using Tensors = std::vector<Tensor>;

TEST_F(Language, MethodsShareTheirStates) {
  auto executable = load(lowered(methods()));
  ASSERT_TRUE(executable) << why(executable);
  EXPECT_EQ(generate(*executable, {{0, 4}, {1, 1}, {0, 2}, {1, 1}}), at_once(8));
}

TEST_F(Language, StatesAreZeroAtFirstAndAfterAReset) {
  auto executable = load(lowered(methods()));
  ASSERT_TRUE(executable) << why(executable);
  const std::vector<float> first = generate(*executable, {{0, 3}, {1, 1}});
  executable->reset_states();
  EXPECT_EQ(generate(*executable, {{0, 3}, {1, 1}}), first);
  EXPECT_EQ(first, at_once(4));
}

TEST_F(Language, ObjectsOfOneProgramHaveStatesOfTheirOwn) {
  const program::Model model = lowered(methods());
  auto first = load(model), second = load(model);
  ASSERT_TRUE(first && second);
  const std::vector<float> wanted = at_once(4);
  generate(*first, {{0, 2}});
  EXPECT_EQ(generate(*second, {{0, 4}}), wanted);
}

TEST_F(Language, MethodsAreFoundByNameAndListNoStates) {
  auto executable = load(lowered(methods()));
  ASSERT_TRUE(executable) << why(executable);
  EXPECT_EQ(executable->methods(), 2u);
  EXPECT_EQ(executable->method("prefill"), 0u);
  EXPECT_EQ(executable->method("decode"), 1u);
  EXPECT_EQ(executable->method("forward"), std::nullopt);
  ASSERT_EQ(executable->inputs(0).size(), 2u);
  EXPECT_EQ(executable->inputs(0)[1].name, "positions");
  EXPECT_EQ(executable->inputs(0)[1].dynamic, 1u);
  EXPECT_EQ(executable->inputs(1)[1].dynamic, 0u);
  ASSERT_EQ(executable->outputs(1).size(), 1u);
  ASSERT_EQ(executable->states().size(), 1u);
  EXPECT_EQ(executable->states()[0].name, "keys");
  EXPECT_GE(executable->memory(), uint64_t{kRows * 2 * sizeof(float)});
}

TEST_F(Language, UpdatesHappenInPlaceAndAreMarkedSo) {
  const program::Model model = lowered(methods());
  for (const program::Method& method : model.methods) {
    ASSERT_EQ(method.graph.states.size(), 1u);
    EXPECT_TRUE(method.graph.states[0].in_place) << method.name;
  }
}

// A plugin that claims the updates and computes them as a plugin would.
class Cached : public Language {
 protected:
  program::Model delegated() {
    fake.partition = quoin::testing::claims_op("quoin.kv_update.default");
    fake.run = [this](const quoin_run& call, quoin_error*) {
      ++delegate_runs;
      const auto* inputs = static_cast<const quoin_tensor*>(call.inputs.data);
      auto* out = static_cast<const quoin_tensor*>(call.outputs.data);
      EXPECT_EQ(inputs[0].data, out[0].data) << "a state that is updated in place";
      const auto* rows = static_cast<const float*>(inputs[1].data);
      const auto* positions = static_cast<const int64_t*>(inputs[2].data);
      for (int64_t i = 0; i < inputs[1].dims[0]; ++i)
        std::copy_n(rows + 2 * i, 2, static_cast<float*>(out[0].data) + 2 * positions[i]);
      return QUOIN_OK;
    };
    return lowered(methods(), {&fake});
  }
};

TEST_F(Cached, DelegatesUpdateStatesInPlace) {
  auto executable = load(delegated());
  ASSERT_TRUE(executable) << why(executable);
  EXPECT_EQ(generate(*executable, {{0, 4}, {1, 1}, {0, 2}}), at_once(7));
  EXPECT_EQ(delegate_runs, 3);
}

TEST_F(Cached, TheirOriginalsDoTheSame) {
  const program::Model model = delegated();
  plugin_present = false;
  auto executable = load(model);
  ASSERT_TRUE(executable) << why(executable);
  EXPECT_EQ(generate(*executable, {{0, 4}, {1, 1}, {0, 2}}), at_once(7));
  EXPECT_EQ(delegate_runs, 0);
}

TEST_F(Language, DelegatesOfAllMethodsShareNamedData) {
  const std::vector<float> table(5000, 1.5f);
  fake.partition = quoin::testing::claims_op("aten.neg.default");
  fake.compile = [&](const quoin_lower_request&, const quoin_blob_writer& writer, quoin_error*) {
    writer.write(writer.self, {"blob", 4});
    return writer.named(writer.self, {"table", 5}, {table.data(), table.size() * sizeof(float)}, 64);
  };
  const program::Model model = lowered(methods(), {&fake});
  ASSERT_EQ(model.delegates.size(), 2u);
  const auto first = model.delegates[0].named.at("table"), second = model.delegates[1].named.at("table");
  EXPECT_EQ(first.data(), second.data());
  EXPECT_EQ(first.size(), table.size() * sizeof(float));
}

TEST_F(Language, EveryDelegateIsLoadedOnce) {
  fake.partition = quoin::testing::claims_op("aten.neg.default");
  fake.run = [](const quoin_run& call, quoin_error*) {
    const auto& in = *static_cast<const quoin_tensor*>(call.inputs.data);
    const auto& out = *static_cast<const quoin_tensor*>(call.outputs.data);
    for (uint64_t i = 0; i < in.size / sizeof(float); ++i)
      static_cast<float*>(out.data)[i] = -static_cast<const float*>(in.data)[i];
    return QUOIN_OK;
  };
  auto executable = load(lowered(methods(), {&fake}));
  ASSERT_TRUE(executable) << why(executable);
  EXPECT_EQ(fake.live_delegates, 2);
  EXPECT_EQ(generate(*executable, {{0, 2}, {1, 1}}), at_once(3));
}

// total = total + x; y = total * x. The update is no in-place operator, and x + total reads the old content.
ir::Graph counter_graph(bool reads_old) {
  ir::Graph graph;
  graph.name = "counter";
  const auto x = graph.add_input("x", {DType::f32, {2}, nullptr});
  const auto total = graph.add_input("total", {DType::f32, {2}, nullptr});
  const auto sum = graph.output(*graph.add_node("aten.add.Tensor", {total, x}, {}, "sum"));
  const auto y = graph.output(*graph.add_node("aten.mul.Tensor", {reads_old ? total : sum, x}, {}, "y"));
  graph.set_outputs({sum, y});
  graph.states = {{"total", 1, 0}};
  return graph;
}

TEST_F(Language, OtherUpdatesAreCopiedAndSaidSo) {
  for (const bool reads_old : {false, true}) {
    const program::Model model = lowered({{"count", counter_graph(reads_old)}});
    EXPECT_FALSE(model.methods[0].graph.states[0].in_place);
    EXPECT_THAT(notes(), HasSubstr("state total: is copied in every run"));
    auto executable = load(model);
    ASSERT_TRUE(executable) << why(executable);
    const Tensors inputs = {Tensor::of<float>(DType::f32, {2}, std::vector<float>{2, 3})};
    for (const float before : {0.0f, 2.0f, 4.0f}) {
      const auto out = executable->run(inputs);
      ASSERT_TRUE(out) << out.error().text();
      ASSERT_EQ(out->size(), 1u);
      EXPECT_EQ((*out)[0].as<float>()[0], (reads_old ? before : before + 2) * 2);
    }
  }
}

TEST_F(Language, AStateThatAMethodOnlyReadsStays) {
  ir::Graph reader;
  const auto total = reader.add_input("total", {DType::f32, {2}, nullptr});
  const auto y = reader.output(*reader.add_node("aten.neg.default", {total}, {}, "y"));
  reader.set_outputs({y, total});
  reader.states = {{"total", 0, 1}};
  auto executable = load(lowered({{"count", counter_graph(false)}, {"read", reader}}));
  ASSERT_TRUE(executable) << why(executable);
  const Tensors inputs = {Tensor::of<float>(DType::f32, {2}, std::vector<float>{2, 3})};
  ASSERT_TRUE(executable->run(0, inputs));
  for (int i = 0; i < 2; ++i) {
    const auto out = executable->run(1, Tensors{});
    ASSERT_TRUE(out) << out.error().text();
    EXPECT_EQ((*out)[0].as<float>()[1], -3.0f);
  }
}

TEST_F(Language, AMethodWithoutStatesIsLoweredBesideOthers) {
  auto executable = load(lowered({{"plain", graph}, {"decode", attention_graph(1, false)}}));
  ASSERT_TRUE(executable) << why(executable);
  const auto out = executable->run(Tensors{input()});
  ASSERT_TRUE(out) << out.error().text();
  EXPECT_NEAR((*out)[0].as<float>()[0], expected()[0], 1e-3f);
  EXPECT_EQ(generate(*executable, {{1, 1}}), at_once(1));
}

TEST_F(Language, MessagesNameTheMethod) {
  program::Model model = lowered(methods());
  model.methods[1].graph.nodes[0].inputs[0] = 1000;
  EXPECT_THAT(why(load(model)), HasSubstr("method 1 (decode): node 0 (update): input 0: value 1000"));
}

}  // namespace
}  // namespace quoin::runtime
