// Runs of any length up to the longest.
#include "language.hpp"

namespace quoin::runtime {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Tensors = std::vector<Tensor>;

// x f32 [T, 4] -> view [-1, 2, 2] -> exp -> view [-1, 4] -> linear [T, 3] -> y
ir::Graph matrix_graph(int64_t longest) {
  ir::Graph graph;
  graph.name = "matrix";
  const auto x = graph.add_input("x", {DType::f32, {longest, 4}, nullptr});
  const auto w = graph.add_constant("w", lower::floats({3, 4}, 0.5f));
  const auto add = [&](const char* op, std::vector<ir::ValueId> inputs, Attrs attrs = {}) {
    return graph.output(*graph.add_node(op, std::move(inputs), std::move(attrs), ""));
  };
  const auto heads = add("aten.view.default", {x}, {{"size", std::vector<int64_t>{-1, 2, 2}}});
  const auto flat =
      add("aten.view.default", {add("aten.exp.default", {heads})}, {{"size", std::vector<int64_t>{-1, 4}}});
  const auto y = add("aten.linear.default", {flat, w, ir::kNone});
  graph.set_outputs({y});
  graph.value(x).dynamic = 1;
  EXPECT_TRUE(ir::mark_dynamic(graph));
  return graph;
}

class Lengths : public Language {
 protected:
  static Tensor rows(int64_t count) {
    Tensor x(DType::f32, {count, 4});
    for (int64_t i = 0; i < count * 4; ++i) x.as<float>()[i] = 0.1f * static_cast<float>(i);
    return x;
  }
};

TEST_F(Lengths, EveryLengthGivesTheRowsOfTheLongest) {
  auto executable = load(lowered({{"forward", matrix_graph(7)}}));
  ASSERT_TRUE(executable) << why(executable);
  const auto longest = executable->run(Tensors{rows(7)});
  ASSERT_TRUE(longest) << longest.error().text();
  const auto wanted = (*longest)[0].as<float>();
  for (const int64_t count : {1, 2, 6, 7, 3, 3, 7, 1}) {
    const auto out = executable->run(Tensors{rows(count)});
    ASSERT_TRUE(out) << out.error().text();
    EXPECT_EQ((*out)[0].shape(), (Shape{count, 3}));
    const auto found = (*out)[0].as<float>();
    EXPECT_TRUE(std::equal(found.begin(), found.end(), wanted.begin())) << count;
  }
}

TEST_F(Lengths, LengthOneIsTheLeast) {
  auto executable = load(lowered({{"forward", matrix_graph(7)}}));
  ASSERT_TRUE(executable) << why(executable);
  for (const int64_t count : {0, 8}) {
    const auto out = executable->run(Tensors{rows(count)});
    ASSERT_FALSE(out);
    EXPECT_EQ(out.error().code, Code::input);
    EXPECT_THAT(out.error().text(),
                HasSubstr(fmt::format("input 0 (x): a length of {} in dim 0, the program takes 1 to 7", count)));
  }
  EXPECT_TRUE(executable->run(Tensors{rows(2)})) << "an error leaves the program usable";
}

TEST_F(Lengths, OtherDimsStayFixed) {
  auto executable = load(lowered({{"forward", matrix_graph(7)}}));
  ASSERT_TRUE(executable) << why(executable);
  const auto out = executable->run(Tensors{Tensor(DType::f32, {2, 5})});
  ASSERT_FALSE(out);
  EXPECT_THAT(out.error().text(), HasSubstr("input 0 (x): expected f32[..7, 4], found f32[2, 5]"));
}

TEST_F(Lengths, InputsHaveOneLength) {
  auto executable = load(lowered(methods()));
  ASSERT_TRUE(executable) << why(executable);
  const auto out = executable->run(0, Tensors{tokens(0, 3)[0], tokens(0, 2)[1]});
  ASSERT_FALSE(out);
  EXPECT_THAT(out.error().text(),
              HasSubstr("input 1 (positions): a length of 2 in dim 0, other inputs have 3 (at most 4)"));
}

// A plugin that claims the exp and records what it is told.
class Planned : public Lengths {
 protected:
  program::Model delegated() {
    fake.partition = quoin::testing::claims_op("aten.exp.default");
    fake.compile = [this](const quoin_lower_request& request, const quoin_blob_writer& writer, quoin_error*) {
      const auto* values = static_cast<const quoin_value*>(request.graph->values.data);
      const quoin_value& in = values[request.graph->inputs[0]];
      told.assign(in.dims, in.dims + in.rank);
      most.assign(in.dims_max, in.dims_max + in.rank);
      return writer.write(writer.self, {"blob", 4});
    };
    fake.plan = [this](quoin_array inputs, quoin_array, quoin_memory_need& need, quoin_error* error) {
      const int64_t rows = static_cast<const quoin_tensor*>(inputs.data)->dims[0];
      planned.push_back(rows);
      need.scratch = static_cast<uint64_t>(10000 / rows);  // more for less, so that memory must grow
      return rows == refused ? quoin::testing::refuse(error, QUOIN_UNSUPPORTED, "no such length") : QUOIN_OK;
    };
    fake.run = [](const quoin_run& call, quoin_error*) {
      const auto& in = *static_cast<const quoin_tensor*>(call.inputs.data);
      const auto& out = *static_cast<const quoin_tensor*>(call.outputs.data);
      EXPECT_EQ(in.dims[0], out.dims[0]);
      EXPECT_EQ(in.size, static_cast<uint64_t>(in.dims[0]) * 4 * sizeof(float));
      EXPECT_GE(call.scratch_size, static_cast<uint64_t>(10000 / in.dims[0]));
      for (uint64_t i = 0; i < in.size / sizeof(float); ++i)
        static_cast<float*>(out.data)[i] = std::exp(static_cast<const float*>(in.data)[i]);
      return QUOIN_OK;
    };
    return lowered({{"forward", matrix_graph(7)}}, {&fake});
  }
  Shape told, most;
  std::vector<int64_t> planned;
  int64_t refused = 0;
};

TEST_F(Planned, CompilersSeeWhichDimsAreOpen) {
  delegated();
  EXPECT_EQ(told, (Shape{-1, 2, 2}));
  EXPECT_EQ(most, (Shape{7, 2, 2}));
}

TEST_F(Planned, DelegatesPlanEveryNewLength) {
  auto executable = load(delegated());
  ASSERT_TRUE(executable) << why(executable);
  auto plain = load(lowered({{"forward", matrix_graph(7)}}));
  for (const int64_t count : {3, 3, 1, 7, 7}) {
    const auto out = executable->run(Tensors{rows(count)}), wanted = plain->run(Tensors{rows(count)});
    ASSERT_TRUE(out) << out.error().text();
    for (int64_t i = 0; i < count * 3; ++i)
      EXPECT_NEAR((*out)[0].as<float>()[i], (*wanted)[0].as<float>()[i], 1e-5f * (*wanted)[0].as<float>()[i]);
  }
  EXPECT_THAT(planned, ElementsAre(7, 3, 1, 7));
}

TEST_F(Planned, ALengthThatADelegateRefusesIsAnErrorOfThatRun) {
  refused = 5;
  auto executable = load(delegated());
  ASSERT_TRUE(executable) << why(executable);
  const auto out = executable->run(Tensors{rows(5)});
  ASSERT_FALSE(out);
  EXPECT_THAT(out.error().text(), HasSubstr("a run of length 5: node fake_0 (delegate): "));
  EXPECT_THAT(out.error().text(), HasSubstr("no such length"));
  EXPECT_TRUE(executable->run(Tensors{rows(4)}));
  EXPECT_TRUE(executable->run(Tensors{rows(7)}));
}

TEST_F(Planned, OriginalsRunAnyLength) {
  const program::Model model = delegated();
  plugin_present = false;
  auto executable = load(model);
  ASSERT_TRUE(executable) << why(executable);
  auto plain = load(lowered({{"forward", matrix_graph(7)}}));
  for (const int64_t count : {7, 2, 5}) {
    const auto out = executable->run(Tensors{rows(count)}), wanted = plain->run(Tensors{rows(count)});
    ASSERT_TRUE(out) << out.error().text();
    EXPECT_TRUE(std::ranges::equal((*out)[0].as<float>(), (*wanted)[0].as<float>())) << count;
  }
}

// Right for 8 and 7 rows, which is all that reading a program checks: the slice takes min(T, 6) rows.
ir::Graph head_graph() {
  ir::Graph graph;
  const auto x = graph.add_input("x", {DType::f32, {8, 4}, nullptr});
  const auto head = *graph.add_node("aten.slice.Tensor", {x},
                                    {{"dim", int64_t{0}}, {"start", int64_t{0}}, {"end", int64_t{6}}}, "head");
  graph.set_outputs({graph.output(head)});
  graph.value(x).dynamic = 1;
  EXPECT_TRUE(ir::mark_dynamic(graph));
  return graph;
}

TEST_F(Lengths, ALengthThatTheProgramsShapesDoNotFitIsRefused) {
  auto executable = load(lowered({{"forward", head_graph()}}));
  ASSERT_TRUE(executable) << why(executable);
  EXPECT_TRUE(executable->run(Tensors{rows(6)}));
  const auto out = executable->run(Tensors{rows(5)});
  ASSERT_FALSE(out);
  EXPECT_THAT(out.error().text(), HasSubstr("a run of length 5: node 0 (head): output 0: value 1 (head) is f32[6, 4]"));
  EXPECT_TRUE(executable->run(Tensors{rows(7)}));
}

}  // namespace
}  // namespace quoin::runtime
