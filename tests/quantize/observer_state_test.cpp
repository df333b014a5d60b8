// What observers save, restore and join; histograms that do not care how data is cut; threads.
#include <limits>

#include "quantize/dyadic_histogram.hpp"
#include "support.hpp"

namespace quoin::quantize {
namespace {

using test::floats;
using test::ok;
using test::same;

Spec spec(const std::string& observer) {
  Spec out;
  out.observer = observer;
  return out;
}

// Batches of growing range, with zeros of both signs and an outlier late.
std::vector<Tensor> batches() {
  std::vector<Tensor> out;
  for (unsigned i = 0; i < 6; ++i)
    out.push_back(test::random_tensor({3, 1000}, i, -0.1f * static_cast<float>(i), 1.0f + static_cast<float>(i)));
  out.push_back(floats({4}, {0.0f, -0.0f, -37.25f, 1e-30f}));
  out.push_back(test::random_tensor({70000}, 9));
  return out;
}

std::unique_ptr<Observer> seen(const Spec& spec, std::span<const Tensor> tensors, const quoin_host* host = nullptr) {
  auto observer = ok(make_observer(spec));
  observer->use(host);
  for (const Tensor& tensor : tensors) ok(observer->observe(tensor));
  return observer;
}

class States : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Observers, States,
                         testing::Values("minmax", "moving_average", "histogram", "mse", "percentile", "entropy"),
                         [](const auto& test) { return std::string(test.param); });

TEST_P(States, AResumedRunEqualsAWholeOne) {
  const auto data = batches();
  const auto whole = seen(spec(GetParam()), data);
  for (size_t cut = 0; cut <= data.size(); ++cut) {
    const auto first = seen(spec(GetParam()), std::span(data).first(cut));
    auto resumed = ok(make_observer(spec(GetParam())));
    ok(resumed->merge(ok(first->state())));
    EXPECT_EQ(resumed->seen(), cut > 0);
    for (const Tensor& tensor : std::span(data).subspan(cut)) ok(resumed->observe(tensor));
    EXPECT_TRUE(same(ok(resumed->state()), ok(whole->state()))) << cut;
    EXPECT_EQ(ok(resumed->qparams()), ok(whole->qparams())) << cut;
  }
}
TEST_P(States, ThreadsAndInstructionSetsChangeNothing) {
  const auto data = batches();
  const auto plain = seen(spec(GetParam()), data);
  host::Services services({.threads = 3, .isa = ok(host::detect_isa()), .log = {}});
  const auto fast = seen(spec(GetParam()), data, &services.table());
  EXPECT_TRUE(same(ok(plain->state()), ok(fast->state())));
}
TEST_P(States, AStateOfAnotherShapeIsRefusedAndChangesNothing) {
  const auto data = batches();
  const auto observer = seen(spec(GetParam()), data);
  const ObserverState before = ok(observer->state());
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const ObserverState& bad :
       {ObserverState{{"min", floats({1}, {0})}}, ObserverState{{"min", floats({1}, {2})}, {"max", floats({1}, {1})}},
        ObserverState{{"min", floats({1}, {nan})}, {"max", floats({1}, {1})}},
        ObserverState{{"min", floats({2}, {0, 0})}, {"max", floats({2}, {1, 1})}},
        ObserverState{{"min", Tensor(DType::s64, {1})}, {"max", floats({1}, {1})}}}) {
    const auto status = observer->merge(bad);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, Code::data);
  }
  EXPECT_TRUE(same(ok(observer->state()), before));
}
TEST_P(States, NothingSeenIsAnEmptyState) {
  auto fresh = ok(make_observer(spec(GetParam())));
  EXPECT_TRUE(ok(fresh->state()).empty());
  ok(fresh->merge({}));
  EXPECT_FALSE(fresh->seen());
}

class Joined : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Observers, Joined, testing::Values("minmax", "mse", "percentile", "entropy"),
                         [](const auto& test) { return std::string(test.param); });

