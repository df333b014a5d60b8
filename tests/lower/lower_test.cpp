// From graph to program: delegates, kernels, placement, policy.
#include <cstdlib>
#include <cstring>

#include "fixture.hpp"

namespace quoin::lower {
namespace {

using quoin::testing::claims;
using quoin::testing::claims_op;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST_F(Lowering, WithoutPluginsEveryNodeRunsOnKernels) {
  const auto result = run({});
  ASSERT_TRUE(result) << text(result);
  ASSERT_EQ(result->placement.size(), 4u);
  for (const Placement& row : result->placement) {
    EXPECT_EQ(row.backend, "kernels");
    EXPECT_FALSE(row.kernel.empty());
  }
  EXPECT_EQ(result->placement[0].name, "fc");
  EXPECT_EQ(result->placement[0].module, "net.fc");
  EXPECT_TRUE(result->model.delegates.empty());
  EXPECT_TRUE(program::verify(result->model));
}

TEST_F(Lowering, ClaimBecomesACallWithItsBlobAndOriginal) {
  fake.partition = claims({{0, 1}});
  const auto result = run({&fake});
  ASSERT_TRUE(result) << text(result);
  const program::Model& model = result->model;
  ASSERT_TRUE(program::verify(model)) << program::verify(model).error().text();
  ASSERT_EQ(model.methods[0].graph.nodes.size(), 3u);
  EXPECT_TRUE(model.methods[0].graph.nodes[0].op.empty());
  ASSERT_EQ(model.delegates.size(), 1u);
  const program::Delegate& delegate = model.delegates[0];
  EXPECT_EQ(delegate.plugin, "fake");
  EXPECT_EQ(delegate.version, "1.4.0");
  EXPECT_EQ(delegate.tag, "t0");
  EXPECT_EQ(delegate.blob_format, 2u);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(delegate.blob.data()), delegate.blob.size()), "blob");
  EXPECT_THAT(delegate.debug_ids, ElementsAre(11, 12));
  ASSERT_TRUE(delegate.original);
  EXPECT_EQ(delegate.original->nodes.size(), 2u);
  EXPECT_EQ(model.methods[0].graph.values.size(), 4u)
      << "the constants of the claim are not in the program's own graph";
}

TEST_F(Lowering, OriginalsAreKeptOnlyOnRequest) {
  fake.partition = claims({{0, 1}});
  options.keep_original = false;
  const auto result = run({&fake});
  ASSERT_TRUE(result) << text(result);
  EXPECT_FALSE(result->model.delegates[0].original);
  EXPECT_TRUE(program::serialize(result->model));
}

TEST_F(Lowering, ProgramSurvivesTheFile) {
  fake.partition = claims({{0}, {2}});
  const auto result = run({&fake});
  ASSERT_TRUE(result) << text(result);
  const auto bytes = program::serialize(result->model);
  ASSERT_TRUE(bytes) << bytes.error().text();
  const auto again = run({&fake});
  EXPECT_EQ(*program::serialize(again->model), *bytes) << "lowering must be deterministic";
}

TEST_F(Lowering, CompileSeesTheClaimAsAGraphOfItsOwn) {
  fake.partition = claims({{1, 2}});
  fake.compile = [](const quoin_lower_request& request, const quoin_blob_writer& writer, quoin_error*) -> quoin_status {
    EXPECT_EQ(request.graph->nodes.count, 2u);
    EXPECT_EQ(request.graph->num_inputs, 1u);
    EXPECT_EQ(request.graph->num_outputs, 2u) << "relu and exp are both read by the sum outside";
    EXPECT_EQ(request.target_isa, QUOIN_ISA_AVX2);
    return writer.write(writer.self, {nullptr, 0});
  };
  options.isa = QUOIN_ISA_AVX2;
  const auto result = run({&fake});
  ASSERT_TRUE(result) << text(result);
  EXPECT_EQ(result->model.delegates[0].isa, 0u) << "the blob asked for nothing: it runs on every machine";
  EXPECT_TRUE(result->model.delegates[0].blob.empty());
}

