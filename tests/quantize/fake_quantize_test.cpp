#include "quantize/fake_quantize.hpp"

#include <cstring>
#include <limits>

#include "ir/print.hpp"
#include "quantize/group_qparams.hpp"
#include "random_graph.hpp"

namespace quoin::quantize {
namespace {

using test::floats;
using test::in;
using test::out;
using test::random_tensor;
using test::RandomGraph;

using Batch = std::vector<Tensor>;

std::vector<float> numbers(const Tensor& tensor) {
  const auto elements = tensor.as<float>();
  return {elements.begin(), elements.end()};
}
bool same_bits(const Tensor& a, const Tensor& b) {
  return a.bytes() == b.bytes() && std::memcmp(a.data(), b.data(), a.bytes()) == 0;
}

// A model with its observers and the fake-quantized form of it.
struct Fake {
  test::Model& model;
  Prepared prepared;
  kernels::KernelSet kernels;
  FakeQuantized form;

  explicit Fake(test::Model& from, FakeMode mode = FakeMode::observe)
      : model(from),
        prepared(from.prepared()),
        form(test::ok(FakeQuantized::create(from.graph, prepared, kernels, test::host(), from.diagnostics))) {
    form.set(mode);
  }
  Fake(const Fake&) = delete;

  Tensor run(const Batch& batch) { return test::ok(form.run(batch))[0]; }
  void calibrate(const std::vector<Batch>& batches) {
    const test::Samples samples(batches);
    test::ok(quantize::calibrate(model.graph, prepared, &samples, kernels, test::host(), nullptr, model.diagnostics));
    form.set(FakeMode::freeze);
  }
  Tensor run_converted(const Batch& batch) {
    return test::run(test::ok(convert(model.graph, prepared, model.diagnostics)), batch)[0];
  }
  size_t group(ir::Place place) const { return prepared.group_of.at(place); }
  QParams qparams(ir::Place place) const { return test::ok(prepared.groups[group(place)].observer->qparams()); }
};

Spec moving_average(double constant) {
  Spec spec = test::activation();
  spec.observer = "moving_average";
  spec.observer_params = {{"averaging_constant", constant}};
  return spec;
}

Batch random_batch(unsigned seed) {
  return {random_tensor(RandomGraph::kShape, seed), random_tensor(RandomGraph::kShape, seed + 50)};
}

// Executed: torch.fake_quantize_per_tensor_affine and torch.fake_quantize_per_channel_affine of torch 2.15.
TEST(FakeQuantize, AddsTheZeroPointAfterRounding) {
  QParams q;
  q.scale = {1};
  q.zero_point = {1};
  const Tensor x = floats({1, 5}, {0.5f, 1.5f, 2.5f, -0.5f, -1.5f});
  EXPECT_EQ(numbers(test::ok(fake_quantize(x, q))), (std::vector<float>{0, 2, 2, 0, -2}));
  q.scheme = Scheme::per_channel;
  q.axis = 0;
  EXPECT_EQ(numbers(test::ok(fake_quantize(x, q))), (std::vector<float>{0, 2, 2, 0, -2}));
}
TEST(FakeQuantize, ClampsToTheRange) {
  QParams q;
  q.scale = {0.5f};
  q.zero_point = {-3};
  q.qmin = -4, q.qmax = 4;
  EXPECT_EQ(numbers(test::ok(fake_quantize(floats({3}, {-9, 9, 1.1f}), q))), (std::vector<float>{-0.5f, 3.5f, 1}));
}
TEST(FakeQuantize, NeedsFloats) {
  QParams q;
  q.scale = {1};
  EXPECT_EQ(fake_quantize(Tensor(DType::s8, {2}), q).error().code, Code::input);
}

class Single : public testing::Test {
 protected:
  Single() {
    x_ = model_.input({5}, "x");
    relu_ = model_.add("aten.hardtanh.default", {x_}, {{"min_val", -100.0}, {"max_val", 100.0}}, "clamp");
    model_.graph.set_outputs({model_.value(relu_)});
  }
  test::Model model_;
  ir::ValueId x_;
  ir::NodeId relu_;
};

// Executed: torchao's FusedMovingAvgObsFakeQuantize, int8 affine, averaging_constant 0.25, on the same three batches.
TEST_F(Single, ObservesFirstAndThenRoundsAsTheFusedMovingAverage) {
  model_.annotate(in(relu_), moving_average(0.25));
  Fake fake(model_, FakeMode::fake_quantize);
  EXPECT_EQ(numbers(fake.run({floats({5}, {-1, -0.3f, 0.2f, 0.77f, 1})})),
            (std::vector<float>{-0.996078491f, -0.298039228f, 0.196078449f, 0.768627524f, 0.996078491f}));
  EXPECT_EQ(numbers(fake.run({floats({5}, {-2, -1.3f, 0.1f, 1.6f, 3})})),
            (std::vector<float>{-1.25098038f, -1.25098038f, 0.0970588252f, 1.49901962f, 1.49901962f}));
  EXPECT_EQ(numbers(fake.run({floats({5}, {0.5f, 0.25f, -0.125f, 0, 5})})),
            (std::vector<float>{0.49828431f, 0.249142155f, -0.131127447f, 0, 2.37340689f}));
  EXPECT_EQ(fake.qparams(in(relu_)).zero_point[0], -54);
}
TEST_F(Single, AFrozenRangeDoesNotFollow) {
  model_.annotate(in(relu_), moving_average(1));
  Fake fake(model_);
  fake.run({floats({5}, {-1, 0, 0, 0, 1})});
  fake.form.set(FakeMode::freeze);
  const auto before = fake.qparams(in(relu_));
  EXPECT_LT(numbers(fake.run({floats({5}, {-50, 0, 0, 0, 50})}))[4], 1.01f);
  EXPECT_EQ(fake.qparams(in(relu_)), before);
}
TEST_F(Single, RoundingWithARangeThatSawNothingIsAnErrorThatNamesThePlace) {
  model_.annotate(in(relu_), test::activation());
  Fake fake(model_, FakeMode::freeze);
  const auto found = fake.form.run(Batch{floats({5}, {1, 2, 3, 4, 5})});
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Code::data);
  EXPECT_TRUE(test::mentions(found.error(), "clamp")) << found.error().text();
}
TEST_F(Single, ObservingNaNIsAnErrorThatNamesThePlaceAndChangesNothing) {
  model_.annotate(out(relu_), test::activation());
  Fake fake(model_);
  const auto found = fake.form.run(Batch{floats({5}, {1, std::numeric_limits<float>::quiet_NaN(), 3, 4, 5})});
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Code::data);
  EXPECT_TRUE(test::mentions(found.error(), "output 0 of node clamp")) << found.error().text();
  EXPECT_FALSE(fake.prepared.groups[0].observer->seen());
}
TEST_F(Single, ChecksInputs) {
  Fake fake(model_);
  EXPECT_EQ(fake.form.run(Batch{}).error().code, Code::input);
}

