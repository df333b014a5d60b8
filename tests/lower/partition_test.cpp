// What plugins may claim, and what happens when they claim what they may not.
#include "fixture.hpp"

namespace quoin::lower {
namespace {

using quoin::testing::claims;
using quoin::testing::claims_op;
using ::testing::AllOf;
using ::testing::HasSubstr;

class Partitioning : public Lowering {
 protected:
  void expect_plugin_error(const Result<Lowered>& result, const std::vector<std::string>& parts) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Code::plugin);
    for (const std::string& part : parts) EXPECT_THAT(result.error().text(), HasSubstr(part));
  }
};

TEST_F(Partitioning, UnknownNodeIsRefused) {
  fake.partition = claims({{0, 17}});
  expect_plugin_error(run({&fake}), {"plugin fake", "node 17 of a graph with 4"});
}

TEST_F(Partitioning, EmptyClaimIsRefused) {
  fake.partition = claims({{}});
  expect_plugin_error(run({&fake}), {"plugin fake", "claims no nodes"});
}

TEST_F(Partitioning, NodeTwiceInOneClaimIsRefused) {
  fake.partition = claims({{1, 1}});
  expect_plugin_error(run({&fake}), {"node act", "twice in one claim"});
}

TEST_F(Partitioning, OverlappingClaimsAreRefused) {
  fake.partition = claims({{0, 1}, {1, 2}});
  expect_plugin_error(run({&fake}), {"node act", "in two claims"});
}

TEST_F(Partitioning, ClaimWithAHoleIsRefused) {
  fake.partition = claims({{1, 3}});
  expect_plugin_error(run({&fake}), {"[act, sum]", "not convex", "comes back at node sum"});
}

TEST_F(Partitioning, ClaimsThatDependOnEachOtherInACircleAreRefused) {
  // fc > act > exp > sum beside tanh: claims {fc, tail} and {tanh, act} with fc > act and tanh > tail.
  const auto tanh = *graph.add_node("aten.tanh.default", {x}, {}, "tanh");
  const auto tail = *graph.add_node("aten.neg.default", {graph.output(tanh)}, {}, "tail");
  graph.set_outputs({graph.output(add), graph.output(tail)});
  fake.partition = claims({{0, 5}, {4, 1}});
  expect_plugin_error(run({&fake}), {"[act, tanh]", "in a circle"});
}

TEST_F(Partitioning, RefusalIsAnErrorEvenIfThePluginIgnoresIt) {
  fake.partition = [](const quoin_lower_request&, const quoin_claims& out, quoin_error*) -> quoin_status {
    const uint32_t bad = 99;
    EXPECT_EQ(out.claim(out.self, &bad, 1, {"t", 1}), QUOIN_INVALID);
    return QUOIN_OK;
  };
  EXPECT_FALSE(run({&fake}));
}

TEST_F(Partitioning, FailureKeepsThePluginsWords) {
  fake.partition = [](auto&, auto&, quoin_error* error) {
    return quoin::testing::refuse(error, QUOIN_INTERNAL, "ran out of tiles");
  };
  expect_plugin_error(run({&fake}), {"plugin fake", "ran out of tiles"});
}

TEST_F(Partitioning, ExceptionOfAPluginIsAnError) {
  fake.partition = [](auto&, auto&, auto*) -> quoin_status { throw std::runtime_error("boom"); };
  expect_plugin_error(run({&fake}), {"plugin fake", "boom"});
}

TEST_F(Partitioning, FirstPluginInOrderWins) {
  fake.partition = claims_op("aten.relu.default");
  other.partition = claims_op("aten.relu.default");
  const auto result = run({&other, &fake});
  ASSERT_TRUE(result) << text(result);
  EXPECT_EQ(result->placement[1].backend, "other");
  EXPECT_EQ(result->model.delegates.size(), 1u);
}

TEST_F(Partitioning, LaterPluginSeesOnlyWhatIsFree) {
  fake.partition = claims({{0, 1}});
  uint32_t seen = 0;
  other.partition = [&](const quoin_lower_request& request, auto& out, auto* error) {
    seen = request.graph->nodes.count;
    return claims_op("aten.exp.default")(request, out, error);
  };
  const auto result = run({&fake, &other});
  ASSERT_TRUE(result) << text(result);
  EXPECT_EQ(seen, 2u);
  EXPECT_EQ(result->placement[2].backend, "other");
  EXPECT_EQ(result->placement[3].reason, "other: only does one operator");
}

// Every node that it sees and that has a right operator, in one claim.
quoin::testing::FakePlugin::Partition claims_all_but(std::string op) {
  return [op](const quoin_lower_request& request, const quoin_claims& out, quoin_error*) -> quoin_status {
    std::vector<uint32_t> nodes;
    for (uint32_t i = 0; i < request.graph->nodes.count; ++i) {
      const auto* node = reinterpret_cast<const quoin_node*>(static_cast<const char*>(request.graph->nodes.data) +
                                                             size_t{i} * request.graph->nodes.stride);
      if (std::string_view(node->op.data, node->op.size) != op) nodes.push_back(i);
    }
    return nodes.empty() ? quoin_status{QUOIN_OK}
                         : out.claim(out.self, nodes.data(), static_cast<uint32_t>(nodes.size()), {"all", 3});
  };
}

TEST_F(Partitioning, AClaimAroundAnEarlierPluginsNodesIsAskedForInParts) {
  fake.partition = claims_op("aten.exp.default");
  other.partition = claims_all_but("aten.exp.default");  // fc, act and sum, with exp hidden between the last two
  const auto result = run({&fake, &other});
  ASSERT_TRUE(result) << text(result);
  for (const size_t node : {0, 1, 3}) EXPECT_EQ(result->placement[node].backend, "other") << node;
  EXPECT_EQ(result->placement[2].backend, "fake");
  EXPECT_EQ(result->model.delegates.size(), 3u) << "[fc, act], [exp], [sum]";
}

TEST_F(Partitioning, AnImpossibleClaimInAPartIsTheFaultOfThePlugin) {
  fake.partition = claims_op("aten.exp.default");
  const auto tanh = *graph.add_node("aten.tanh.default", {graph.output(relu)}, {}, "tanh");
  const auto tail = *graph.add_node("aten.add.Tensor", {graph.output(tanh), graph.output(relu)}, {}, "tail");
  graph.set_outputs({graph.output(add), graph.output(tail)});
  other.partition = claims_all_but("aten.tanh.default");  // act and tail, with a tanh between them that it does see
  expect_plugin_error(run({&fake, &other}), {"plugin other", "not convex", "comes back at node tail"});
}

TEST_F(Partitioning, PluginWithoutCompilerIsNamedAsTheReason) {
  fake.table.compiler = nullptr;
  const auto result = run({&fake});
  ASSERT_TRUE(result) << text(result);
  EXPECT_EQ(result->placement[0].reason, "fake: the plugin has no compiler");
}

}  // namespace
}  // namespace quoin::lower
