#include <limits>

#include "support.hpp"

namespace quoin::quantize {
namespace {

using test::floats;
using test::in;
using test::out;

class Calibrate : public testing::Test {
 protected:
  Calibrate() {
    x_ = model_.input({2}, "x");
    relu_ = model_.add("aten.relu.default", {x_}, {}, "relu", {{"body", "lib.Body"}});
    add_ = model_.add("aten.add.Tensor", {model_.value(relu_), model_.constant(floats({2}, {-5, 1}), "c")}, {}, "add");
    model_.graph.set_outputs({model_.value(add_)});
  }
  Status run(Prepared& prepared, std::vector<std::vector<Tensor>> samples, Progress* progress = nullptr,
             const quoin_host& host = test::host()) {
    const test::Samples dataset(std::move(samples));
    return calibrate(model_.graph, prepared, &dataset, kernels::KernelSet(), host, progress, model_.diagnostics);
  }
  static QParams at(const Prepared& prepared, ir::Place place) {
    return test::ok(prepared.groups[prepared.group_of.at(place)].observer->qparams());
  }
  test::Model model_;
  ir::ValueId x_;
  ir::NodeId relu_, add_;
};

TEST_F(Calibrate, ObserversSeeEverySample) {
  model_.annotate(in(relu_), test::activation());
  model_.annotate(out(add_), test::activation());
  Prepared prepared = model_.prepared();
  test::ok(run(prepared, {{floats({2}, {-1, 2})}, {floats({2}, {3, -7})}}));
  EXPECT_FLOAT_EQ(at(prepared, in(relu_)).scale[0], 10.0f / 255);
  EXPECT_FLOAT_EQ(at(prepared, out(add_)).scale[0], (5.0f + 3.0f) / 255);
}
TEST_F(Calibrate, ConstantsNeedNoSamples) {
  model_.annotate(in(add_, 1), test::activation());
  Prepared prepared = model_.prepared();
  test::ok(calibrate(model_.graph, prepared, nullptr, kernels::KernelSet(), test::host(), nullptr, model_.diagnostics));
  EXPECT_FLOAT_EQ(at(prepared, in(add_, 1)).scale[0], 6.0f / 255);
}
TEST_F(Calibrate, AGroupCoversAllItsValues) {
  model_.annotate(in(add_, 0), test::activation());
  model_.annotate(in(add_, 1), test::share(in(add_, 0)));
  Prepared prepared = model_.prepared();
  test::ok(run(prepared, {{floats({2}, {2, 0})}}));
  EXPECT_FLOAT_EQ(at(prepared, in(add_, 1)).scale[0], 7.0f / 255);
}
TEST_F(Calibrate, AValueIsObservedOncePerSample) {
  // Moving averages tell: a second look at the same batch would move the range twice.
  Spec moving = test::activation();
  moving.observer = "moving_average";
  moving.observer_params = {{"averaging_constant", 0.5}};
  model_.annotate(out(relu_), moving);
  model_.annotate(in(add_, 0), moving);
  Prepared prepared = model_.prepared();
  ASSERT_EQ(prepared.groups.size(), 1u);
  test::ok(run(prepared, {{floats({2}, {0, 1})}, {floats({2}, {0, 3})}}));
  EXPECT_FLOAT_EQ(at(prepared, out(relu_)).scale[0], 2.0f / 255);
}
TEST_F(Calibrate, GroupsObserveInGraphOrderOfTheirPlaces) {
  // cat(late, early): operands are due in slot order although `early` is computed first.
  const auto early = model_.add("aten.neg.default", {x_}, {}, "early");
  const auto late = model_.add("aten.abs.default", {x_}, {}, "late");
  const auto cat = model_.add("aten.cat.default", {model_.value(late), model_.value(early)}, {}, "cat");
  model_.graph.set_outputs({model_.value(add_), model_.value(cat)});
  Spec moving = test::activation();
  moving.observer = "moving_average";
  moving.observer_params = {{"averaging_constant", 0.25}};
  model_.annotate(in(cat, 0), moving);
  model_.annotate(in(cat, 1), test::share(in(cat, 0)));
  Prepared prepared = model_.prepared();
  test::ok(run(prepared, {{floats({2}, {4, 8})}}));
  // late: [4, 8], then early: [-8, -4] -> max 8 + 0.25 * (-4 - 8) = 5, min 4 + 0.25 * (-8 - 4) = 1.
  EXPECT_FLOAT_EQ(at(prepared, in(cat, 0)).scale[0], 5.0f / 255);
}
TEST_F(Calibrate, WithoutDataStaticActivationsAreAnError) {
  model_.annotate(in(relu_), test::activation());
  Prepared prepared = model_.prepared();
  const auto status =
      calibrate(model_.graph, prepared, nullptr, kernels::KernelSet(), test::host(), nullptr, model_.diagnostics);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::data);
  EXPECT_TRUE(test::mentions(status.error(), "quantize.calibrate.data"));
  EXPECT_FALSE(run(prepared, {}));
}
TEST_F(Calibrate, DynamicSpecsNeedNoData) {
  model_.annotate(in(relu_), test::dynamic(Scheme::per_tensor));
  Prepared prepared = model_.prepared();
  test::ok(calibrate(model_.graph, prepared, nullptr, kernels::KernelSet(), test::host(), nullptr, model_.diagnostics));
}
TEST_F(Calibrate, BadNumbersNameSampleNodeAndModule) {
  model_.annotate(out(relu_), test::activation());
  Prepared prepared = model_.prepared();
  const auto status =
      run(prepared, {{floats({2}, {0, 1})}, {floats({2}, {1, std::numeric_limits<float>::infinity()})}});
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::data);
  for (const char* part : {"sample1", "node relu", "module body", "element 1"})
    EXPECT_TRUE(test::mentions(status.error(), part)) << status.error().text();
}
TEST_F(Calibrate, StopsWhenAsked) {
  struct Stop : Progress {
    uint64_t total = 0;
    void stage(std::string_view, uint64_t count) override { total = count; }
    bool step(uint64_t done) override { return done < 2; }
  } progress;
  model_.annotate(out(relu_), test::activation());
  Prepared prepared = model_.prepared();
  const auto status = run(prepared, std::vector<std::vector<Tensor>>(5, {floats({2}, {0, 1})}), &progress);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::cancelled);
  EXPECT_EQ(progress.total, 5u);
}

