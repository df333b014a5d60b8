// The typed form on the portable kernels is the integer form of a quantized graph. After the reference's
// test_representation: it stays within 2 steps of the result (linear layers with dynamic activations within 2e-4) of
// the graph with quantize and dequantize nodes.
#include <cmath>

#include "support.hpp"

namespace quoin::quantize {
namespace {

using test::in;
using test::out;
using test::random_tensor;

using Names = std::vector<std::string>;

class Representation : public testing::Test {
 protected:
  ir::NodeId linear(int64_t inner, int64_t outputs) {
    return model_.add("aten.linear.default",
                      {model_.input({2, inner}), model_.constant(random_tensor({outputs, inner}, 1)),
                       model_.constant(random_tensor({outputs}, 2))});
  }
  // Converts with `samples`, checks the operators of the typed graph and how far its result is from that of the QDQ
  // graph; `steps`: of the result's scale.
  void expect_close(ir::NodeId result, const std::vector<Tensor>& sample, const Names& ops, float steps, float more) {
    model_.graph.set_outputs({model_.value(result)});
    const ir::Graph qdq = model_.qdq({sample});
    const ir::Graph typed = model_.typed(qdq);
    EXPECT_EQ(test::ops(typed), ops);
    const ir::Node& last = qdq.node(qdq.value(qdq.outputs()[0]).producer);
    const float scale = has(last.attrs, "scale") ? static_cast<float>(get_number(last.attrs, "scale")) : 0;
    const auto expected = test::run(qdq, sample)[0], found = test::run(typed, sample)[0];
    const auto a = expected.as<float>(), b = found.as<float>();
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], steps * scale + more + 1e-5f) << "element " << i;
  }
  test::Model model_;
};

TEST_F(Representation, StaticLinear) {
  const auto id = linear(5, 5);
  model_.annotate_product(id, true, test::weight(-1));
  expect_close(id, {random_tensor({2, 5}, 3)}, {"quantize.default", "linear.default", "dequantize.default"}, 2, 0);
}

TEST_F(Representation, DynamicLinearChoosesEqualIntegers) {
  for (const Scheme scheme : {Scheme::per_tensor, Scheme::per_token})
    for (const bool symmetric : {false, true})
      for (const double eps : {0.0, 0x1p-12}) {
        model_.clear();
        const auto id = linear(37, 9);
        Spec data = test::dynamic(scheme);
        data.symmetric = symmetric;
        data.eps = scheme == Scheme::per_tensor ? eps : 0;
        model_.annotate(in(id, 0), data);
        model_.annotate(in(id, 1), test::weight());
        Tensor x = random_tensor({2, 37}, 3, -1, 3);
        if (eps > 0) x = random_tensor({2, 37}, 3, -1e-2f, 1e-2f);  // a range that eps decides
        expect_close(id, {x}, {"linear_dynamic.default"}, 0, 2e-4f);
      }
}

// With a weight of ones the sum of one element is its quantized value: the integers are those of the nodes.
TEST_F(Representation, DynamicIntegersAreThoseOfTheNodes) {
  std::mt19937 engine(5);
  for (const Scheme scheme : {Scheme::per_tensor, Scheme::per_token})
    for (const bool symmetric : {false, true})
      for (unsigned round = 0; round < 20; ++round) {
        model_.clear();
        Tensor identity(DType::f32, {16, 16});
        for (size_t i = 0; i < 16; ++i) identity.as<float>()[i * 17] = 127;  // scale 1
        const auto id = model_.add("aten.linear.default", {model_.input({4, 16}), model_.constant(identity)});
        Spec data = test::dynamic(scheme);
        data.symmetric = symmetric;
        if (scheme == Scheme::per_tensor) data.eps = 0x1p-12;
        model_.annotate(in(id, 0), data);
        model_.annotate(in(id, 1), test::weight(-1));
        model_.graph.set_outputs({model_.value(id)});
        const float low = std::uniform_real_distribution<float>(-5, 1)(engine);
        Tensor x = random_tensor({4, 16}, round, low, low + 3);
        for (float& value : x.as<float>()) value = std::round(value * 64) / 64;  // many ties
        const ir::Graph qdq = model_.qdq({});
        const auto expected = test::run(qdq, {x})[0], found = test::run(model_.typed(qdq), {x})[0];
        for (size_t i = 0; i < 64; ++i) EXPECT_NEAR(expected.as<float>()[i], found.as<float>()[i], 1e-4f);
      }
}

TEST_F(Representation, Conv2d) {
  for (const int32_t axis : {0, -1}) {
    model_.clear();
    const auto id =
        model_.add("aten.conv2d.default", {model_.input({1, 3, 5, 5}), model_.constant(random_tensor({3, 3, 3, 3}, 1)),
                                           model_.constant(random_tensor({3}, 2))});
    model_.annotate_product(id, true, test::weight(axis));
    expect_close(id, {random_tensor({1, 3, 5, 5}, 3)}, {"quantize.default", "conv2d.default", "dequantize.default"}, 2,
                 0);
  }
}

TEST_F(Representation, Add) {
  const auto id = model_.add("aten.add.Tensor", {model_.input({1, 3, 3, 3}, "x"), model_.input({1, 3, 3, 3}, "y")});
  model_.annotate_all(id);
  expect_close(id, {random_tensor({1, 3, 3, 3}, 3), random_tensor({1, 3, 3, 3}, 4, -3, 1)},
               {"quantize.default", "quantize.default", "add.Tensor", "dequantize.default"}, 2, 0);
}

