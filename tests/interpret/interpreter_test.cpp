#include "interpret/interpreter.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include <set>

#include "host/services.hpp"
#include "interpret/pool.hpp"

namespace quoin::interpret {
namespace {

using Ints = std::vector<int64_t>;

const quoin_host& host() {
  static const host::Services services({.threads = 2, .isa = 0, .log = {}});
  return services.table();
}

Tensor floats(Shape shape, std::vector<float> elements) {
  return Tensor::of<float>(DType::f32, std::move(shape), elements);
}
std::vector<float> values(const Tensor& tensor) {
  const auto view = tensor.as<float>();
  return {view.begin(), view.end()};
}

// A graph with inputs "x0", "x1", ... of shape [2].
struct Builder {
  ir::Graph graph;
  ir::ValueId input(DType dtype = DType::f32) {
    return graph.add_input("x" + std::to_string(graph.inputs().size()), {dtype, {2}, nullptr});
  }
  ir::ValueId node(const char* op, std::vector<ir::ValueId> inputs, Attrs attrs = {}) {
    const auto id = graph.add_node(op, std::move(inputs), std::move(attrs));
    EXPECT_TRUE(id) << (id ? "" : id.error().text());
    return graph.output(*id);
  }
  Result<Interpreter> make() { return Interpreter::create(graph, kernels, host()); }
  kernels::KernelSet kernels;
};

TEST(Interpreter, RunsNodesInOrder) {
  Builder b;
  const auto x = b.input(), y = b.input();
  b.graph.set_outputs({b.node("aten.mul.Tensor", {b.node("aten.add.Tensor", {x, y}), y})});
  auto interpreter = b.make();
  ASSERT_TRUE(interpreter) << interpreter.error().text();
  const auto out = interpreter->run(std::vector{floats({2}, {1, 2}), floats({2}, {10, 20})});
  ASSERT_TRUE(out) << out.error().text();
  EXPECT_EQ(values((*out)[0]), (std::vector<float>{110, 440}));
}

TEST(Interpreter, NamesTheWrongInput) {
  Builder b;
  b.graph.set_outputs({b.node("aten.add.Tensor", {b.input(), b.input()})});
  auto interpreter = b.make();
  ASSERT_TRUE(interpreter);
  const Tensor good = floats({2}, {1, 2});
  const auto error = [&](std::vector<Tensor> inputs) {
    const auto out = interpreter->run(inputs);
    EXPECT_FALSE(out);
    EXPECT_EQ(out.error().code, Code::input);
    return out.error().text();
  };
  EXPECT_EQ(error({good}), "1 inputs given, the graph has 2");
  EXPECT_EQ(error({good, floats({3}, {1, 2, 3})}), "input 1 (x1) must be f32[2], found f32[3]");
  EXPECT_EQ(error({Tensor(DType::s64, {2}), good}), "input 0 (x0) must be f32[2], found s64[2]");
}

TEST(Interpreter, TapSeesInputsFirstThenEveryResult) {
  Builder b;
  const auto x = b.input(), relu = b.node("aten.relu.default", {x}), neg = b.node("aten.neg.default", {relu});
  b.graph.set_outputs({neg});
  auto interpreter = b.make();
  ASSERT_TRUE(interpreter);
  std::vector<std::pair<ir::ValueId, std::vector<float>>> seen;
  const auto tap = [&](ir::ValueId id, const Tensor& tensor) -> Status {
    seen.emplace_back(id, values(tensor));
    return {};
  };
  ASSERT_TRUE(interpreter->run(std::vector{floats({2}, {-1, 2})}, tap));
  const std::vector<std::pair<ir::ValueId, std::vector<float>>> expected{{x, {-1, 2}}, {relu, {0, 2}}, {neg, {0, -2}}};
  EXPECT_EQ(seen, expected);
}

TEST(Interpreter, TapCanStopTheRun) {
  Builder b;
  const auto relu = b.node("aten.relu.default", {b.input()});
  b.graph.set_outputs({b.node("aten.neg.default", {relu})});
  auto interpreter = b.make();
  ASSERT_TRUE(interpreter);
  const auto out = interpreter->run(std::vector{floats({2}, {1, 2})}, [&](ir::ValueId id, const Tensor&) -> Status {
    if (id == relu) return fail(Code::cancelled, "stop");
    return {};
  });
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().code, Code::cancelled);
}

TEST(Interpreter, ReusesTheBuffersOfDeadValues) {
  Builder b;
  ir::ValueId x = b.input();
  for (int i = 0; i < 20; ++i) x = b.node("aten.neg.default", {x});
  b.graph.set_outputs({x});
  auto interpreter = b.make();
  ASSERT_TRUE(interpreter);
  std::set<const void*> buffers;
  for (int run = 0; run < 5; ++run)
    ASSERT_TRUE(interpreter->run(std::vector{floats({2}, {1, 2})}, [&](ir::ValueId id, const Tensor& tensor) -> Status {
      if (id != b.graph.inputs()[0]) buffers.insert(tensor.data());
      return {};
    }));
  EXPECT_LE(buffers.size(), 3u);
}

TEST(Interpreter, OutputsStayValidDuringLaterRuns) {
  Builder b;
  b.graph.set_outputs({b.node("aten.neg.default", {b.input()})});
  auto interpreter = b.make();
  ASSERT_TRUE(interpreter);
  const auto first = interpreter->run(std::vector{floats({2}, {1, 2})});
  const auto second = interpreter->run(std::vector{floats({2}, {3, 4})});
  EXPECT_EQ(values((*first)[0]), (std::vector<float>{-1, -2}));
  EXPECT_EQ(values((*second)[0]), (std::vector<float>{-3, -4}));
}

TEST(Interpreter, ViewsShareBytesAndKeepThemAlive) {
  Builder b;
  const auto neg = b.node("aten.neg.default", {b.input()});
  const auto view = b.node("aten.view.default", {neg}, {{"size", Ints{2, 1}}});
  const auto other = b.node("aten.neg.default", {view});  // must not land in the bytes that `view` still uses
  b.graph.set_outputs({b.node("aten.add.Tensor", {view, other})});
  auto interpreter = b.make();
  ASSERT_TRUE(interpreter);
  const void *before = nullptr, *after = nullptr;
  const auto out =
      interpreter->run(std::vector{floats({2}, {1, 2})}, [&](ir::ValueId id, const Tensor& tensor) -> Status {
        if (id == neg) before = tensor.data();
        if (id == view) after = tensor.data();
        return {};
      });
  ASSERT_TRUE(out);
  EXPECT_EQ(before, after);
  EXPECT_EQ(values((*out)[0]), (std::vector<float>{0, 0}));
}

TEST(Interpreter, ReturnsInputsAndConstantsThatAreOutputs) {
  Builder b;
  const auto x = b.input(), c = b.graph.add_constant("c", floats({2}, {5, 6}));
  b.graph.set_outputs({x, c, x});
  auto interpreter = b.make();
  ASSERT_TRUE(interpreter);
  const auto out = interpreter->run(std::vector{floats({2}, {1, 2})});
  ASSERT_TRUE(out);
  EXPECT_EQ(values((*out)[0]), (std::vector<float>{1, 2}));
  EXPECT_EQ(values((*out)[1]), (std::vector<float>{5, 6}));
  EXPECT_EQ(values((*out)[2]), (std::vector<float>{1, 2}));
}

TEST(Interpreter, RunsTypedNodesOnIntegers) {
  Builder b;
  QParams q;
  q.scale = {0.5f};
  const auto shared = std::make_shared<const QParams>(q);
  const auto x = b.input();
  const auto typed = [&](ir::ValueId id) {
    b.graph.value(id).type.dtype = DType::s8;
    b.graph.value(id).type.qparams = shared;
    return id;
  };
  const auto quantized = typed(b.node("quoin.quantize.default", {x}));
  const auto relu = typed(b.node("aten.relu.default", {quantized}));
  b.graph.set_outputs({b.node("quoin.dequantize.default", {relu})});
  auto interpreter = b.make();
  ASSERT_TRUE(interpreter) << interpreter.error().text();
  const auto out = interpreter->run(std::vector{floats({2}, {-3, 1.3f})});
  ASSERT_TRUE(out) << out.error().text();
  EXPECT_EQ(values((*out)[0]), (std::vector<float>{0, 1.5f}));
}

TEST(Interpreter, ReadersSeeWhatReplacesAResult) {
  Builder b;
  const auto negative = b.node("aten.neg.default", {b.input()});
  const auto view = b.node("aten.clone.default", {negative});
  b.graph.set_outputs({b.node("aten.neg.default", {view}), negative});
  auto interpreter = b.make();
  ASSERT_TRUE(interpreter);
  std::vector<float> tapped;
  const auto out = interpreter->run(
      std::vector{floats({2}, {1, 2})},
      [&](ir::ValueId id, const Tensor& tensor) -> Status {
        if (id == view) tapped = values(tensor);
        return {};
      },
      [&](ir::ValueId id, const Tensor& tensor) -> Result<Tensor> {
        return id == view ? floats({2}, {5, 6}) : tensor;
      });
  ASSERT_TRUE(out) << out.error().text();
  EXPECT_EQ(values((*out)[0]), (std::vector<float>{-5, -6}));
  EXPECT_EQ(values((*out)[1]), (std::vector<float>{-1, -2}));
  EXPECT_EQ(tapped, (std::vector<float>{5, 6}));
}
TEST(Interpreter, RefusesToReplaceAResultByAnotherType) {
  Builder b;
  b.graph.set_outputs({b.node("aten.neg.default", {b.input()})});
  auto interpreter = b.make();
  ASSERT_TRUE(interpreter);
  const auto out = interpreter->run(std::vector{floats({2}, {1, 2})}, {},
                                    [](ir::ValueId, const Tensor&) { return Result<Tensor>(floats({1}, {1})); });
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().code, Code::internal);
}

