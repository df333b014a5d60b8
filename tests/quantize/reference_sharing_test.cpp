// Behaviours that the reference's own tests of sharing check (docs/parity.md lists them).
#include "support.hpp"

namespace quoin::quantize {
namespace {

using test::in;
using test::out;
using test::share;

class ReferenceSharing : public testing::Test {
 protected:
  ir::NodeId conv(ir::ValueId data) {
    return model.add("aten.conv2d.default", {data, model.constant(test::random_tensor({4, 4, 1, 1}, 2))});
  }
  ir::NodeId add(ir::ValueId a, ir::ValueId b) { return model.add("aten.add.Tensor", {a, b}); }
  ir::NodeId cat(std::vector<ir::ValueId> values) {
    return model.add("aten.cat.default", std::move(values), {{"dim", int64_t{1}}});
  }
  void share_all(ir::NodeId node) {  // first operand observed, the rest with it
    model.annotate(in(node, 0), test::activation());
    for (uint32_t slot = 1; slot < model.graph.node(node).inputs.size(); ++slot)
      model.annotate(in(node, slot), share(in(node, 0)));
    model.annotate(out(node), share(in(node, 0)));
  }
  // Groups of the places, which must all be annotated.
  std::set<size_t> groups(const Prepared& prepared, std::initializer_list<ir::Place> places) const {
    std::set<size_t> out;
    for (const ir::Place place : places) out.insert(prepared.group_of.at(place));
    return out;
  }
  test::Model model;
  ir::ValueId x = model.input({1, 4, 4, 4}), y = model.input({1, 4, 4, 4}, "y");
};

TEST_F(ReferenceSharing, ACatOfTwoLayersHasOneObserverForAllItsPlaces) {
  const auto a = conv(x), b = conv(y), joined = cat({model.value(a), model.value(b)});
  model.graph.set_outputs({model.value(joined)});
  model.annotate_product(a);
  model.annotate_product(b);
  share_all(joined);
  const Prepared prepared = model.prepared();
  EXPECT_EQ(groups(prepared, {out(a), out(b), in(joined, 0), in(joined, 1), out(joined)}).size(), 1u);
  EXPECT_EQ(prepared.groups.size(), 1 + 4u) << "input and weight of each layer stand alone";
}
TEST_F(ReferenceSharing, TwoCatsOverOneValueShareThroughIt) {
  const auto a = conv(x), b = conv(y), c = conv(x);
  const auto first = cat({model.value(a), model.value(b)}), second = cat({model.value(a), model.value(c)});
  model.graph.set_outputs({model.value(first), model.value(second)});
  for (const auto id : {a, b, c}) model.annotate_product(id);
  share_all(first);
  share_all(second);
  const Prepared prepared = model.prepared();
  EXPECT_EQ(groups(prepared, {out(a), out(b), out(c), out(first), out(second)}).size(), 1u);
}
TEST_F(ReferenceSharing, TwoCatsOverOneValueShareThroughItsLaterPlace) {
  const auto a = conv(x), b = conv(y), c = conv(x);
  const auto first = cat({model.value(a), model.value(b)}), second = cat({model.value(c), model.value(a)});
  model.graph.set_outputs({model.value(first), model.value(second)});
  for (const auto id : {a, b, c}) model.annotate_product(id);
  share_all(first);
  share_all(second);
  const Prepared prepared = model.prepared();
  EXPECT_EQ(groups(prepared, {out(a), out(b), out(c), out(first), out(second)}).size(), 1u);
}
TEST_F(ReferenceSharing, WithoutImplicitSharingThreeAddsHaveThreeGroupsOfTheirOwn) {
  const auto first = add(x, y), second = add(x, y), third = add(model.value(first), model.value(second));
  model.graph.set_outputs({model.value(third)});
  for (const auto id : {first, second, third}) {
    Spec alone = test::activation();
    alone.implicit_sharing = false;
    model.annotate(in(id, 0), alone);
    for (const ir::Place place : {in(id, 1), out(id)}) {
      Spec follower = share(in(id, 0));
      follower.implicit_sharing = false;
      model.annotate(place, follower);
    }
  }
  const Prepared prepared = model.prepared();
  EXPECT_EQ(prepared.groups.size(), 3u);
  for (const auto id : {first, second, third}) EXPECT_EQ(groups(prepared, {in(id, 0), in(id, 1), out(id)}).size(), 1u);
}
TEST_F(ReferenceSharing, SharingRoundACircleOfReadersEndsInOneGroup) {
  const auto copy = model.add("aten.neg.default", {x});
  const auto equal = add(x, model.value(copy));
  model.graph.set_outputs({model.value(equal)});
  model.annotate(in(copy), test::activation());
  model.annotate(out(copy), share(in(copy)));
  model.annotate(in(equal, 0), test::activation());   // implicitly with in(copy)
  model.annotate(in(equal, 1), share(in(equal, 0)));  // reads what copy's group covers: a circle
  EXPECT_EQ(model.prepared().groups.size(), 1u);
}
TEST_F(ReferenceSharing, AFixedSpecGivesItsNumbersToTheWholeGroup) {
  const auto a = conv(x), b = conv(y), joined = cat({model.value(a), model.value(b)});
  model.graph.set_outputs({model.value(joined)});
  Spec fixed;
  fixed.kind = SpecKind::fixed;
  fixed.scale = 0.125f;
  fixed.zero_point = 42;
  model.annotate(in(joined, 0), fixed);
  model.annotate(in(joined, 1), share(in(joined, 0)));
  model.annotate(out(joined), share(in(joined, 0)));
  const ir::Graph graph = model.qdq({});
  size_t seen = 0;
  for (const ir::NodeId id : graph.order()) {
    const Attrs& attrs = graph.node(id).attrs;
    if (!graph.node(id).op().starts_with("quantized_decomposed.")) continue;
    EXPECT_EQ(get_number(attrs, "scale"), 0.125);
    EXPECT_EQ(get_int(attrs, "zero_point"), 42);
    ++seen;
  }
  EXPECT_EQ(seen, 6u);
}
TEST_F(ReferenceSharing, PreparingChangesNoBitOfTheResult) {
  const auto a = conv(x), b = conv(y), joined = cat({model.value(a), model.value(b)});
  model.graph.set_outputs({model.value(joined)});
  model.annotate_product(a);
  share_all(joined);
  const std::vector<Tensor> sample{test::random_tensor({1, 4, 4, 4}, 1), test::random_tensor({1, 4, 4, 4}, 2)};
  const Tensor before = test::run(model.graph, sample)[0];
  model.qdq({sample});
  const Tensor after = test::run(model.graph, sample)[0];
  EXPECT_TRUE(std::ranges::equal(before.as<float>(), after.as<float>()));
}

}  // namespace
}  // namespace quoin::quantize
