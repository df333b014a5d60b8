// A plugin's observer class as the host sees it: a row of the quantizer's table.
#include <gtest/gtest.h>
#include <quoin/plugin.hpp>

#include <cmath>

namespace quoin::sdk {
namespace {

constexpr double kHalf = 0.5;

// Largest magnitude times `share`, over the middle of the integer range.
class Peak {
 public:
  static constexpr std::string_view name = "peak", doc = "largest magnitude";
  static constexpr quoin_param_spec params[] = {
      param_spec("share", QUOIN_SCOPE_QUANTIZE, kHalf, "part of the magnitude that is kept", 0, 1)};
  explicit Peak(const ObserverSpec& spec) : share_(spec.params.number("share", 1)), qmax_(spec.qmax) {}
  void observe(const quoin_tensor& tensor) {
    if (tensor.dtype != QUOIN_F32) throw Failure(QUOIN_INVALID, "not f32");
    for (const float x : std::span(static_cast<const float*>(tensor.data), tensor.size / sizeof(float)))
      peak_ = std::max(peak_, std::fabs(x));
  }
  Scales qparams() const { return {{peak_ * static_cast<float>(share_) / static_cast<float>(qmax_)}, {}}; }
  std::vector<std::byte> save() const {
    const auto* bytes = reinterpret_cast<const std::byte*>(&peak_);
    return {bytes, bytes + sizeof peak_};
  }
  void merge(quoin_bytes saved) { peak_ = std::max(peak_, Reader(saved).get<float>()); }

 private:
  double share_;
  int32_t qmax_;
  float peak_ = 0;
};

class Simple {
 public:
  static constexpr std::string_view name = "simple", doc = "one";
  explicit Simple(const ObserverSpec&) {}
  void observe(const quoin_tensor&) {}
  Scales qparams() const { return {{1, 2}, {0}}; }
};

class Plugin {
 public:
  using Observers = std::tuple<Peak, Simple>;
  static constexpr quoin_preset presets[] = {{str("int8"), str("all of it"), {}}};
  Plugin(const quoin_host&, Params) {}
  void annotate(const QuantRequest&, Annotator&) {}
};

quoin_observer row(uint32_t index) { return Array<quoin_observer>(detail::quantizer<Plugin>()->observers)[index]; }

quoin_observer_state* made(const quoin_observer& observer) {
  quoin_qspec spec{};
  spec.struct_size = sizeof spec;
  spec.dtype = QUOIN_S8;
  spec.qmin = -100;
  spec.qmax = 100;
  const quoin_param share = {str("share"), QUOIN_PARAM_FLOAT, 1, &kHalf};
  spec.observer_params = {&share, 1, sizeof share};
  quoin_observer_state* state = nullptr;
  EXPECT_EQ(observer.create(nullptr, &spec, &state, nullptr), QUOIN_OK);
  return state;
}

quoin_status feed(const quoin_observer& observer, quoin_observer_state* state, std::vector<float> values,
                  quoin_dtype dtype = QUOIN_F32) {
  int64_t dims[] = {static_cast<int64_t>(values.size())};
  const quoin_tensor tensor{dtype, 1, dims, values.data(), values.size() * sizeof(float), nullptr};
  quoin_error error{};
  error.struct_size = sizeof error;
  return observer.observe(state, &tensor, &error);
}

TEST(Observer, BecomesARowWithItsParameters) {
  EXPECT_EQ(view(row(0).name), "peak");
  EXPECT_EQ(row(0).params.count, 1u);
  EXPECT_EQ(view(row(1).name), "simple");
  EXPECT_EQ(row(1).save, nullptr);
  EXPECT_EQ(row(1).merge, nullptr);
}
TEST(Observer, MeasuresSavesAndMerges) {
  const quoin_observer peak = row(0);
  quoin_observer_state *first = made(peak), *second = made(peak);
  EXPECT_EQ(feed(peak, first, {1, -8}), QUOIN_OK);
  EXPECT_EQ(feed(peak, second, {4}), QUOIN_OK);
  quoin_bytes saved{};
  ASSERT_EQ(peak.save(first, &saved, nullptr), QUOIN_OK);
  ASSERT_EQ(peak.merge(second, saved, nullptr), QUOIN_OK);
  quoin_qparams found{};
  found.struct_size = sizeof found;
  ASSERT_EQ(peak.qparams(second, &found, nullptr), QUOIN_OK);
  EXPECT_EQ(found.count, 1u);
  EXPECT_FLOAT_EQ(found.scale[0], 8 * 0.5f / 100);
  EXPECT_EQ(found.zero_point, nullptr);
  EXPECT_EQ(found.dtype, QUOIN_S8);
  EXPECT_EQ(found.qmin, -100);
  peak.destroy(first);
  peak.destroy(second);
}
TEST(Observer, FailuresBecomeStatuses) {
  const quoin_observer peak = row(0), simple = row(1);
  quoin_observer_state *first = made(peak), *second = made(simple);
  EXPECT_EQ(feed(peak, first, {1}, QUOIN_S32), QUOIN_INVALID);
  EXPECT_EQ(peak.merge(first, {nullptr, 0}, nullptr), QUOIN_CORRUPT);
  quoin_qparams found{};
  found.struct_size = sizeof found;
  EXPECT_EQ(simple.qparams(second, &found, nullptr), QUOIN_INTERNAL) << "two scales, one zero point";
  peak.destroy(first);
  simple.destroy(second);
}

}  // namespace
}  // namespace quoin::sdk
