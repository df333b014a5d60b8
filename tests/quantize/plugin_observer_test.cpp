// Observers of plugins: honest ones, and ones that lie, refuse or throw.
#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>

#include "fake_plugin.hpp"

namespace quoin::quantize {
namespace {

using test::floats;
using test::ok;
using test::str;

// What the functions below do; one plugin at a time.
struct Behaviour {
  quoin_status create = QUOIN_OK, observe = QUOIN_OK;
  bool no_state = false, throws = false, huge_save = false;
  float scale_factor = 1;  // of what qparams() gives
  int32_t zero_point = 0, scales = 1;
  quoin_dtype dtype = QUOIN_S8;
  double share = 0;  // the parameter that create() was given
  int alive = 0;
} behaviour;

struct Peak {
  float largest = 0, scale = 0;
  int32_t zero = 0;
};
Peak& peak(quoin_observer_state* state) { return *reinterpret_cast<Peak*>(state); }

quoin_status say(quoin_error* error, quoin_status code, std::string_view text) {
  error->code = code;
  error->message_size = static_cast<uint32_t>(text.size());
  std::memcpy(error->message, text.data(), text.size());
  return code;
}

const double kHalf = 0.5;

quoin_observer observer() {
  static const std::vector<quoin_param_spec> params = {{str("share"),
                                                        QUOIN_PARAM_FLOAT,
                                                        QUOIN_SCOPE_QUANTIZE,
                                                        {str("share"), QUOIN_PARAM_FLOAT, 1, &kHalf},
                                                        0.25,
                                                        1,
                                                        {},
                                                        {}}};
  quoin_observer out{};
  out.name = str("peak");
  out.doc = str("largest magnitude");
  out.params = test::array(params);
  out.create = [](quoin_backend*, const quoin_qspec* spec, quoin_observer_state** state, quoin_error* error) {
    if (behaviour.create != QUOIN_OK) return say(error, behaviour.create, "not today");
    if (spec->observer_params.count == 1)
      std::memcpy(&behaviour.share, static_cast<const quoin_param*>(spec->observer_params.data)->data, sizeof(double));
    if (behaviour.no_state) return quoin_status{QUOIN_OK};
    ++behaviour.alive;
    *state = reinterpret_cast<quoin_observer_state*>(new Peak);
    return quoin_status{QUOIN_OK};
  };
  out.observe = [](quoin_observer_state* state, const quoin_tensor* tensor, quoin_error* error) {
    if (behaviour.throws) throw std::runtime_error("thrown by observe");
    if (behaviour.observe != QUOIN_OK) return say(error, behaviour.observe, "no more");
    for (uint64_t i = 0; i < tensor->size / sizeof(float); ++i)
      peak(state).largest = std::max(peak(state).largest, std::fabs(static_cast<const float*>(tensor->data)[i]));
    return quoin_status{QUOIN_OK};
  };
  out.qparams = [](quoin_observer_state* state, quoin_qparams* found, quoin_error*) {
    peak(state).scale = peak(state).largest * behaviour.scale_factor;
    peak(state).zero = behaviour.zero_point;
    *found = {
        sizeof *found, behaviour.dtype,    QUOIN_PER_TENSOR,  -1,      0, static_cast<uint32_t>(behaviour.scales), -128,
        127,           &peak(state).scale, &peak(state).zero, nullptr, 0};
    return quoin_status{QUOIN_OK};
  };
  out.destroy = [](quoin_observer_state* state) {
    --behaviour.alive;
    delete &peak(state);
  };
  out.save = [](quoin_observer_state* state, quoin_bytes* saved, quoin_error*) {
    *saved = {&peak(state).largest, behaviour.huge_save ? UINT64_MAX : sizeof(float)};
    return quoin_status{QUOIN_OK};
  };
  out.merge = [](quoin_observer_state* state, quoin_bytes saved, quoin_error* error) {
    if (saved.size != sizeof(float)) return say(error, QUOIN_CORRUPT, "not mine");
    float other = 0;
    std::memcpy(&other, saved.data, sizeof other);
    peak(state).largest = std::max(peak(state).largest, other);
    return quoin_status{QUOIN_OK};
  };
  return out;
}

class PluginObserver : public testing::Test {
 protected:
  PluginObserver() : plugin_([](const auto&, const auto&, auto&) { return quoin_status{QUOIN_OK}; }) {
    behaviour = {};
    plugin_.offer_observers({observer()});
    spec_.observer = "peak";
    spec_.backend = plugin_.open();
  }
  ~PluginObserver() override { EXPECT_EQ(behaviour.alive, 0) << "every state that was created is destroyed"; }

