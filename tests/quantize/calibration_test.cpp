// Saved calibrations, their refusals, reports about odd data, and memory.
#include "quantize/calibration.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "data/files.hpp"
#include "support.hpp"

namespace quoin::quantize {
namespace {

using test::floats;
using test::in;
using test::ok;
using test::out;

// relu(x) + c, all of it observed by one kind of observer.
class Saved : public testing::Test {
 protected:
  Saved() { build("histogram"); }
  void build(const std::string& observer, float constant = 1) {
    model_.clear();  // keeps the diagnostics
    const auto x = model_.input({2, 3}, "x");
    relu_ = model_.add("aten.relu.default", {x}, {}, "relu");
    const auto c = model_.constant(floats({1}, {constant}), "c");
    add_ = model_.add("aten.add.Tensor", {model_.value(relu_), c}, {}, "add");
    model_.graph.set_outputs({model_.value(add_)});
    Spec spec = test::activation();
    spec.observer = observer;
    for (const ir::Place place : {in(relu_), in(add_, 0), in(add_, 1), out(add_)}) model_.annotate(place, spec);
  }
  static std::vector<std::vector<Tensor>> samples(unsigned begin, unsigned end) {
    std::vector<std::vector<Tensor>> out;
    for (unsigned i = begin; i < end; ++i)
      out.push_back({test::random_tensor({2, 3}, i, -1 - static_cast<float>(i), 1 + static_cast<float>(i))});
    return out;
  }
  Status run(Prepared& prepared, std::vector<std::vector<Tensor>> of) {
    const test::Samples dataset(std::move(of));
    return calibrate(model_.graph, prepared, &dataset, kernels::KernelSet(), test::host(), nullptr, model_.diagnostics);
  }
  Calibration captured(const Prepared& prepared, std::vector<SampleRange> of = {{0, 4}}) {
    Calibration out = identity(model_.graph, prepared);
    out.data = hex(7);
    out.samples = std::move(of);
    out.groups = ok(states(model_.graph, prepared));
    return out;
  }
  std::vector<QParams> found(const Prepared& prepared) {
    std::vector<QParams> out;
    for (const Group& group : prepared.groups) out.push_back(ok(group.observer->qparams()));
    return out;
  }
  std::string path(const std::string& name) const {
    return (std::filesystem::path(testing::TempDir()) / fmt::format("quoin_{}_{}", getpid(), name)).string();
  }

