// Where added nodes come from, and which nodes conversion adds. After the reference's test_metadata_porting and
// test_duplicate_dq; the module path stands for its quantization tag.
#include "support.hpp"

namespace quoin::quantize {
namespace {

using test::count;
using test::in;
using test::out;
using test::random_tensor;

using Names = std::vector<std::string>;
using Tags = std::vector<std::pair<std::string, std::string>>;

class Provenance : public testing::Test {
 protected:
  ir::NodeId conv(ir::ValueId x, const std::string& name, int64_t channels = 3) {
    return model_.add("aten.conv2d.default", {x, model_.constant(random_tensor({3, channels, 1, 1}, 1), name + "_w")},
                      {}, name, {{name, "lib.Conv"}});
  }
  ir::NodeId unary(const char* op, ir::ValueId x, const std::string& name, Attrs attrs = {}) {
    return model_.add(op, {x}, std::move(attrs), name, {{name, "lib.Unary"}});
  }
  ir::NodeId pool(ir::ValueId x, const std::string& name) {
    return unary("aten.avg_pool2d.default", x, name, {{"kernel_size", std::vector<int64_t>{2, 2}}});
  }
  ir::Graph qdq(std::vector<ir::NodeId> outputs) {
    std::vector<ir::ValueId> values;
    for (const auto id : outputs) values.push_back(model_.value(id));
    model_.graph.set_outputs(std::move(values));
    return model_.qdq({{random_tensor({1, 3, 4, 4}, 2)}});
  }
  // Operator (without namespace) and module of every quantization node. All know their source and its debug id.
  Tags tags(const ir::Graph& graph) const {
    Tags found;
    for (const ir::NodeId id : graph.order()) {
      const ir::Node& node = graph.node(id);
      if (!node.op().starts_with("quantized_decomposed.")) continue;
      const std::string path = node.module_path();
      EXPECT_EQ(node.origins, Names{path}) << node.name;
      for (const ir::NodeId source : model_.graph.order()) {
        if (model_.graph.node(source).name != path) continue;
        EXPECT_EQ(node.debug_id, model_.graph.node(source).debug_id);
      }
      found.emplace_back(node.op().substr(node.op().find('.') + 1, node.op().rfind('.') - node.op().find('.') - 1),
                         path);
    }
    return found;
  }
  test::Model model_;
};

// conv -> avgpool -> linear-like conv, all quantized: q of a result is its producer's, dq its reader's.
TEST_F(Provenance, QuantizeIsTheProducersAndDequantizeTheReaders) {
  const auto first = conv(model_.input({1, 3, 4, 4}), "first"), middle = pool(model_.value(first), "middle"),
             last = conv(model_.value(middle), "last");
  model_.annotate_product(first);
  model_.annotate(in(middle), test::share(out(first)));
  model_.annotate(out(middle), test::share(in(middle)));
  model_.annotate_product(last);
  EXPECT_EQ(tags(qdq({last})), (Tags{{"quantize_per_tensor", "first"},
                                     {"dequantize_per_tensor", "first"},
                                     {"dequantize_per_channel", "first"},
                                     {"quantize_per_tensor", "first"},
                                     {"dequantize_per_tensor", "middle"},
                                     {"quantize_per_tensor", "middle"},
                                     {"dequantize_per_tensor", "last"},
                                     {"dequantize_per_channel", "last"},
                                     {"quantize_per_tensor", "last"},
                                     {"dequantize_per_tensor", "last"}}));
}

TEST_F(Provenance, AnUnannotatedReaderLeavesTheDequantizeToTheProducer) {
  const auto first = conv(model_.input({1, 3, 4, 4}), "first"),
             neg = unary("aten.neg.default", model_.value(first), "neg");
  model_.annotate_product(first);
  EXPECT_EQ(tags(qdq({neg})).back(), (std::pair<std::string, std::string>{"dequantize_per_tensor", "first"}));
}

TEST_F(Provenance, TwoReadersHaveADequantizeEach) {
  const auto first = conv(model_.input({1, 3, 4, 4}), "first"), left = pool(model_.value(first), "left"),
             right = pool(model_.value(first), "right");
  model_.annotate_product(first);
  for (const auto id : {left, right}) model_.annotate_all(id);
  const Tags found = tags(qdq({left, right}));
  EXPECT_EQ(std::count(found.begin(), found.end(), Tags::value_type{"dequantize_per_tensor", "left"}),
            2);  // and result
  EXPECT_EQ(std::count(found.begin(), found.end(), Tags::value_type{"dequantize_per_tensor", "right"}), 2);
}

TEST_F(Provenance, DynamicChainsAreTheReaders) {
  const auto first = conv(model_.input({1, 3, 4, 4}), "first"), last = conv(model_.value(first), "last");
  model_.annotate_product(first);
  model_.annotate(in(last, 0), test::dynamic(Scheme::per_tensor));
  model_.annotate(in(last, 1), test::weight());
  const Tags found = tags(qdq({last})), wanted{{"choose_qparams", "last"},
                                               {"quantize_per_tensor", "last"},
                                               {"dequantize_per_tensor", "last"},
                                               {"dequantize_per_channel", "last"}};
  ASSERT_GE(found.size(), 4u);
  EXPECT_EQ(Tags(found.end() - 4, found.end()), wanted);
}

// -- which nodes there are

TEST_F(Provenance, OneAnnotatedReaderNeedsNoDuplicate) {
  const auto first = conv(model_.input({1, 3, 4, 4}), "first"), middle = pool(model_.value(first), "middle");
  model_.annotate_product(first);
  model_.annotate_all(middle);
  EXPECT_EQ(count(qdq({middle}), "dequantize_per_tensor.default"), 3);
}

TEST_F(Provenance, UnannotatedReadersShareOneDequantize) {
  const auto first = conv(model_.input({1, 3, 4, 4}), "first");
  const auto neg = unary("aten.neg.default", model_.value(first), "neg"),
             exp = unary("aten.exp.default", model_.value(first), "exp");
  const auto left = pool(model_.value(first), "left");
  model_.annotate_product(first);
  model_.annotate_all(left);
  const ir::Graph graph = qdq({neg, exp, left});
  const auto reads = [&](const char* op) { return graph.input(test::find(graph, op), 0); };
  EXPECT_EQ(reads("neg.default"), reads("exp.default"));
  EXPECT_NE(reads("neg.default"), reads("avg_pool2d.default"));
  EXPECT_EQ(graph.input(graph.value(reads("neg.default")).producer, 0),
            graph.input(graph.value(reads("avg_pool2d.default")).producer, 0));
}

TEST_F(Provenance, ReadersWithOtherSpecsRequantize) {
  const auto first = conv(model_.input({1, 3, 4, 4}), "first"), left = pool(model_.value(first), "left"),
             right = pool(model_.value(first), "right");
  model_.annotate_product(first);
  Spec other = test::activation();
  other.qmin = -100;
  for (const auto id : {left, right}) {
    model_.annotate(in(id), other);
    model_.annotate(out(id), test::share(in(id)));
  }
  const ir::Graph graph = qdq({left, right});
  for (const char* name : {"left", "right"})
    for (const ir::NodeId id : graph.order()) {
      if (graph.node(id).name != name) continue;
      const ir::Node& dq = graph.node(graph.value(graph.input(id, 0)).producer);
      const ir::Node& q = graph.node(graph.value(dq.inputs[0]).producer);
      const ir::Node& before = graph.node(graph.value(q.inputs[0]).producer);
      EXPECT_EQ(get_int(q.attrs, "quant_min"), -100);
      EXPECT_EQ(before.op(), "quantized_decomposed.dequantize_per_tensor.default");
      EXPECT_EQ(get_int(before.attrs, "quant_min"), -128);
    }
  EXPECT_EQ(count(graph, "quantize_per_tensor.default"), 2 + 1 + 2);  // x, first; one requantization; results
}

// -- fold_weights

TEST_F(Provenance, WeightsMayStayInFloatBehindAQuantizeNode) {
  const auto id = conv(model_.input({1, 3, 4, 4}), "first");
  model_.graph.set_outputs({model_.value(id)});
  model_.annotate_product(id);
  Prepared prepared = model_.prepared();
  const Tensor sample = random_tensor({1, 3, 4, 4}, 2);
  const test::Samples data({{sample}});
  test::ok(calibrate(model_.graph, prepared, &data, {}, test::host(), nullptr, model_.diagnostics));
  const ir::Graph folded = test::ok(convert(model_.graph, prepared, model_.diagnostics));
  const ir::Graph open = test::ok(convert(model_.graph, prepared, model_.diagnostics, {.fold_weights = false}));
  EXPECT_EQ(count(folded, "quantize_per_channel.default"), 0);
  ASSERT_EQ(count(open, "quantize_per_channel.default"), 1);
  const ir::Node& q = open.node(test::find(open, "quantize_per_channel.default"));
  EXPECT_EQ(open.value(q.inputs[0]).type.dtype, DType::f32);
  EXPECT_TRUE(open.is_constant(q.inputs[0]));
  const auto expected = test::run(folded, {sample})[0], found = test::run(open, {sample})[0];
  for (size_t i = 0; i < expected.as<float>().size(); ++i) EXPECT_EQ(expected.as<float>()[i], found.as<float>()[i]);
  EXPECT_EQ(test::ops(model_.typed(open)), test::ops(model_.typed(folded)));
}

}  // namespace
}  // namespace quoin::quantize
