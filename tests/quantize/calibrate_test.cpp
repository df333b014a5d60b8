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
  Status run(Prepared& prepared, std::vector<std::vector<Tensor>> samples, Progress* progress = nullptr) {
    const test::Samples dataset(std::move(samples));
    return calibrate(model_.graph, prepared, &dataset, kernels::KernelSet(), test::host(), progress,
                     model_.diagnostics);
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

}  // namespace
}  // namespace quoin::quantize
