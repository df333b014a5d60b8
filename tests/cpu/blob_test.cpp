// Blobs are deterministic, checked before use, and run only as they were planned.
#include <cstring>

#include "harness.hpp"

namespace quoin::cpu::testing {
namespace {

using Ints = std::vector<int64_t>;

class BlobTest : public ::testing::Test {
 protected:
  void SetUp() override {
    net.typed = false;
    auto x = net.input({1, 3, 9, 9});
    net.typed = true;
    x = net.quantize(x);
    x = net.clamp(net.conv2d(x, {.out = 8, .kernel = 3, .stride = 2, .pad = 1}));
    x = net.conv2d(x, {.out = 8, .kernel = 3, .pad = 1, .groups = 8});
    x = net.op("aten.adaptive_avg_pool2d.default", {net.op("aten.add.Tensor", {x, x})}, {{"output_size", Ints{1, 1}}});
    x = net.dequantize(net.linear(net.same("aten.view.default", {x}, {{"size", Ints{1, -1}}}), 5));
    net.typed = false;
    const auto y = net.op("aten.softmax.int", {net.linear_dynamic(x, 4)}, {{"dim", int64_t{-1}}});
    net.returns({y});
    blob = plugin.compile(net.graph, named);
    inputs = random_inputs(net.graph, random);
    outputs.emplace_back(DType::f32, Shape{1, 4});
  }
  std::mt19937 random{7};
  Net net{random};
  FakeHost host{2};
  Plugin plugin{host};
  Blob blob;
  Named named;
  std::vector<Tensor> inputs, outputs;
};

TEST_F(BlobTest, CompilingTwiceGivesTheSameBytes) { EXPECT_EQ(plugin.compile(net.graph), blob); }

TEST_F(BlobTest, EveryTruncationIsRefused) {
  for (size_t size = 0; size < blob.size(); size += size < 6000 ? 1 : 61) {
    Loaded loaded(host, plugin, Blob(blob.begin(), blob.begin() + static_cast<std::ptrdiff_t>(size)), named);
    ASSERT_EQ(loaded.status(), QUOIN_CORRUPT) << "cut at " << size;
  }
}

TEST_F(BlobTest, BytesBehindTheEndAreRefused) {
  blob.push_back(0);
  EXPECT_EQ(Loaded(host, plugin, blob, named).status(), QUOIN_CORRUPT);
}

TEST_F(BlobTest, AnotherFormatIsNamed) {
  blob[4] = 1;
  Loaded loaded(host, plugin, blob, named);
  EXPECT_EQ(loaded.status(), QUOIN_INCOMPATIBLE);
  EXPECT_NE(loaded.message().find("blob format 1, expected 5"), std::string::npos) << loaded.message();
}

// A changed blob is either refused, or runs inside its memory (sanitizers watch) with other numbers.
TEST_F(BlobTest, ChangedBitsAreRefusedOrHarmless) {
  size_t refused = 0;
  const size_t head = std::min<size_t>(blob.size(), 6000);  // header, tensors, instructions
  for (int trial = 0; trial < 6000; ++trial) {
    Blob changed = blob;
    for (int64_t flips = net.pick(1, 3); flips > 0; --flips)
      changed[static_cast<size_t>(net.pick(0, static_cast<int64_t>(head) - 1))] ^=
          static_cast<char>(1 << net.pick(0, 7));
    Loaded loaded(host, plugin, changed, named);
    if (loaded.status() != QUOIN_OK) {
      ++refused;
      continue;
    }
    uint64_t scratch = 0;
    std::memcpy(&scratch, changed.data() + 24, sizeof scratch);
    uint64_t worker = 0;
    std::memcpy(&worker, changed.data() + 32, sizeof worker);
    if (scratch < (1 << 22) && worker < (1 << 22)) loaded.run(inputs, outputs);
  }
  EXPECT_GT(refused, 1000u);
}

TEST_F(BlobTest, RandomInstructionFieldsAreRefusedOrHarmless) {
  for (int trial = 0; trial < 3000; ++trial) {
    Blob changed = blob;
    const auto field = static_cast<size_t>(net.pick(64, 1700)) * 4;  // behind the header
    const int64_t values[] = {0, 1, -1, 7, 64, 4096, INT32_MAX, INT32_MIN, net.pick(0, 100000)};
    const auto value = static_cast<int32_t>(values[net.pick(0, 8)]);
    if (field + 4 <= changed.size()) std::memcpy(changed.data() + field, &value, 4);
    Loaded loaded(host, plugin, changed, named);
    if (loaded.status() == QUOIN_OK) loaded.run(inputs, outputs);
  }
}

// Dims whose strides are zero would multiply the time of a run, and touch no memory that a check could miss.
TEST_F(BlobTest, CopiesOntoThemselvesAreRefused) {
  Net moves(random, false);
  const auto x = moves.input({2, 3, 5});
  moves.returns({moves.op("aten.permute.default", {x}, {{"dims", Ints{2, 1, 0}}})});
  const Blob good = plugin.compile(moves.graph);
  const std::vector<Tensor> x_values = random_inputs(moves.graph, random);
  std::vector<Tensor> y_values{Tensor(DType::f32, {5, 3, 2})};
  size_t refused = 0;
  for (size_t at = 0; at + sizeof(int64_t) <= good.size(); at += sizeof(int64_t)) {
    Blob changed = good;
    int64_t number = 0;
    std::memcpy(&number, changed.data() + at, sizeof number);
    if (number != 1) continue;
    number = int64_t{1} << 30;  // a dim of 1, whose strides are 0
    std::memcpy(changed.data() + at, &number, sizeof number);
    Loaded loaded(host, plugin, changed, named);
    if (loaded.status() == QUOIN_OK) loaded.run(x_values, y_values);  // a field that copies do not read
    refused += loaded.message().find("lie on each other") != std::string::npos ? 1 : 0;
  }
  EXPECT_GT(refused, 0u);
}

TEST_F(BlobTest, OtherShapesAreUnsupported) {
  Loaded loaded(host, plugin, blob, named);
  inputs[0] = Tensor(DType::f32, {1, 3, 9, 8});
  EXPECT_EQ(loaded.run(inputs, outputs), QUOIN_UNSUPPORTED);
  EXPECT_NE(loaded.message().find("compiled for [1, 3, 9, 9], found [1, 3, 9, 8]"), std::string::npos)
      << loaded.message();
}

TEST_F(BlobTest, TooLittleScratchIsRefused) {
  Loaded loaded(host, plugin, blob, named);
  EXPECT_EQ(loaded.run(inputs, outputs, nullptr, nullptr, 1), QUOIN_INVALID);
}

TEST_F(BlobTest, CancelStopsTheRun) {
  Loaded loaded(host, plugin, blob, named);
  const uint32_t cancel = 1;
  EXPECT_EQ(loaded.run(inputs, outputs, nullptr, &cancel), QUOIN_CANCELLED);
}

// The profiler sets the flag while the only instruction begins.
TEST_F(BlobTest, CancelStopsWithinAnInstruction) {
  Net wide(random, false);
  const auto x = wide.input({1, 1 << 20});
  wide.returns({wide.op("aten.exp.default", {x})});
  Loaded loaded(host, plugin, plugin.compile(wide.graph));
  const std::vector<Tensor> values = random_inputs(wide.graph, random);
  std::vector<Tensor> results{Tensor(DType::f32, {1, 1 << 20})};
  uint32_t cancel = 0;
  quoin_profiler profiler{sizeof profiler, 0, &cancel, nullptr, nullptr, nullptr};
  profiler.begin = [](void* self, quoin_str, uint64_t) -> uint64_t { return *static_cast<uint32_t*>(self) = 1; };
  profiler.end = [](void*, uint64_t) {};
  for (const uint32_t workers : {1u, 3u}) {
    host.workers = workers;
    cancel = 0;
    std::fill_n(results[0].as<float>().begin(), 1 << 20, -1.0f);
    EXPECT_EQ(loaded.run(values, results, &profiler, &cancel), QUOIN_CANCELLED);
    EXPECT_EQ(results[0].as<float>().back(), -1.0f) << "the last piece ran in spite of the flag";
  }
}

TEST_F(BlobTest, ProfilerSeesEveryInstructionOnce) {
  Loaded loaded(host, plugin, blob, named);
  std::vector<std::string> names;
  quoin_profiler profiler{sizeof profiler, 0, &names, nullptr, nullptr, nullptr};
  profiler.begin = [](void* self, quoin_str name, uint64_t) -> uint64_t {
    static_cast<std::vector<std::string>*>(self)->emplace_back(name.data, name.size);
    return 0;
  };
  profiler.end = [](void*, uint64_t) {};
  ASSERT_EQ(loaded.run(inputs, outputs, &profiler), QUOIN_OK);
  EXPECT_EQ(names, (std::vector<std::string>{"quantize", "conv_u8", "depthwise_u8", "add_u8", "mean_u8", "conv_u8",
                                             "dequantize", "quantize_rows", "gemm_u8_f32", "softmax_f32"}));
}

TEST_F(BlobTest, RunsDoNotDependOnEachOther) {
  Loaded loaded(host, plugin, blob, named);
  ASSERT_EQ(loaded.run(inputs, outputs), QUOIN_OK);
  std::vector<Tensor> again{Tensor(DType::f32, Shape{1, 4})}, other = random_inputs(net.graph, random);
  ASSERT_EQ(loaded.run(other, again), QUOIN_OK);
  ASSERT_EQ(loaded.run(inputs, again), QUOIN_OK);
  EXPECT_TRUE(std::equal(again[0].as<float>().begin(), again[0].as<float>().end(), outputs[0].as<float>().begin()));
}

}  // namespace
}  // namespace quoin::cpu::testing