TEST_F(Representation, AddRelu) {
  const auto add = model_.add("aten.add.Tensor", {model_.input({1, 3, 3, 3}, "x"), model_.input({1, 3, 3, 3}, "y")});
  const auto relu = model_.add("aten.relu.default", {model_.value(add)});
  for (const uint32_t slot : {0u, 1u}) model_.annotate(in(add, slot), test::activation());
  model_.annotate(out(relu), test::activation());
  expect_close(relu, {random_tensor({1, 3, 3, 3}, 3), random_tensor({1, 3, 3, 3}, 4)},
               {"quantize.default", "quantize.default", "add.Tensor", "relu.default", "dequantize.default"}, 2, 0);
}

TEST_F(Representation, MaxPool2d) {
  const auto id = model_.add("aten.max_pool2d.default", {model_.input({1, 3, 6, 6})},
                             {{"kernel_size", std::vector<int64_t>{3, 3}}, {"padding", std::vector<int64_t>{1, 1}}});
  model_.annotate(in(id), test::activation());
  model_.annotate(out(id), test::share(in(id)));
  expect_close(id, {random_tensor({1, 3, 6, 6}, 3)}, {"quantize.default", "max_pool2d.default", "dequantize.default"},
               0, 0);
}

TEST_F(Representation, QuantizeAndDequantizePerChannel) {
  const auto id = linear(5, 4);
  model_.annotate(in(id, 1), test::weight(0));
  expect_close(id, {random_tensor({2, 5}, 3)}, {"dequantize.default", "linear.default"}, 0, 0);
}

TEST_F(Representation, QuantizeAndDequantize) {
  const auto id = model_.add("aten.neg.default", {model_.input({4, 4})});
  model_.annotate(in(id), test::activation());
  expect_close(id, {random_tensor({4, 4}, 3)}, {"quantize.default", "dequantize.default", "neg.default"}, 0, 0);
}

// Groups of a weight and rows of the input, as the reference's 4-bit linear layers have them.
TEST_F(Representation, DynamicLinearWithGroups) {
  const auto id = linear(32, 6);
  Spec groups;
  groups.dtype = DType::s4;
  groups.qmin = -8;
  groups.qmax = 7;
  groups.symmetric = true;
  groups.scheme = Scheme::per_group;
  groups.group = 8;
  model_.annotate(in(id, 0), test::dynamic(Scheme::per_token));
  model_.annotate(in(id, 1), groups);
  expect_close(id, {random_tensor({2, 32}, 3)}, {"linear_dynamic.default"}, 0, 2e-4f);
}

// -- what stays in float says why

class Reasons : public Representation {
 protected:
  std::string reason(ir::NodeId result, const std::vector<Tensor>& sample) {
    model_.graph.set_outputs({model_.value(result)});
    model_.typed(model_.qdq({sample}));
    std::string found;
    for (const Note& note : model_.diagnostics.notes())
      if (note.what.starts_with("computes in float: ")) {
        EXPECT_FALSE(note.hint.empty()) << note.text();
        found += note.what.substr(19) + "\n";
      }
    return found;
  }
};

TEST_F(Reasons, NameTheOperand) {
  const auto id = linear(5, 5);
  model_.annotate(in(id, 1), test::weight());
  EXPECT_EQ(reason(id, {random_tensor({2, 5}, 3)}), "operand 0 is not quantized\n");
}
TEST_F(Reasons, NameTheResult) {
  const auto id = linear(5, 5);
  model_.annotate_product(id, false);
  EXPECT_EQ(reason(id, {random_tensor({2, 5}, 3)}),
            "its result is not quantized, or its readers want different qparams\n");
}
TEST_F(Reasons, NameTheOperator) {
  const auto id = model_.add("aten.sigmoid.default", {model_.input({4})});
  model_.annotate_all(id);
  EXPECT_EQ(reason(id, {random_tensor({4}, 3)}), "aten.sigmoid.default has no integer form\n");
}
TEST_F(Reasons, NameTheTypeOfAWeight) {
  const auto id = linear(5, 5);
  model_.annotate(in(id, 0), test::activation());
  Spec wide = test::weight();
  wide.dtype = DType::s16;
  wide.qmin = -32767;
  wide.qmax = 32767;
  model_.annotate(in(id, 1), wide);
  model_.annotate(out(id), test::activation());
  EXPECT_EQ(reason(id, {random_tensor({2, 5}, 3)}), "integer kernels do not take s16 per channel as operand 1\n");
}
TEST_F(Reasons, NameDynamicConvolutions) {
  const auto id =
      model_.add("aten.conv2d.default", {model_.input({1, 3, 5, 5}), model_.constant(random_tensor({3, 3, 3, 3}, 1))});
  model_.annotate(in(id, 0), test::dynamic(Scheme::per_tensor));
  model_.annotate(in(id, 1), test::weight());
  EXPECT_EQ(reason(id, {random_tensor({1, 3, 5, 5}, 3)}),
            "its input gets its scale at run time, which only linear layers compute with on integers\n");
}
TEST_F(Reasons, AreSilentWhereNothingIsQuantized) {
  const auto id = linear(5, 5);
  EXPECT_EQ(reason(id, {random_tensor({2, 5}, 3)}), "");
}

}  // namespace
}  // namespace quoin::quantize
