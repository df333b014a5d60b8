// The rule table on small hand-written graphs, with a backend of four rules.
#include <gtest/gtest.h>
#include <quoin/rules.hpp>

#include <deque>
#include <string>
#include <vector>

namespace quoin::sdk {
namespace {

// A float graph in ABI form; every value is f32 of two elements.
class GraphBuilder {
 public:
  uint32_t input() {
    inputs_.push_back(value(QUOIN_NONE));
    return inputs_.back();
  }
  uint32_t node(const char* op, std::vector<uint32_t> inputs) {
    const auto id = static_cast<uint32_t>(nodes_.size());
    lists_.push_back(std::move(inputs));
    const std::vector<uint32_t>& in = lists_.back();
    lists_.push_back({value(id)});
    quoin_node n{};
    n.op = str(op);
    n.num_inputs = static_cast<uint32_t>(in.size());
    n.inputs = in.data();
    n.num_outputs = 1;
    n.outputs = lists_.back().data();
    nodes_.push_back(n);
    for (uint32_t s = 0; s < in.size(); ++s) users_[in[s]].push_back({id, s, 0, 0});
    return n.outputs[0];
  }
  void type(uint32_t id) { values_[id].qparams = &qparams_; }
  void follow_length(uint32_t id) {  // of at most two
    values_[id].dims_max = values_[id].dims;
    values_[id].dims = &open_;
  }
  const quoin_graph* view(std::vector<uint32_t> outputs) {
    outputs_ = std::move(outputs);
    for (uint32_t v = 0; v < values_.size(); ++v) {
      values_[v].users = users_[v].data();
      values_[v].num_users = static_cast<uint32_t>(users_[v].size());
    }
    graph_ = {};
    graph_.struct_size = sizeof graph_;
    graph_.values = Array<quoin_value>::of(values_);
    graph_.nodes = Array<quoin_node>::of(nodes_);
    graph_.inputs = inputs_.data();
    graph_.num_inputs = static_cast<uint32_t>(inputs_.size());
    graph_.outputs = outputs_.data();
    graph_.num_outputs = static_cast<uint32_t>(outputs_.size());
    return &graph_;
  }

