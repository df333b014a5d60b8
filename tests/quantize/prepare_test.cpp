#include "support.hpp"

namespace quoin::quantize {
namespace {

using test::in;
using test::out;
using test::share;

// a -> relu -> add(relu, b) -> relu2, all places annotated by the test.
class Sharing : public testing::Test {
 protected:
  Sharing() {
    a_ = model_.input({4}, "a");
    b_ = model_.input({4}, "b");
    relu_ = model_.add("aten.relu.default", {a_}, {}, "relu");
    add_ = model_.add("aten.add.Tensor", {model_.value(relu_), b_}, {}, "add");
    mul_ = model_.add("aten.mul.Tensor", {model_.value(relu_), model_.value(add_)}, {}, "mul");
    model_.graph.set_outputs({model_.value(mul_)});
  }
  size_t group(const Prepared& prepared, ir::Place place) { return prepared.group_of.at(place); }
  test::Model model_;
  ir::ValueId a_, b_;
  ir::NodeId relu_, add_, mul_;
};

TEST_F(Sharing, EqualSpecsOfOneValueShare) {
  model_.annotate(out(relu_), test::activation());
  model_.annotate(in(add_, 0), test::activation());
  model_.annotate(in(add_, 1), test::activation());
  model_.annotate(in(mul_, 0), test::activation());
  const Prepared prepared = model_.prepared();
  EXPECT_EQ(group(prepared, out(relu_)), group(prepared, in(add_, 0)));
  EXPECT_EQ(group(prepared, out(relu_)), group(prepared, in(mul_, 0)));
  EXPECT_NE(group(prepared, in(add_, 1)), group(prepared, in(add_, 0)));
  EXPECT_EQ(prepared.groups.size(), 2u);
}
TEST_F(Sharing, ReadersShareWithoutAnAnnotatedProducer) {
  model_.annotate(in(add_, 0), test::activation());
  model_.annotate(in(mul_, 0), test::activation());
  EXPECT_EQ(model_.prepared().groups.size(), 1u);
}
TEST_F(Sharing, DifferentSpecsDoNotShare) {
  Spec other = test::activation();
  other.qmin = 0;
  model_.annotate(out(relu_), test::activation());
  model_.annotate(in(add_, 0), other);
  EXPECT_EQ(model_.prepared().groups.size(), 2u);
}
TEST_F(Sharing, DifferentObserversOrEpsDoNotShare) {
  for (const bool by_eps : {false, true}) {
    model_.annotations = {};
    Spec other = test::activation();
    if (by_eps)
      other.eps = 0.5;
    else
      other.observer = "histogram";
    model_.annotate(out(relu_), test::activation());
    model_.annotate(in(add_, 0), other);
    EXPECT_EQ(model_.prepared().groups.size(), 2u);
  }
}
TEST_F(Sharing, ImplicitSharingCanBeRefused) {
  Spec alone = test::activation();
  alone.implicit_sharing = false;
  model_.annotate(out(relu_), test::activation());
  model_.annotate(in(add_, 0), alone);
  EXPECT_EQ(model_.prepared().groups.size(), 2u);
}
TEST_F(Sharing, ExplicitChainsAreTransitive) {
  model_.annotate(in(add_, 0), test::activation());
  model_.annotate(in(add_, 1), share(in(add_, 0)));
  model_.annotate(out(add_), share(in(add_, 1)));
  model_.annotate(in(mul_, 1), share(out(add_)));
  const Prepared prepared = model_.prepared();
  ASSERT_EQ(prepared.groups.size(), 1u);
  EXPECT_EQ(prepared.groups[0].places.size(), 4u);
  EXPECT_EQ(prepared.groups[0].spec.kind, SpecKind::observed);
  EXPECT_TRUE(prepared.groups[0].observer);
}
TEST_F(Sharing, MayReferToLaterPlaces) {
  model_.annotate(in(add_, 0), share(out(add_)));
  model_.annotate(out(add_), test::activation());
  EXPECT_EQ(model_.prepared().groups.size(), 1u);
}
TEST_F(Sharing, CyclesAndMissingSourcesAreErrors) {
  model_.annotate(in(add_, 0), share(in(add_, 1)));
  const auto missing = prepare(model_.graph, model_.annotations, {});
  ASSERT_FALSE(missing);
  EXPECT_TRUE(test::mentions(missing.error(), "not annotated"));
  model_.annotate(in(add_, 1), share(in(add_, 0)));
  const auto cycle = prepare(model_.graph, model_.annotations, {});
  ASSERT_FALSE(cycle);
  EXPECT_EQ(cycle.error().code, Code::plugin);
  EXPECT_TRUE(test::mentions(cycle.error(), "never ends"));
}
TEST_F(Sharing, OneValueReadTwiceHasTwoPlacesInOneGroup) {
  const auto twice = model_.add("aten.add.Tensor", {b_, b_}, {}, "twice");
  model_.graph.set_outputs({model_.value(mul_), model_.value(twice)});
  model_.annotate(in(twice, 0), test::activation());
  model_.annotate(in(twice, 1), test::activation());
  const Prepared prepared = model_.prepared();
  ASSERT_EQ(prepared.groups.size(), 1u);
  EXPECT_EQ(prepared.groups[0].places.size(), 2u);
}

class Observing : public testing::Test {
 protected:
  Observing() {
    linear_ =
        model_.add("aten.linear.default",
                   {model_.input({2, 3}), model_.constant(test::floats({2, 3}, {1, 2, 3, -4, 5, 6}))}, {}, "linear");
    model_.graph.set_outputs({model_.value(linear_)});
  }
  static Spec unnamed(Spec spec) {
    spec.observer.clear();
    return spec;
  }
  test::Model model_;
  ir::NodeId linear_;
};

TEST_F(Observing, TheRecipeDecidesForActivationsWithoutObserver) {
  model_.annotate(in(linear_, 0), unnamed(test::activation()));
  model_.annotate(in(linear_, 1), test::weight());
  model_.annotate(out(linear_), test::activation());
  const Prepared prepared =
      test::ok(prepare(model_.graph, model_.annotations, {"moving_average", {{"averaging_constant", 0.5}}}));
  EXPECT_EQ(prepared.groups[0].spec.observer, "moving_average");
  EXPECT_EQ(prepared.groups[0].spec.observer_params.size(), 1u);
  EXPECT_EQ(prepared.groups[1].spec.observer, "minmax");
  EXPECT_EQ(prepared.groups[2].spec.observer, "minmax");
}
TEST_F(Observing, UnknownObserversNameThePlace) {
  model_.annotate(in(linear_, 0), unnamed(test::activation()));
  const auto found = prepare(model_.graph, model_.annotations, {"histo", {}});
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Code::recipe);
  EXPECT_TRUE(test::mentions(found.error(), "node linear"));
}
TEST_F(Observing, DynamicFixedAndDerivedSpecsHaveNoObserver) {
  Spec fixed;
  fixed.kind = SpecKind::fixed;
  fixed.scale = 1;
  model_.annotate(in(linear_, 0), test::dynamic(Scheme::per_token));
  model_.annotate(out(linear_), fixed);
  for (const Group& group : model_.prepared().groups) EXPECT_FALSE(group.observer);
}
TEST_F(Observing, DerivationNeedsStaticSources) {
  Spec derived;
  derived.kind = SpecKind::derived;
  derived.dtype = DType::s32;
  derived.qmin = INT32_MIN;
  derived.qmax = INT32_MAX;
  derived.rule = QUOIN_RULE_PRODUCT;
  derived.sources = {in(linear_, 0), in(linear_, 1)};
  model_.annotate(out(linear_), derived);
  model_.annotate(in(linear_, 1), test::weight());
  EXPECT_TRUE(test::mentions(prepare(model_.graph, model_.annotations, {}).error(), "not annotated"));
  model_.annotate(in(linear_, 0), test::dynamic(Scheme::per_tensor));
  EXPECT_TRUE(test::mentions(prepare(model_.graph, model_.annotations, {}).error(), "run time"));
}

}  // namespace
}  // namespace quoin::quantize