TEST_F(Lowering, DelegateRecordsTheInstructionSetsThatItsBlobNeeds) {
  fake.partition = claims({{1, 2}});
  fake.compile = [](const quoin_lower_request& request, const quoin_blob_writer& writer, quoin_error*) {
    writer.needs_isa(writer.self, request.target_isa);
    return writer.write(writer.self, {"x", 1});
  };
  options.isa = QUOIN_ISA_AVX2 | QUOIN_ISA_AVX512;
  const auto result = run({&fake});
  ASSERT_TRUE(result) << text(result);
  EXPECT_EQ(result->model.delegates[0].isa, QUOIN_ISA_AVX2 | QUOIN_ISA_AVX512);
}

TEST_F(Lowering, FailingCompileNamesPluginClaimAndReason) {
  fake.partition = claims({{0, 1}});
  fake.compile = [](auto&, auto&, quoin_error* error) {
    return quoin::testing::refuse(error, QUOIN_UNSUPPORTED, "weights too wide");
  };
  const auto result = run({&fake});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::plugin);
  EXPECT_THAT(text(result), HasSubstr("compile t0 (2 nodes from node fc"));
  EXPECT_THAT(text(result), HasSubstr("plugin fake: weights too wide"));
}

TEST_F(Lowering, NamedDataIsSharedAndMustAgree) {
  fake.partition = claims({{0}, {2}});
  char content = 'a';
  fake.compile = [&](const quoin_lower_request&, const quoin_blob_writer& writer, quoin_error*) {
    return writer.named(writer.self, {"lut", 3}, {&content, 1}, 64);
  };
  const auto result = run({&fake});
  ASSERT_TRUE(result) << text(result);
  const auto& delegates = result->model.delegates;
  EXPECT_EQ(delegates[0].named.at("lut").data(), delegates[1].named.at("lut").data());

  fake.compile = [&](const quoin_lower_request&, const quoin_blob_writer& writer, quoin_error*) {
    ++content;
    return writer.named(writer.self, {"lut", 3}, {&content, 1}, 64);
  };
  EXPECT_THAT(text(run({&fake})), HasSubstr("data lut was written twice with different bytes"));
  fake.compile = [&](const quoin_lower_request&, const quoin_blob_writer& writer, quoin_error*) {
    return writer.named(writer.self, {"lut", 3}, {&content, 1}, 4096);
  };
  EXPECT_THAT(text(run({&fake})), HasSubstr("alignment 4096"));
}

// Megabytes of named data lie in a temporary file.
class LargeData : public Lowering {
 protected:
  void SetUp() override {
    Lowering::SetUp();
    fake.partition = quoin::testing::claims({{0}, {2}});
    fake.compile = [this](const quoin_lower_request&, const quoin_blob_writer& writer, quoin_error*) {
      content.back() += step;
      return writer.named(writer.self, {"weights", 7}, {content.data(), content.size()}, 64);
    };
  }
  std::vector<char> content = std::vector<char>(3u << 20, 'w');
  char step = 0;
};

TEST_F(LargeData, IsKeptOnceOutsideTheHeap) {
  const auto result = run({&fake});
  ASSERT_TRUE(result) << text(result);
  const auto first = result->model.delegates[0].named.at("weights"),
             second = result->model.delegates[1].named.at("weights");
  EXPECT_EQ(first.data(), second.data());
  EXPECT_EQ(reinterpret_cast<uintptr_t>(first.data()) % 4096, 0u) << "not mapped";
  EXPECT_EQ(first.size(), content.size());
  EXPECT_EQ(std::memcmp(first.data(), content.data(), content.size()), 0);
}

TEST_F(LargeData, WrittenTwiceWithOtherBytesIsRefused) {
  step = 1;
  EXPECT_THAT(text(run({&fake})), HasSubstr("data weights was written twice with different bytes"));
}

TEST_F(LargeData, WithoutAPlaceForItIsAnErrorOfTheDisk) {
  const char* before = std::getenv("TMPDIR");
  const std::string old = before == nullptr ? "" : before;
  setenv("TMPDIR", "/no/such/folder", 1);
  const auto result = run({&fake});
  old.empty() ? unsetenv("TMPDIR") : setenv("TMPDIR", old.c_str(), 1);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::not_found);
  EXPECT_THAT(result.error().text(),
              HasSubstr("plugin fake: data weights: /no/such/folder: cannot create a temporary file"));
}