 private:
  uint32_t value(uint32_t producer) {
    quoin_value v{};
    v.dtype = QUOIN_F32;
    v.rank = 1;
    v.dims = &two_;
    v.producer = producer;
    values_.push_back(v);
    users_.emplace_back();
    return static_cast<uint32_t>(values_.size() - 1);
  }
  const int64_t two_ = 2, open_ = -1;
  const float scale_ = 1;
  const quoin_qparams qparams_{
      sizeof(quoin_qparams), QUOIN_S8, QUOIN_PER_TENSOR, -1, 0, 1, -128, 127, &scale_, nullptr, nullptr, 0};
  std::vector<quoin_value> values_;
  std::vector<quoin_node> nodes_;
  std::deque<std::vector<quoin_place>> users_;
  std::deque<std::vector<uint32_t>> lists_;
  std::vector<uint32_t> inputs_, outputs_;
  quoin_graph graph_{};
};

constexpr const char *kMul = "aten.mul.Tensor", *kRelu = "aten.relu.default", *kNorm = "aten.batch_norm.default",
                     *kView = "aten.view.default", *kLog = "aten.log.default";

quoin_qspec byte(const Match&, const Params&) {
  quoin_qspec s{};
  s.dtype = QUOIN_S8;
  return s;
}
std::string no_squares(const Match& m) {
  return m.root().inputs()[0] == m.root().inputs()[1] ? "it squares a value" : "";
}
constexpr Placement kBoth[] = {observe(operand(0), byte), observe(operand(1), byte), observe(result(), byte)};
constexpr Placement kMove[] = {follow(0, byte), share(result(), operand(0))};
constexpr PresetSpecs kMulPresets[] = {{"int8", kBoth}}, kMovePresets[] = {{"int8", kMove}};
constexpr Rule kRules[] = {
    {"mul", "mul.Tensor [> batch_norm] [> relu|relu6]", kMulPresets, kFloat | kInteger, "no squares", no_squares},
    {"view", "view", kMovePresets, kFloat | kInteger | kDynamic, {}, nullptr, true},
    {"relu", "relu", {}, kFloat, {}, nullptr},
};

// Everything the table says, as text: "set 0.in1", "match mul 0 1", "skip 2: reason".
struct Said {
  std::vector<std::string> lines;
  static std::string place(quoin_place p) {
    return std::to_string(p.node) + (p.is_output != 0 ? ".out" : ".in") + std::to_string(p.slot);
  }
};

std::vector<std::string> annotate(const quoin_graph* graph, std::vector<uint32_t> node_config = {}) {
  static const RuleTable table("toy", kRules);
  Said said;
  quoin_annotator raw{sizeof raw, 0, &said, nullptr, nullptr, nullptr};
  raw.set = [](void* self, quoin_place p, const quoin_qspec* spec) -> quoin_status {
    const std::string with = spec->kind == QUOIN_SHARED ? " = " + Said::place(spec->sources[0]) : "";
    static_cast<Said*>(self)->lines.push_back("set " + Said::place(p) + with);
    return QUOIN_OK;
  };
  raw.match = [](void* self, const uint32_t* nodes, uint32_t count, quoin_str rule) {
    std::string line = "match " + std::string(view(rule));
    for (uint32_t i = 0; i < count; ++i) line += " " + std::to_string(nodes[i]);
    static_cast<Said*>(self)->lines.push_back(line);
  };
  raw.skip = [](void* self, uint32_t node, quoin_str reason) {
    static_cast<Said*>(self)->lines.push_back("skip " + std::to_string(node) + ": " + std::string(view(reason)));
  };
  const quoin_quant_config config{str("int8"), {}};
  node_config.resize(graph->nodes.count, 0);
  const quoin_quant_request request{sizeof request, 0, graph, {&config, 1, sizeof config}, node_config.data()};
  Annotator annotator(&raw);
  table.annotate(QuantRequest(&request), annotator);
  return said.lines;
}

using Lines = std::vector<std::string>;

TEST(Annotate, TakesTheLongestChainOfAPattern) {
  GraphBuilder g;
  const uint32_t a = g.input(), b = g.input();
  const uint32_t out = g.node(kRelu, {g.node(kNorm, {g.node(kMul, {a, b})})});
  EXPECT_EQ(annotate(g.view({out})), (Lines{"set 0.in0", "set 0.in1", "set 2.out0", "match mul 0 1 2"}));
}

TEST(Annotate, AValueThatIsReadTwiceEndsTheChain) {
  GraphBuilder g;
  const uint32_t a = g.input(), b = g.input(), m = g.node(kMul, {a, b});
  const uint32_t r = g.node(kRelu, {m});
  EXPECT_EQ(annotate(g.view({r, m})), (Lines{"skip 1: rule relu: preset int8 leaves it in float", "set 0.in0",
                                             "set 0.in1", "set 0.out0", "match mul 0"}));
}

TEST(Annotate, AFollowerThatTheRecipeLeavesInFloatEndsTheChain) {
  GraphBuilder g;
  const uint32_t a = g.input(), b = g.input();
  const uint32_t out = g.node(kRelu, {g.node(kMul, {a, b})});
  EXPECT_EQ(annotate(g.view({out}), {0, QUOIN_NONE}), (Lines{"set 0.in0", "set 0.in1", "set 0.out0", "match mul 0"}));
}

TEST(Annotate, ConstraintsGiveTheReason) {
  GraphBuilder g;
  const uint32_t a = g.input(), out = g.node(kLog, {g.node(kMul, {a, a})});
  EXPECT_EQ(annotate(g.view({out})),
            (Lines{"skip 0: rule mul: it squares a value", "skip 1: no rule for aten.log.default"}));
}

TEST(Annotate, DataMovementFollowsItsProducer) {
  GraphBuilder g;
  const uint32_t a = g.input(), b = g.input();
  const uint32_t out = g.node(kView, {g.node(kMul, {a, b})});
  EXPECT_EQ(annotate(g.view({out})), (Lines{"set 0.in0", "set 0.in1", "set 0.out0", "match mul 0", "set 1.in0 = 0.out0",
                                            "set 1.out0 = 1.in0", "match view 1"}));
}

TEST(Annotate, DataMovementOfAnInputJoinsItsReader) {
  GraphBuilder g;
  const uint32_t a = g.input(), b = g.input();
  const uint32_t out = g.node(kMul, {g.node(kView, {a}), b});
  EXPECT_EQ(annotate(g.view({out})), (Lines{"set 0.in0", "set 0.out0 = 0.in0", "match view 0", "set 1.in0", "set 1.in1",
                                            "set 1.out0", "match mul 1"}));
  GraphBuilder alone;
  EXPECT_EQ(annotate(alone.view({alone.node(kView, {alone.input()})})),
            (Lines{"skip 0: moves data that is not quantized"}));
}

// -- partition

std::vector<std::string> partition(const quoin_graph* graph) {
  static const RuleTable table("toy", kRules);
  Said said;
  quoin_claims raw{sizeof raw, 0, &said, nullptr, nullptr};
  raw.claim = [](void* self, const uint32_t* nodes, uint32_t count, quoin_str tag) -> quoin_status {
    std::string line = "claim " + std::string(view(tag));
    for (uint32_t i = 0; i < count; ++i) line += " " + std::to_string(nodes[i]);
    static_cast<Said*>(self)->lines.push_back(line);
    return QUOIN_OK;
  };
  raw.decline = [](void* self, uint32_t node, quoin_str reason) {
    static_cast<Said*>(self)->lines.push_back("decline " + std::to_string(node) + ": " + std::string(view(reason)));
  };
  const quoin_lower_request request{sizeof request, 0, graph, {}, 0};
  Claims claims(&raw);
  table.partition(LowerRequest(&request), claims);
  return said.lines;
}

TEST(Partition, ARegionNeverSurroundsADeclinedNode) {
  GraphBuilder g;
  const uint32_t a = g.node(kRelu, {g.input()}), b = g.node(kLog, {a}), c = g.node(kMul, {a, b});
  EXPECT_EQ(partition(g.view({c})),
            (Lines{"decline 1: no rule for aten.log.default", "claim toy.0 0", "claim toy.2 2"}));
}

TEST(Partition, BranchesBesideADeclinedNodeStayTogether) {
  GraphBuilder g;
  const uint32_t x = g.input(), a = g.node(kRelu, {x}), b = g.node(kLog, {x}), c = g.node(kView, {a});
  EXPECT_EQ(partition(g.view({b, c})), (Lines{"decline 1: no rule for aten.log.default", "claim toy.0 0 2"}));
}

TEST(Partition, RegionsNeverNeedEachOther) {
  GraphBuilder g;  // a0 > log > a1, and a1's region must not take what a0's region needs
  const uint32_t x = g.input(), a0 = g.node(kRelu, {x}), l = g.node(kLog, {a0}), a1 = g.node(kRelu, {l});
  const uint32_t b = g.node(kView, {x}), l2 = g.node(kLog, {b}), c = g.node(kMul, {a0, l2}), d = g.node(kMul, {c, a1});
  const Lines lines = partition(g.view({d}));
  EXPECT_EQ(lines, (Lines{"decline 1: no rule for aten.log.default", "decline 4: no rule for aten.log.default",
                          "claim toy.0 0", "claim toy.2 2 3", "claim toy.5 5 6"}));
}

TEST(Partition, IntegerNodesNeedAnIntegerRule) {
  GraphBuilder g;
  const uint32_t x = g.input(), r = g.node(kRelu, {x}), v = g.node(kView, {r});
  g.type(x), g.type(r), g.type(v);
  EXPECT_EQ(partition(g.view({v})), (Lines{"decline 0: rule relu: is not computed on integers", "claim toy.1 1"}));
}

TEST(Partition, NodesThatFollowTheLengthNeedARuleForThem) {
  GraphBuilder g;
  const uint32_t x = g.input(), r = g.node(kRelu, {x}), v = g.node(kView, {r});
  g.follow_length(r), g.follow_length(v);
  EXPECT_EQ(
      partition(g.view({v})),
      (Lines{"decline 0: rule relu: is not computed on shapes that follow the length of a run", "claim toy.1 1"}));
}

TEST(Value, DimsAreThoseOfTheLongestRun) {
  GraphBuilder g;
  const uint32_t x = g.input(), v = g.node(kView, {x});
  g.follow_length(v);
  const Graph graph(g.view({v}));
  EXPECT_TRUE(graph.value(x).is_static());
  EXPECT_FALSE(graph.value(v).is_static());
  EXPECT_TRUE(graph.value(v).is_dynamic(0));
  EXPECT_FALSE(graph.value(v).is_dynamic(1));
  EXPECT_EQ(graph.value(v).dims()[0], 2);
  EXPECT_EQ(graph.value(v).numel(), 2);
}

TEST(Describe, ListsTheRulesAsAnExtension) {
  const RuleTable table("toy", kRules);
  const quoin_ext* ext = table.describe();
  EXPECT_STREQ(ext->name, QUOIN_RULES_EXT);
  const Array<quoin_rule> rules(reinterpret_cast<const quoin_rules*>(ext)->rules);
  ASSERT_EQ(rules.size(), 3u);
  EXPECT_EQ(view(rules[0].pattern), "mul.Tensor [> batch_norm] [> relu|relu6]");
  EXPECT_EQ(view(rules[0].constraint), "no squares");
  EXPECT_EQ(view(Array<quoin_str>(rules[0].presets)[0]), "int8");
  EXPECT_EQ(rules[2].integer, 0u);
  EXPECT_EQ(rules[2].real, 1u);
}

TEST(RuleTable, ARuleMayOnlyNamePresetsOfTheBackend) {
  const quoin_preset other[] = {{str("int4"), str("4 bits"), {}}};
  try {
    RuleTable("toy", kRules).check_presets(other);
    FAIL() << "expected a failure";
  } catch (const Failure& failure) {
    EXPECT_EQ(failure.code, QUOIN_INVALID);
    EXPECT_NE(std::string(failure.what()).find("which the backend does not offer"), std::string::npos);
  }
}

}  // namespace
}  // namespace quoin::sdk