TEST(FakeQuantized, OffAndObserveChangeNoBit) {
  for (unsigned seed = 0; seed < 60; ++seed) {
    RandomGraph random(seed, 4);
    const Batch batch = random_batch(seed);
    const Tensor expected = test::run(random.model.graph, batch)[0];
    Fake fake(random.model);
    for (const FakeMode mode : {FakeMode::off, FakeMode::observe}) {
      fake.form.set(mode);
      EXPECT_TRUE(same_bits(fake.run(batch), expected)) << "seed " << seed;
    }
  }
}
TEST(FakeQuantized, ObservingLeavesTheRangesOfCalibration) {
  for (unsigned seed = 0; seed < 60; ++seed) {
    RandomGraph random(seed, 4);
    const std::vector<Batch> batches{random_batch(seed), random_batch(seed + 1)};
    Fake calibrated(random.model), observed(random.model);
    calibrated.calibrate(batches);
    for (const Batch& batch : batches) observed.run(batch);
    const auto expected = test::ok(all_qparams(random.model.graph, calibrated.prepared));
    EXPECT_EQ(test::ok(all_qparams(random.model.graph, observed.prepared)), expected) << "seed " << seed;
  }
}
TEST(FakeQuantized, FrozenEqualsTheConvertedGraph) {
  size_t changed = 0;
  for (unsigned seed = 0; seed < 150; ++seed) {
    RandomGraph random(seed, 4);
    Fake fake(random.model);
    fake.calibrate({random_batch(seed), random_batch(seed + 1)});
    const Batch batch = random_batch(seed + 2);
    const Tensor found = fake.run(batch);
    EXPECT_EQ(numbers(found), numbers(fake.run_converted(batch))) << "seed " << seed;
    changed += same_bits(found, test::run(random.model.graph, batch)[0]) ? 0 : 1;
  }
  EXPECT_GT(changed, 140u) << "the models hardly quantize anything";
}

// conv (with a bias whose spec is derived) -> add(y, y) -> linear with dynamic activations and groups of weights
struct Mixed {
  test::Model model;
  ir::NodeId conv, add, linear;

  explicit Mixed(Scheme activations = Scheme::per_tensor) {
    const auto x = model.input({2, 3, 4, 4}, "x");
    const auto w = model.constant(random_tensor({4, 3, 3, 3}, 1, -0.5f, 0.5f), "w");
    const auto b = model.constant(random_tensor({4}, 2), "b");
    conv = model.add("aten.conv2d.default", {x, w, b}, {{"padding", std::vector<int64_t>{1, 1}}}, "conv");
    add = model.add("aten.add.Tensor", {model.value(conv), model.value(conv)}, {}, "add");
    const auto v = model.constant(random_tensor({6, 4}, 3), "v");
    linear = model.add("aten.linear.default", {model.value(add), v}, {}, "linear");
    model.graph.set_outputs({model.value(linear)});
    annotate_conv();
    Spec coarse = test::activation();  // other qparams than the result that it reads: an explicit requantization
    coarse.qmin = -8, coarse.qmax = 7;
    model.annotate(in(add, 0), coarse);
    model.annotate(in(add, 1), coarse);
    annotate_linear(activations);
  }
  void annotate_conv() {
    model.annotate_product(conv);
    Spec bias;
    bias.kind = SpecKind::derived;
    bias.rule = QUOIN_RULE_PRODUCT;
    bias.dtype = DType::s32;
    bias.qmin = INT32_MIN, bias.qmax = INT32_MAX;
    bias.symmetric = true;
    bias.sources = {in(conv, 0), in(conv, 1)};
    model.annotate(in(conv, 2), bias);
  }
  void annotate_linear(Scheme activations) {
    model.annotate(in(linear, 0), test::dynamic(activations));
    Spec groups = test::weight(-1);
    groups.scheme = Scheme::per_group;
    groups.group = 2;
    model.annotate(in(linear, 1), groups);
  }
  Batch batch(unsigned seed) const { return {random_tensor({2, 3, 4, 4}, seed)}; }
};

