// Programs on kernels: results, inputs that do not fit, memory, profiles.
#include <cmath>

#include "fixture.hpp"

namespace quoin::runtime {
namespace {

using ::testing::HasSubstr;

TEST_F(Running, ComputesOnKernels) {
  auto executable = load(kernel_model());
  expect_result(executable);
  expect_result(executable);
}

TEST_F(Running, DescribesInputsAndOutputs) {
  auto executable = load(kernel_model());
  ASSERT_TRUE(executable);
  ASSERT_EQ(executable->inputs().size(), 1u);
  EXPECT_EQ(executable->inputs()[0].name, "x");
  EXPECT_EQ(executable->inputs()[0].type.shape, (Shape{2, 3}));
  EXPECT_EQ(executable->outputs()[0].type.shape, (Shape{2, 4}));
  EXPECT_GE(executable->memory(), executable->model().methods[0].graph.arena_size);
}

struct WrongInput {
  std::string name;
  std::vector<Tensor> inputs;
  std::string message;
};

class Inputs : public Running, public ::testing::WithParamInterface<WrongInput> {};

TEST_P(Inputs, AreCheckedAgainstTheProgram) {
  auto executable = load(kernel_model());
  ASSERT_TRUE(executable) << why(executable);
  const auto outputs = executable->run(GetParam().inputs);
  ASSERT_FALSE(outputs);
  EXPECT_EQ(outputs.error().code, Code::input);
  EXPECT_THAT(outputs.error().text(), HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Wrong, Inputs,
    ::testing::Values(WrongInput{"None", {}, "0 inputs, the program takes 1 (x)"},
                      WrongInput{"TooMany", {Tensor(DType::f32, {2, 3}), Tensor(DType::f32, {2, 3})}, "2 inputs"},
                      WrongInput{
                          "Shape", {Tensor(DType::f32, {3, 2})}, "input 0 (x): expected f32[2, 3], found f32[3, 2]"},
                      WrongInput{"Type", {Tensor(DType::s32, {2, 3})}, "expected f32[2, 3], found s32[2, 3]"},
                      WrongInput{"NoData", {Tensor(DType::f32, {2, 3}, nullptr, nullptr)}, "missing or not aligned"}),
    [](const auto& wrong) { return wrong.param.name; });

TEST_F(Running, OutputsThatAreInputsConstantsOrRepeatedAreReturned) {
  const auto constant = graph.add_constant("answer", lower::floats({1}, 42));
  const auto sum = graph.outputs()[0];
  graph.set_outputs({sum, x, constant, sum});
  auto executable = load(kernel_model());
  ASSERT_TRUE(executable) << why(executable);
  const std::vector<Tensor> inputs = {input()};
  const auto outputs = executable->run(inputs);
  ASSERT_TRUE(outputs) << outputs.error().text();
  ASSERT_EQ(outputs->size(), 4u);
  EXPECT_EQ((*outputs)[1].as<float>()[3], -9.0f);
  EXPECT_EQ((*outputs)[2].as<float>()[0], 42.0f);
  EXPECT_EQ((*outputs)[3].as<float>()[0], (*outputs)[0].as<float>()[0]);
}

TEST_F(Running, OutputThatIsAlsoReadInsideIsComputedOnce) {
  graph.set_outputs({graph.output(add), graph.output(relu)});
  auto executable = load(kernel_model());
  ASSERT_TRUE(executable) << why(executable);
  const std::vector<Tensor> inputs = {input()};
  const auto outputs = executable->run(inputs);
  ASSERT_TRUE(outputs) << outputs.error().text();
  EXPECT_NEAR((*outputs)[1].as<float>()[0], 4.0f, 1e-6f);
  EXPECT_NEAR((*outputs)[0].as<float>()[0], 4.0f + std::exp(4.0f), 1e-3f);
}

TEST_F(Running, FreeViewsCostNoStep) {
  const auto view =
      *graph.add_node("aten.view.default", {graph.output(add)}, {{"size", std::vector<int64_t>{8}}}, "flat");
  const auto last = *graph.add_node("aten.neg.default", {graph.output(view)}, {}, "last");
  graph.set_outputs({graph.output(last)});
  auto executable = load(kernel_model());
  ASSERT_TRUE(executable) << why(executable);
  std::vector<Event> events;
  const std::vector<Tensor> inputs = {input()};
  const auto outputs = executable->run(inputs, &events);
  ASSERT_TRUE(outputs) << outputs.error().text();
  EXPECT_EQ(events.size(), 5u) << "every node but the view";
  const std::vector<float> wanted = expected();
  for (size_t i = 0; i < wanted.size(); ++i) EXPECT_NEAR((*outputs)[0].as<float>()[i], -wanted[i], 1e-5f * wanted[i]);
}

TEST_F(Running, ViewsThatReturnTheInputAreCopied) {
  const auto view = *graph.add_node("aten.view.default", {x}, {{"size", std::vector<int64_t>{6}}}, "flat");
  graph.set_outputs({graph.output(view)});
  auto executable = load(kernel_model());
  ASSERT_TRUE(executable) << why(executable);
  const std::vector<Tensor> inputs = {input()};
  const auto outputs = executable->run(inputs);
  ASSERT_TRUE(outputs) << outputs.error().text();
  EXPECT_EQ((*outputs)[0].shape(), (Shape{6}));
  EXPECT_EQ((*outputs)[0].as<float>()[3], -9.0f);
}

TEST_F(Running, ProfileNamesNodesAndKernels) {
  auto executable = load(kernel_model());
  ASSERT_TRUE(executable);
  std::vector<Event> events;
  const std::vector<Tensor> inputs = {input()};
  ASSERT_TRUE(executable->run(inputs, &events));
  ASSERT_EQ(events.size(), 4u);
  EXPECT_EQ(events[0].name, "fc");
  EXPECT_EQ(events[0].op, "aten.linear.default");
  EXPECT_EQ(events[0].module, "net.fc");
  EXPECT_EQ(events[0].debug_id, 11u);
  EXPECT_FALSE(events[0].backend.empty());
  EXPECT_EQ(events[0].bytes, 4u * (2 * 3 + 4 * 3 + 4 + 2 * 4)) << "x, weight, bias, result";
  for (const Event& event : events) EXPECT_GE(event.end_ns, event.start_ns);
}

TEST_F(Running, KernelErrorNamesTheNode) {
  const auto table = graph.add_constant("table", lower::floats({4, 2}, 1));
  const auto index = graph.add_input("index", {DType::s64, {1}, nullptr});
  const auto node =
      *graph.add_node("aten.embedding.default", {table, index}, {}, "lookup", {{{"net.emb", "Embedding"}}, "", 0, {}});
  graph.set_outputs({graph.output(node)});
  auto executable = load(kernel_model());
  ASSERT_TRUE(executable) << why(executable);
  const std::vector<int64_t> outside = {77};
  const std::vector<Tensor> inputs = {input(), Tensor::of<int64_t>(DType::s64, {1}, outside)};
  const auto outputs = executable->run(inputs);
  ASSERT_FALSE(outputs);
  EXPECT_THAT(outputs.error().text(), HasSubstr("node lookup (aten.embedding.default, module net.emb)"));
}

TEST_F(Running, FaultyModelIsNotLoaded) {
  program::Model model = kernel_model();
  model.methods[0].graph.nodes[1].inputs[0] = 1000;
  const auto executable = load(std::move(model));
  ASSERT_FALSE(executable);
  EXPECT_EQ(executable.error().code, Code::program);
}

TEST_F(Running, SeveralObjectsShareOneProgram) {
  const program::Model model = kernel_model();
  auto first = load(model), second = load(model);
  expect_result(first);
  expect_result(second);
  *first = *std::move(second);
  expect_result(first);
}

}  // namespace
}  // namespace quoin::runtime