  test::Model model_;
  ir::NodeId relu_{}, add_{};
};

TEST_F(Saved, ComesBackFromItsFileBitForBit) {
  for (const char* observer : {"minmax", "moving_average", "histogram", "mse", "percentile", "entropy"}) {
    build(observer);
    Prepared whole = model_.prepared(), half = model_.prepared(), resumed = model_.prepared();
    ok(run(whole, samples(0, 6)));
    ok(run(half, samples(0, 4)));
    const std::string file = path("state.safetensors");
    ok(save_calibration(file, captured(half)));
    const Calibration loaded = ok(load_calibration(file));
    EXPECT_EQ(loaded.samples, (std::vector<SampleRange>{{0, 4}}));
    EXPECT_EQ(loaded.sample_count(), 4u);
    EXPECT_EQ(difference(loaded, captured(half)), "");
    ok(restore(model_.graph, resumed, loaded));
    ok(run(resumed, samples(4, 6)));
    EXPECT_EQ(found(resumed), found(whole)) << observer;
    std::filesystem::remove(file);
  }
}
TEST_F(Saved, IsEnoughWithTheConstants) {
  Prepared first = model_.prepared(), second = model_.prepared();
  ok(run(first, samples(0, 4)));
  ok(restore(model_.graph, second, captured(first)));
  ok(calibrate_constants(model_.graph, second, test::host()));
  EXPECT_EQ(found(second), found(first));
  ok(check_calibrated(model_.graph, second, model_.diagnostics));
}
TEST_F(Saved, HoldsNoConstants) {
  Prepared prepared = model_.prepared();
  ok(run(prepared, samples(0, 4)));
  EXPECT_EQ(captured(prepared).groups.size() + 1, prepared.groups.size());
}
TEST_F(Saved, IsForOneModelOneSpecAndOneDataSet) {
  Prepared prepared = model_.prepared();
  ok(run(prepared, samples(0, 4)));
  const Calibration saved = captured(prepared);
  Calibration wanted = saved;
  wanted.data = hex(8);
  EXPECT_EQ(difference(saved, wanted), "other data or preprocessing");
  build("histogram", 2);
  EXPECT_EQ(difference(saved, identity(model_.graph, model_.prepared())), "another model") << "a constant changed";
  build("mse");
  Prepared other = model_.prepared();
  EXPECT_EQ(difference(saved, identity(model_.graph, other)), "other specs or observers");
  const auto refused = restore(model_.graph, other, saved);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::data);
}
TEST_F(Saved, SampleRangesJoinAndNeverOverlap) {
  EXPECT_EQ(ok(join({{0, 4}}, {{4, 6}, {8, 9}})), (std::vector<SampleRange>{{0, 6}, {8, 9}}));
  EXPECT_EQ(ok(join({{4, 6}}, {{0, 4}})), (std::vector<SampleRange>{{0, 6}}));
  EXPECT_EQ(to_string(std::vector<SampleRange>{{0, 6}, {8, 9}}), "0:6, 8:9");
  const auto refused = join({{0, 4}}, {{3, 6}});
  ASSERT_FALSE(refused);
  EXPECT_TRUE(test::mentions(refused.error(), "sample 3"));
}
TEST_F(Saved, DamagedFilesAreErrors) {
  const std::string file = path("damaged.safetensors");
  const std::map<std::string, std::string> good = {{"format", "quoin.calibration.1"}, {"samples", "0:4"}};
  const auto refuses = [&](const data::TensorMap& tensors, std::map<std::string, std::string> metadata) {
    ok(data::write_safetensors(file, tensors, metadata));
    const auto loaded = load_calibration(file);
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().code, Code::data) << loaded.error().text();
  };
  ok(data::write_safetensors(file, {{"0.min", floats({1}, {0})}}, good));
  EXPECT_TRUE(load_calibration(file));
  for (const char* name : {"min", "x.min", "0.", "-1.min", "99999999999999999999.min", ".min"})
    refuses({{name, floats({1}, {0})}}, good);
  refuses({}, {{"samples", "0:4"}});
  for (const char* text : {"4:0", "0:4, 2:6", "0", "0:", "x:4", "0:4,,", "0:4; 5:6"})
    refuses({}, {{"format", "quoin.calibration.1"}, {"samples", text}});
  std::ofstream(file) << "not safetensors";
  EXPECT_FALSE(load_calibration(file));
  EXPECT_FALSE(load_calibration(path("missing")));
  std::filesystem::remove(file);
}
TEST_F(Saved, AnObserverThatTheModelLacksIsAnError) {
  Prepared prepared = model_.prepared();
  ok(run(prepared, samples(0, 4)));
  Calibration saved = captured(prepared);
  saved.groups[99] = {};
  Prepared fresh = model_.prepared();
  EXPECT_FALSE(restore(model_.graph, fresh, saved));
}

// -- reports

std::vector<Note> notes_of(test::Model& model, std::vector<std::vector<Tensor>> samples) {
  Prepared prepared = model.prepared();
  const test::Samples dataset(std::move(samples));
  ok(calibrate(model.graph, prepared, &dataset, kernels::KernelSet(), test::host(), nullptr, model.diagnostics));
  return model.diagnostics.notes();
}