TEST(FakeQuantized, FrozenEqualsTheConvertedGraphWithDerivedDynamicAndGroupedSpecs) {
  for (const Scheme scheme : {Scheme::per_tensor, Scheme::per_token}) {
    Mixed mixed(scheme);
    Fake fake(mixed.model);
    fake.calibrate({mixed.batch(10), mixed.batch(11)});
    EXPECT_EQ(numbers(fake.run(mixed.batch(12))), numbers(fake.run_converted(mixed.batch(12))));
  }
}
TEST(FakeQuantized, DerivedSpecsFollowTheirSourcesFromTheFirstBatchOn) {
  Mixed mixed;
  Fake fake(mixed.model, FakeMode::fake_quantize);
  fake.run(mixed.batch(10));
  const Tensor followed = fake.run(mixed.batch(11));
  fake.form.set(FakeMode::freeze);
  EXPECT_TRUE(same_bits(fake.run(mixed.batch(11)), followed));
}
TEST(FakeQuantized, RoundsTheGroupsThatAreAskedFor) {
  Mixed mixed;
  Fake fake(mixed.model);
  fake.calibrate({mixed.batch(10)});
  fake.form.set(FakeMode::off);
  const size_t weight = fake.group(in(mixed.conv, 1));
  fake.form.set(weight, FakeMode::freeze);
  EXPECT_EQ(fake.form.mode(weight), FakeMode::freeze);

  ir::Graph expected = mixed.model.graph;
  const ir::ValueId w = expected.input(mixed.conv, 1);
  expected.value(w).constant = test::ok(fake_quantize(*expected.value(w).constant, fake.qparams(in(mixed.conv, 1))));
  EXPECT_TRUE(same_bits(fake.run(mixed.batch(10)), test::run(expected, mixed.batch(10))[0]));
  EXPECT_FALSE(same_bits(fake.run(mixed.batch(10)), test::run(mixed.model.graph, mixed.batch(10))[0]));
}
TEST(FakeQuantized, LeavesTheGraphAndItsConstantsAlone) {
  Mixed mixed;
  const std::string before = ir::print(mixed.model.graph);
  const void* weight = mixed.model.graph.value(mixed.model.graph.input(mixed.conv, 1)).constant->data();
  const std::vector<float> values = numbers(*mixed.model.graph.value(mixed.model.graph.input(mixed.conv, 1)).constant);
  Fake fake(mixed.model, FakeMode::fake_quantize);
  fake.run(mixed.batch(10));
  EXPECT_EQ(ir::print(mixed.model.graph), before);
  const Tensor& after = *mixed.model.graph.value(mixed.model.graph.input(mixed.conv, 1)).constant;
  EXPECT_EQ(after.data(), weight);
  EXPECT_EQ(numbers(after), values);
}
TEST(FakeQuantized, WhatWasObservedWhileRoundingCanBeConverted) {
  Mixed mixed;
  Fake fake(mixed.model, FakeMode::fake_quantize);
  for (unsigned seed = 0; seed < 3; ++seed) fake.run(mixed.batch(seed));
  fake.form.set(FakeMode::freeze);
  EXPECT_EQ(numbers(fake.run(mixed.batch(9))), numbers(fake.run_converted(mixed.batch(9))));
}

// The bound on the accumulator raises weight scales when the graph is converted; freezing must show the same numbers.
TEST(FakeQuantized, FrozenHasTheGuardOfTheConvertedGraph) {
  test::Model model;
  const auto x = model.input({1, 2}, "x");
  const auto w = model.constant(floats({1, 2}, {1e-6f, 1e-6f}), "w");
  const auto b = model.constant(floats({1}, {1000}), "b");
  const auto linear = model.add("aten.linear.default", {x, w, b}, {}, "linear");
  model.graph.set_outputs({model.value(linear)});
  model.annotate_product(linear);
  Fake fake(model);
  fake.calibrate({{floats({1, 2}, {-1, 1})}});
  const Batch batch{floats({1, 2}, {0.9f, 0.7f})};
  const Tensor found = fake.run(batch);
  ASSERT_FALSE(model.diagnostics.strict()) << "the guard has nothing to do here";
  EXPECT_EQ(numbers(found), numbers(fake.run_converted(batch)));
}

}  // namespace
}  // namespace quoin::quantize