class CalibrateInThreads : public Calibrate, public testing::WithParamInterface<uint32_t> {
 protected:
  const host::Services services_{{GetParam(), 0, {}}};
};
// Observers whose result depends on the order of the samples, one of them with values that come in another order.
TEST_P(CalibrateInThreads, ObserversSeeTheSamplesInTheirOrder) {
  const auto early = model_.add("aten.neg.default", {x_}, {}, "early");
  const auto late = model_.add("aten.abs.default", {model_.value(early)}, {}, "late");
  const auto cat = model_.add("aten.cat.default", {model_.value(late), model_.value(early)}, {}, "cat");
  model_.graph.set_outputs({model_.value(add_), model_.value(cat)});
  Spec moving = test::activation(), histogram = test::activation();
  moving.observer = "moving_average";
  histogram.observer = "histogram";
  model_.annotate(in(cat, 0), moving);
  model_.annotate(in(cat, 1), test::share(in(cat, 0)));
  model_.annotate(out(relu_), histogram);
  model_.annotate(in(add_, 1), test::share(out(relu_)));  // a constant among the values
  model_.annotate(out(add_), moving);
  std::vector<std::vector<Tensor>> samples;
  for (unsigned i = 0; i < 100; ++i) {
    const float reach = 1 + static_cast<float>(i % 17);  // the range grows now and then
    samples.push_back({test::random_tensor({2}, i, -reach, reach)});
  }
  Prepared one = model_.prepared(), several = model_.prepared();
  test::ok(run(one, samples));
  test::ok(run(several, samples, nullptr, services_.table()));
  ASSERT_EQ(one.groups.size(), several.groups.size());
  for (size_t i = 0; i < one.groups.size(); ++i) {
    const ObserverState a = test::ok(one.groups[i].observer->state()),
                        b = test::ok(several.groups[i].observer->state());
    EXPECT_TRUE(test::same(a, b)) << "group " << i;
  }
}
TEST_P(CalibrateInThreads, TheFirstBadSampleIsTheErrorsOne) {
  model_.annotate(out(relu_), test::activation());
  model_.annotate(out(add_), test::activation());
  Prepared prepared = model_.prepared();
  std::vector<std::vector<Tensor>> samples(30, {floats({2}, {0, 1})});
  for (const size_t bad : {11, 12, 20}) samples[bad] = {floats({2}, {std::numeric_limits<float>::infinity(), 0})};
  const auto status = run(prepared, samples, nullptr, services_.table());
  ASSERT_FALSE(status);
  EXPECT_TRUE(test::mentions(status.error(), "sample11")) << status.error().text();
}
TEST_P(CalibrateInThreads, WhatIsStoppedHoldsWholeSamples) {
  struct Stop : Progress {
    uint64_t last = 0;
    void stage(std::string_view, uint64_t) override {}
    bool step(uint64_t done) override { return (last = done) < 5; }
  } progress;
  model_.annotate(in(relu_), test::activation());
  model_.annotate(out(add_), test::activation());
  Prepared prepared = model_.prepared();
  std::vector<std::vector<Tensor>> samples;
  for (size_t i = 1; i <= 200; ++i) samples.push_back({floats({2}, {0, static_cast<float>(i)})});
  const auto status = run(prepared, samples, &progress, services_.table());
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::cancelled);
  EXPECT_GE(progress.last, 5u);
  EXPECT_LE(progress.last, 5u + GetParam());
  const auto last = static_cast<float>(progress.last);
  EXPECT_FLOAT_EQ(at(prepared, in(relu_)).scale[0], last / 255);
  EXPECT_FLOAT_EQ(at(prepared, out(add_)).scale[0], (last + 1 + 5) / 255);
}
INSTANTIATE_TEST_SUITE_P(Threads, CalibrateInThreads, testing::Values(1, 2, 7));

}  // namespace
}  // namespace quoin::quantize