TEST(Reports, DeadChannelsAreCountedInOneNote) {
  test::Model model;
  const auto w = model.constant(floats({4, 2}, {0, 0, 1, 2, 0, -0.0f, 3, 4}));
  const auto linear = model.add("aten.linear.default", {model.input({1, 2}), w}, {}, "fc");
  model.graph.set_outputs({model.value(linear)});
  model.annotate_product(linear);
  const auto notes = notes_of(model, {{floats({1, 2}, {1, -1})}});
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_EQ(notes[0].level, Level::info);
  EXPECT_NE(notes[0].text().find("2 of 4 channels are all zero"), std::string::npos) << notes[0].text();
  EXPECT_NE(notes[0].where.find("fc"), std::string::npos);
}
TEST(Reports, ActivationsThatWereAlwaysZeroAreAWarning) {
  for (const char* observer : {"minmax", "moving_average", "histogram", "mse", "percentile", "entropy"}) {
    test::Model model;
    const auto relu = model.add("aten.relu.default", {model.input({2})}, {}, "relu");
    model.graph.set_outputs({model.value(relu)});
    Spec spec = test::activation();
    spec.observer = observer;
    model.annotate(out(relu), spec);
    const auto notes = notes_of(model, {{floats({2}, {-1, -2})}, {floats({2}, {-3, 0})}});
    ASSERT_EQ(notes.size(), 1u) << observer;
    EXPECT_EQ(notes[0].level, Level::warning);
    EXPECT_NE(notes[0].text().find("zero in every sample"), std::string::npos) << notes[0].text();
  }
}
TEST(Reports, ConstantActivationsAreNoted) {
  test::Model model;
  const auto clamp = model.add("aten.clamp.default", {model.input({2})}, {{"min", 2.0}, {"max", 2.0}}, "clamp");
  model.graph.set_outputs({model.value(clamp)});
  model.annotate(out(clamp), test::activation());
  const auto notes = notes_of(model, {{floats({2}, {-1, 5})}});
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_EQ(notes[0].level, Level::info);
  EXPECT_NE(notes[0].text().find("was 2 in every sample"), std::string::npos) << notes[0].text();
}

// -- memory

class Endless final : public data::Dataset {
 public:
  explicit Endless(size_t size) : size_(size) {}
  size_t size() const override { return size_; }
  Result<data::Sample> sample(size_t index) const override {
    Tensor tensor(DType::f32, {1, 16, 64, 64});
    uint32_t state = static_cast<uint32_t>(index) + 1;
    for (float& x : tensor.as<float>()) {
      state = state * 1664525 + 1013904223;
      x = static_cast<float>(state >> 8) / static_cast<float>(1 << 24);
    }
    return data::Sample{"sample" + std::to_string(index), {tensor}, {}, {}};
  }
  std::string describe() const override { return "made on the fly"; }
  uint64_t digest() const override { return 0; }

 private:
  const size_t size_;
};

long peak_kib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

TEST(Memory, DoesNotGrowWithTheNumberOfSamples) {
  test::Model model;
  const auto x = model.input({1, 16, 64, 64});
  const auto relu = model.add("aten.relu.default", {x});
  const auto add = model.add("aten.add.Tensor", {model.value(relu), x});
  model.graph.set_outputs({model.value(add)});
  const auto peak_after = [&](size_t samples) {
    for (const char* observer : {"minmax", "moving_average", "histogram", "mse", "percentile", "entropy"}) {
      model.annotations = {};
      Spec spec = test::activation();
      spec.observer = observer;
      for (const ir::Place place : {in(relu), out(relu), in(add, 1), out(add)}) model.annotate(place, spec);
      Prepared prepared = model.prepared();
      ok(calibrate(model.graph, prepared, std::make_unique<Endless>(samples).get(), kernels::KernelSet(), test::host(),
                   nullptr, model.diagnostics));
    }
    return peak_kib();
  };
  const long few = peak_after(32);  // a tensor kept per sample would add 256 KiB each
  const long many = peak_after(1000);
  EXPECT_LE(static_cast<double>(many), 1.05 * static_cast<double>(few)) << few << " KiB, then " << many;
}

}  // namespace
}  // namespace quoin::quantize