TEST(Interpreter, ErrorsNameTheNodeAndTheKernel) {
  Builder b;
  const auto table = b.graph.add_constant("table", floats({3, 1}, {1, 2, 3}));
  b.graph.set_outputs({b.node("aten.embedding.default", {table, b.input(DType::s64)})});
  auto interpreter = b.make();
  ASSERT_TRUE(interpreter);
  const std::vector<int64_t> indices{0, 9};
  const auto out = interpreter->run(std::vector{Tensor::of<int64_t>(DType::s64, {2}, indices)});
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().code, Code::input);
  EXPECT_NE(out.error().text().find("aten.embedding.default"), std::string::npos) << out.error().text();
  EXPECT_NE(out.error().text().find(
                "kernel portable_move:aten.embedding.default failed: index 9 is out of range for a dim of 3"),
            std::string::npos);
  EXPECT_TRUE(interpreter->run(std::vector{Tensor(DType::s64, {2})}));  // usable after an error
}

// A plugin's kernel for relu that fails in the way a test chooses.
template <class Run>
std::string failure(Run run) {
  quoin_kernel kernel{};
  kernel.op = "aten.relu.default";
  kernel.op_version = 1;
  kernel.name = "npu_relu";
  kernel.prepare = [](const quoin_host*, const quoin_graph*, uint32_t, void**, quoin_memory_need*, quoin_error*) {
    return quoin_status{QUOIN_OK};
  };
  kernel.run = run;
  Builder b;
  Diagnostics diagnostics;
  b.kernels.add("npu", {&kernel, 1, sizeof kernel}, diagnostics);
  b.graph.set_outputs({b.node("aten.relu.default", {b.input()})});
  auto interpreter = b.make();
  if (!interpreter) return interpreter.error().text();
  const auto out = interpreter->run(std::vector{floats({2}, {1, 2})});
  if (out) return "it ran";
  EXPECT_EQ(out.error().code, Code::plugin);
  return out.error().text();
}