  std::unique_ptr<Observer> make() { return ok(make_observer(spec_)); }
  void refuses(const Status& status, Code code, const char* words) {
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, code) << status.error().text();
    EXPECT_TRUE(test::mentions(status.error(), words)) << status.error().text();
  }
  void refuses_qparams(const char* words) {
    auto peak = make();
    ok(peak->observe(floats({2}, {3, -4})));
    const auto found = peak->qparams();
    refuses(found ? Status{} : Status(fail(found.error())), Code::plugin, words);
  }
  test::FakePlugin plugin_;
  Spec spec_;
};

TEST_F(PluginObserver, MeasuresWithTheDefaultsOfItsParameters) {
  auto peak = make();
  EXPECT_EQ(behaviour.share, 0.5);
  EXPECT_FALSE(peak->seen());
  EXPECT_FALSE(peak->qparams());
  ok(peak->observe(floats({2}, {3, -4})));
  const QParams found = ok(peak->qparams());
  EXPECT_EQ(found.scale, std::vector<float>{4});
  EXPECT_EQ(found.zero_point_at(0), 0);
  EXPECT_EQ(found.qmin, -128);
}
TEST_F(PluginObserver, ItsParametersAreCheckedAsDeclared) {
  spec_.observer_params["share"] = 0.75;
  make();
  EXPECT_EQ(behaviour.share, 0.75);
  spec_.observer_params["share"] = 2.0;
  EXPECT_FALSE(make_observer(spec_));
  spec_.observer_params = {{"shard", 0.5}};
  const auto unknown = make_observer(spec_);
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, Code::recipe);
  EXPECT_TRUE(test::mentions(unknown.error(), "share"));
}
TEST_F(PluginObserver, SavedAndMergedStatesEqualOneRun) {
  auto first = make(), second = make(), resumed = make();
  ok(first->observe(floats({2}, {3, -9})));
  ok(second->observe(floats({2}, {5, 1})));
  ok(resumed->merge(ok(first->state())));
  EXPECT_TRUE(resumed->seen());
  ok(resumed->merge(ok(second->state())));
  EXPECT_EQ(ok(resumed->qparams()).scale, std::vector<float>{9});
  ObserverState bad = ok(first->state());
  bad["bytes"] = Tensor(DType::u8, {3});
  refuses(resumed->merge(bad), Code::plugin, "not mine");
  refuses(resumed->merge({{"bytes", Tensor(DType::u8, {4})}}), Code::data, "scales");
}
TEST_F(PluginObserver, IsNeverGivenNumbersThatAreNotFinite) {
  auto peak = make();
  refuses(peak->observe(floats({2}, {0, std::numeric_limits<float>::quiet_NaN()})), Code::data, "element 1");
  EXPECT_FALSE(peak->seen());
}
TEST_F(PluginObserver, RefusalsKeepThePluginsWords) {
  auto peak = make();
  behaviour.observe = QUOIN_UNSUPPORTED;
  refuses(peak->observe(floats({1}, {1})), Code::plugin, "no more");
  behaviour.create = QUOIN_INVALID;
  const auto refused = make_observer(spec_);
  ASSERT_FALSE(refused);
  EXPECT_TRUE(test::mentions(refused.error(), "not today"));
}
TEST_F(PluginObserver, AnEscapedExceptionIsAnError) {
  auto peak = make();
  behaviour.throws = true;
  refuses(peak->observe(floats({1}, {1})), Code::plugin, "thrown by observe");
}
TEST_F(PluginObserver, NoStateIsAnError) {
  behaviour.no_state = true;
  const auto refused = make_observer(spec_);
  ASSERT_FALSE(refused);
  EXPECT_TRUE(test::mentions(refused.error(), "no state"));
}
TEST_F(PluginObserver, LiesAboutScalesAreErrors) {
  behaviour.scale_factor = 0;
  refuses_qparams("the scale 0");
  behaviour.scale_factor = std::numeric_limits<float>::infinity();
  refuses_qparams("the scale inf");
  behaviour.scale_factor = 1;
  behaviour.zero_point = 300;
  refuses_qparams("zero point 300");
  behaviour.zero_point = 0;
  behaviour.scales = 2;
  refuses_qparams("2 scales");
  behaviour.scales = 1;
  behaviour.dtype = QUOIN_U8;
  refuses_qparams("another type");
}
TEST_F(PluginObserver, LiesAboutSizesOfSavedStatesAreErrors) {
  auto peak = make();
  ok(peak->observe(floats({1}, {1})));
  behaviour.huge_save = true;
  const auto saved = peak->state();
  ASSERT_FALSE(saved);
  EXPECT_TRUE(test::mentions(saved.error(), "bytes"));
}
TEST_F(PluginObserver, WithoutSaveItWorksButCannotBeSaved) {
  quoin_observer unsaved = observer();
  unsaved.save = nullptr;
  plugin_.offer_observers({unsaved});
  auto peak = make();
  EXPECT_TRUE(ok(peak->state()).empty());
  ok(peak->observe(floats({1}, {1})));
  const auto saved = peak->state();
  ASSERT_FALSE(saved);
  EXPECT_EQ(saved.error().code, Code::plugin);
}
TEST_F(PluginObserver, WithoutAMandatoryFunctionItIsRefused) {
  quoin_observer broken = observer();
  broken.destroy = nullptr;
  plugin_.offer_observers({broken});
  EXPECT_FALSE(make_observer(spec_));
}
TEST_F(PluginObserver, TheHostsObserversStayAvailable) {
  spec_.observer = "minmax";
  auto minmax = make();
  ok(minmax->observe(floats({2}, {-1, 1})));
  EXPECT_FLOAT_EQ(ok(minmax->qparams()).scale[0], 2.0f / 255);
  spec_.observer = "peek";
  const auto unknown = make_observer(spec_);
  ASSERT_FALSE(unknown);
  EXPECT_TRUE(test::mentions(unknown.error(), "peak")) << unknown.error().text();
}
TEST_F(PluginObserver, AnAnnotationWithItsNameGetsIt) {
  test::Model model;
  const auto relu = model.add("aten.relu.default", {model.input({2})});
  model.graph.set_outputs({model.value(relu)});
  test::FakePlugin plugin([](const quoin_quant_request&, const quoin_annotator& annotator, quoin_error&) {
    quoin_qspec spec = test::abi_spec();
    spec.observer = str("peak");
    return annotator.set(annotator.self, {0, 0, 0, 0}, &spec);
  });
  plugin.offer_observers({observer()});
  model.annotations = ok(annotate(model.graph, {plugin.assign()}, model.diagnostics));
  Prepared prepared = model.prepared();
  const test::Samples samples({{floats({2}, {-7, 2})}});
  ok(calibrate(model.graph, prepared, &samples, kernels::KernelSet(), test::host(), nullptr, model.diagnostics));
  EXPECT_EQ(ok(prepared.groups.at(0).observer->qparams()).scale, std::vector<float>{7});
}

}  // namespace
}  // namespace quoin::quantize