TEST_P(Joined, PartsInAnyOrderEqualTheWhole) {
  auto data = batches();
  const auto whole = seen(spec(GetParam()), data);
  std::mt19937 engine(1);
  for (int round = 0; round < 10; ++round) {
    std::ranges::shuffle(data, engine);
    const size_t cut = static_cast<size_t>(round) % data.size();
    const auto first = seen(spec(GetParam()), std::span(data).first(cut));
    const auto rest = seen(spec(GetParam()), std::span(data).subspan(cut));
    ok(rest->merge(ok(first->state())));
    EXPECT_TRUE(same(ok(rest->state()), ok(whole->state()))) << round;
  }
}
TEST(JoinedHistogram, IsExactForOneRangeAndCoversBothElse) {
  const Tensor a = floats({4}, {-1, 0.5f, 0.25f, 1}), b = floats({3}, {1, -1, 0.75f}), wide = floats({2}, {-4, 2});
  const std::vector<Tensor> both{a, b};
  const auto whole = seen(spec("histogram"), both);
  const auto joined = seen(spec("histogram"), std::span(&a, 1));
  ok(joined->merge(ok(seen(spec("histogram"), std::span(&b, 1))->state())));
  EXPECT_TRUE(same(ok(joined->state()), ok(whole->state())));
  ok(joined->merge(ok(seen(spec("histogram"), std::span(&wide, 1))->state())));
  EXPECT_EQ(joined->ranges()[0].min, -4);
  const ObserverState state = ok(joined->state());
  float sum = 0;
  for (const float count : state.at("counts").as<float>()) sum += count;
  EXPECT_EQ(sum, 9);
}
TEST(JoinedMovingAverage, IsRefusedBecauseOrderMatters) {
  const auto data = batches();
  const auto observer = seen(spec("moving_average"), data);
  const auto status = observer->merge(ok(observer->state()));
  ASSERT_FALSE(status);
  EXPECT_TRUE(test::mentions(status.error(), "order"));
}
TEST(StateOfHistogram, RefusesCountsThatCannotBe) {
  ObserverState state = ok(seen(spec("histogram"), batches())->state());
  state["counts"] = floats({2048}, std::vector<float>(2048, -1.0f));
  EXPECT_FALSE(ok(make_observer(spec("histogram")))->merge(state));
}

TEST(Dyadic, CountsEveryElementInTheBinThatCoversIt) {
  for (const Tensor& tensor : batches()) {
    DyadicHistogram histogram;
    const auto elements = tensor.as<float>();
    ok(histogram.add(elements, nullptr));
    ASSERT_LE(histogram.counts().size(), DyadicHistogram::kBins);
    std::vector<uint64_t> expected(histogram.counts().size());
    for (const float x : elements) {
      const double bin = std::floor(static_cast<double>(x) / histogram.width());
      ++expected.at(static_cast<size_t>(static_cast<int64_t>(bin) - histogram.first()));
    }
    EXPECT_TRUE(std::ranges::equal(histogram.counts(), expected));
    EXPECT_EQ(histogram.total(), elements.size());
  }
}
TEST(Dyadic, HoldsExtremeAndTinyNumbers) {
  const float huge = std::numeric_limits<float>::max(), tiny = std::numeric_limits<float>::denorm_min();
  for (const auto& values : std::vector<std::vector<float>>{{huge, -huge},
                                                            {huge, tiny, -tiny, 0},
                                                            {tiny, -tiny},
                                                            {0, -0.0f},
                                                            {1e6f, std::nextafter(1e6f, 2e6f)},
                                                            {-3}}) {
    DyadicHistogram histogram, one_by_one;
    ok(histogram.add(values, nullptr));
    for (const float x : values) ok(one_by_one.add(std::span(&x, 1), nullptr));
    EXPECT_EQ(histogram.total(), values.size());
    EXPECT_TRUE(std::ranges::equal(histogram.counts(), one_by_one.counts()));
    EXPECT_EQ(histogram.first(), one_by_one.first());
    EXPECT_EQ(histogram.zeros(), one_by_one.zeros());
  }
}
TEST(Dyadic, UsesAtLeastHalfOfItsBins) {
  DyadicHistogram histogram;
  ok(histogram.add(test::random_tensor({5000}, 3).as<float>(), nullptr));
  EXPECT_GT(histogram.counts().size(), DyadicHistogram::kBins / 2);
}
TEST(Dyadic, RefusesStatesThatItWouldNotMake) {
  DyadicHistogram histogram;
  ok(histogram.add(floats({3}, {0, 1, 2}).as<float>(), nullptr));
  const auto changed = [&](const char* name, int64_t index, int64_t value) {
    ObserverState state = histogram.state();
    const auto old = state.at(name).as<int64_t>();
    std::vector<int64_t> items(old.begin(), old.end());
    items.at(static_cast<size_t>(index)) = value;
    state[name] = Tensor::of<int64_t>(DType::s64, {static_cast<int64_t>(items.size())}, items);
    return static_cast<bool>(DyadicHistogram::from(state));
  };
  EXPECT_TRUE(changed("counts", 1, 7));
  EXPECT_FALSE(changed("counts", 1, -7));
  EXPECT_FALSE(changed("counts", 0, 0));
  EXPECT_FALSE(changed("counts", 1, std::numeric_limits<int64_t>::max()));
  EXPECT_FALSE(changed("zeros", 0, 2));
}

}  // namespace
}  // namespace quoin::quantize