TEST(Interpreter, FaultsOfAPluginsKernelNameThePlugin) {
  EXPECT_THAT(failure([](const quoin_host*, void*, const quoin_run*, quoin_error*) -> quoin_status {
                throw std::runtime_error("oops");
              }),
              ::testing::HasSubstr("kernel npu_relu of plugin npu let an exception escape: oops"));
  EXPECT_THAT(failure([](const quoin_host*, void*, const quoin_run*, quoin_error*) { return quoin_status{4711}; }),
              ::testing::HasSubstr("kernel npu_relu of plugin npu failed: no reason given"));
}

TEST(Interpreter, SaysWhyNoKernelFits) {
  Builder b;
  b.graph.set_outputs({b.node("aten.neg.default", {b.input()})});
  b.kernels.deny("portable_number:aten.neg.default");
  const auto interpreter = b.make();
  ASSERT_FALSE(interpreter);
  EXPECT_EQ(interpreter.error().code, Code::unsupported);
  EXPECT_NE(interpreter.error().text().find("denied by the recipe"), std::string::npos);
}

TEST(Pool, PrefersTheSmallestFreeBlock) {
  Pool pool;
  Tensor large = pool.take(DType::u8, {1000}), small = pool.take(DType::u8, {10});
  const void* small_data = small.data();
  EXPECT_NE(pool.take(DType::u8, {5}).data(), small_data);  // still held
  large = Tensor();
  small = Tensor();
  EXPECT_EQ(pool.take(DType::f32, {2}).data(), small_data);
  EXPECT_EQ(pool.blocks(), 3u);
}

}  // namespace
}  // namespace quoin::interpret