TEST_F(Lowering, MethodsAreLoweredTogether) {
  fake.partition = quoin::testing::claims_op("aten.exp.default");
  options.order = {fake.open(services.table())};
  const std::vector<Method> methods = {{"first", graph}, {"second", graph}};
  const auto result = lower(methods, options, kernels, services.table(), diagnostics);
  ASSERT_TRUE(result) << text(result);
  ASSERT_EQ(result->model.methods.size(), 2u);
  EXPECT_EQ(result->model.methods[1].name, "second");
  EXPECT_EQ(result->model.delegates.size(), 2u);
  ASSERT_EQ(result->placement.size(), 8u);
  EXPECT_EQ(result->placement[3].method, "first");
  EXPECT_EQ(result->placement[4].method, "second");
  EXPECT_EQ(result->model.methods[0].graph.values[1].constant->data(),
            result->model.methods[1].graph.values[1].constant->data())
      << "constants are shared";
  EXPECT_TRUE(program::serialize(result->model));
}

TEST_F(Lowering, ErrorsNameTheMethod) {
  fake.partition = quoin::testing::claims({{0, 0}});
  options.order = {fake.open(services.table())};
  const std::vector<Method> methods = {{"first", graph}, {"second", graph}};
  EXPECT_THAT(text(lower(methods, options, kernels, services.table(), diagnostics)),
              HasSubstr("method first: plugin fake: claims node fc"));
}

TEST_F(Lowering, WarningPolicyReportsEachReasonOnce) {
  fake.partition = claims_op("aten.linear.default");
  const auto result = run({&fake});
  ASSERT_TRUE(result) << text(result);
  ASSERT_EQ(diagnostics.notes().size(), 2u) << "three nodes with one reason, and one warning for all";
  EXPECT_THAT(diagnostics.notes()[0].text(), HasSubstr("only does one operator"));
  EXPECT_THAT(diagnostics.notes()[0].text(), HasSubstr("1 aten.relu.default"));
  EXPECT_EQ(diagnostics.notes()[0].level, Level::info);
  EXPECT_THAT(diagnostics.notes()[1].text(), HasSubstr("3 of "));
  EXPECT_EQ(diagnostics.notes()[1].level, Level::warning);
}

TEST_F(Lowering, ErrorPolicyRefusesNodesThatNoPluginTakes) {
  fake.partition = claims_op("aten.linear.default");
  options.fallback = "error";
  const auto result = run({&fake});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::strict);
  EXPECT_THAT(text(result), HasSubstr("only does one operator"));
}

TEST_F(Lowering, NodeThatNobodyMentionedStillHasAReason) {
  const auto result = run({&fake});
  ASSERT_TRUE(result) << text(result);
  EXPECT_EQ(result->placement[0].reason, "no plugin claimed or declined it");
}

TEST_F(Lowering, DeadNodesAndConstantsAreLeftOut) {
  const auto unused = graph.add_constant("unused", floats({100}, 0));
  ASSERT_TRUE(graph.add_node("aten.neg.default", {unused}, {}, "dead"));
  const auto result = run({});
  ASSERT_TRUE(result) << text(result);
  EXPECT_EQ(result->placement.size(), 4u);
  for (const program::Value& value : result->model.methods[0].graph.values) EXPECT_NE(value.name, "unused");
}

TEST_F(Lowering, CountsMultiplyAdds) {
  const auto image = graph.add_input("image", {DType::f32, {1, 4, 8, 8}, nullptr});
  const auto weight = graph.add_constant("kernel", floats({6, 2, 3, 3}, 1));
  const auto conv = *graph.add_node("aten.conv2d.default", {image, weight, ir::kNone},
                                    {{"padding", std::vector<int64_t>{1, 1}}, {"groups", int64_t{2}}}, "conv");
  const auto transposed_weight = graph.add_constant("transposed", floats({6, 5, 2, 2}, 1));
  const auto transposed =
      *graph.add_node("aten.conv_transpose2d.input", {graph.output(conv), transposed_weight, ir::kNone},
                      {{"stride", std::vector<int64_t>{2, 2}}}, "up");
  graph.set_outputs({graph.output(add), graph.output(transposed)});
  const auto result = run({});
  ASSERT_TRUE(result) << text(result);
  EXPECT_EQ(result->placement[0].macs, 2 * 4 * 3);
  EXPECT_EQ(result->placement[1].macs, 0);
  EXPECT_EQ(result->placement[4].macs, 6 * 8 * 8 * 2 * 3 * 3);
  EXPECT_EQ(result->placement[5].macs, 6 * 8 * 8 * 5 * 2 * 2);
}

}  // namespace
}  // namespace quoin::lower
