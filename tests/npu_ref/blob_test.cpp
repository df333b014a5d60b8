// Blobs are deterministic and are checked before use: every truncation and every flipped bit is refused, or runs inside
// the memory it was lent (guard pages stand behind every tensor; the data runs to the end of the blob's own memory).
#include <gmock/gmock.h>

#include <cstring>

#include "device.hpp"
#include "program.hpp"

namespace quoin::npu::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Every kind of command, small: all bits of the blob are tried.
const ir::Graph& every_kind(Net& net, int64_t width = 3) {
  const auto x = net.input({1, 2, 4, width});
  auto y = net.same("aten.relu.default", {net.conv2d(net.pad(x, {1, 1, 1, 1}), {.out = 16, .kernel = 3, .pad = 1})});
  y = net.conv2d(y, {.out = 16, .kernel = 3, .groups = 16});
  y = net.same("aten.cat.default", {y, net.op("aten.add.Tensor", {y, y})}, {{"dim", int64_t{1}}});
  y = net.same("aten.max_pool2d.default", {y},
               {{"kernel_size", Ints{2, 2}}, {"stride", Ints{2, 2}}, {"padding", Ints{1, 1}}});
  y = net.op("aten.mean.dim", {y}, {{"dim", Ints{2, 3}}, {"keepdim", false}}, -5);
  return net.returns({net.linear(y, {.out = 3, .exponent = -3})});
}

class Blob : public ::testing::Test {
 protected:
  // Init and, when it accepts, plan and run.
  conform::Answer try_bytes(std::span<const std::byte> bytes) const {
    conform::GuardedMemory guarded(bytes.size(), 64);  // the end keeps off the guard page by less than 64 bytes
    std::memcpy(guarded.data(), bytes.data(), bytes.size());
    return answer({static_cast<const std::byte*>(guarded.data()), bytes.size()});
  }
  conform::Answer answer(std::span<const std::byte> bytes) const {
    conform::Delegate delegate(device.backend(), compiled.delegate, bytes);
    if (!delegate.init().ok()) return delegate.init();
    const conform::Buffers buffers(net.graph, compiled, inputs, conform::Buffers::element);
    if (auto planned = delegate.plan(buffers); !planned.ok()) return planned;
    if (delegate.need().scratch > kMostScratch) return {};  // allowed, but not worth the time
    const conform::GuardedMemory scratch(delegate.need().scratch, 64);
    const auto ran = delegate.run(buffers, scratch.data());
    EXPECT_EQ(buffers.fault(), "");
    EXPECT_TRUE(scratch.intact());
    return ran;
  }
  std::span<const std::byte> bytes() const { return compiled.delegate.blob; }
  std::vector<std::byte> copy() const { return {bytes().begin(), bytes().end()}; }
  Header header() const {
    Header out;
    std::memcpy(&out, compiled.delegate.blob.data(), sizeof out);
    return out;
  }
  template <class T>
  conform::Answer with(size_t offset, T value) const {
    std::vector<std::byte> changed = copy();
    std::memcpy(changed.data() + offset, &value, sizeof value);
    return try_bytes(changed);
  }

  static constexpr uint64_t kMostScratch = 1u << 20;
  static constexpr size_t kCommands = 192;  // header 64, two ports of 40, aligned
  Device device;
  Net net{3};
  const ir::Graph& graph = every_kind(net);
  const lower::Compiled compiled = device.compile(graph);
  const std::vector<Tensor> inputs = net.inputs();
};

TEST_F(Blob, HoldsOneCommandPerLayer) {
  std::vector<Kind> kinds;
  for (size_t i = 0; i < header().num_commands; ++i) {
    Command c;
    std::memcpy(&c, bytes().data() + kCommands + i * sizeof c, sizeof c);
    kinds.push_back(c.kind);
    if (c.kind == Kind::convolve && c.in.channels == 2) {
      EXPECT_EQ(c.in, (Shape{2, 4, 3})) << "the padding in front is fused";
      EXPECT_EQ(c.pad_top, 2);
      EXPECT_EQ(c.low, 0) << "and so is the clamp behind";
    }
  }
  EXPECT_THAT(kinds, ElementsAre(Kind::load, Kind::convolve, Kind::depthwise, Kind::add, Kind::move, Kind::move,
                                 Kind::max_pool, Kind::average, Kind::convolve, Kind::store));
}

TEST_F(Blob, CompilingTwiceGivesTheSameBytes) {
  const auto again = device.compile(graph);
  EXPECT_TRUE(std::ranges::equal(again.delegate.blob, compiled.delegate.blob));
}

TEST_F(Blob, EveryTruncationIsRefused) {
  for (size_t size = 0; size < bytes().size(); ++size)
    ASSERT_EQ(try_bytes(bytes().first(size)).status, QUOIN_CORRUPT) << "cut at " << size;
}

TEST_F(Blob, BytesBehindTheEndAreRefused) {
  std::vector<std::byte> longer = copy();
  longer.push_back(std::byte{0});
  EXPECT_THAT(try_bytes(longer).message, HasSubstr("bytes follow the end of the blob"));
}

TEST_F(Blob, EveryFlippedBitIsRefusedOrHarmless) {
  std::vector<std::byte> changed = copy();
  conform::GuardedMemory guarded(changed.size(), 64);
  size_t refused = 0, ran = 0;
  for (size_t bit = 0; bit < 8 * changed.size(); ++bit) {
    changed[bit / 8] ^= std::byte{1} << bit % 8;
    std::memcpy(guarded.data(), changed.data(), changed.size());
    const auto result = answer({static_cast<const std::byte*>(guarded.data()), changed.size()});
    ++(result.ok() ? ran : refused);
    if (!result.ok()) {
      ASSERT_TRUE(result.status == QUOIN_CORRUPT || result.status == QUOIN_INCOMPATIBLE ||
                  result.status == QUOIN_UNSUPPORTED || result.status == QUOIN_INVALID)
          << "bit " << bit << ": " << result.text();
    }
    changed[bit / 8] ^= std::byte{1} << bit % 8;
  }
  EXPECT_GT(refused, 5000u);
  EXPECT_GT(ran, 5000u) << "weights and biases may be anything";
}

TEST_F(Blob, ExtremeWordsAreRefusedOrHarmless) {
  for (size_t at = 0; at + 4 <= kCommands + header().num_commands * sizeof(Command); at += 4)
    for (const int32_t word : {0, -1, 1, 7, 64, 4096, INT32_MAX, INT32_MIN}) with(at, word);
}

TEST_F(Blob, ReasonsNameTheCommandAndWhatIsWrong) {
  const size_t convolve = kCommands + sizeof(Command);
  EXPECT_THAT(with(0, uint32_t{7}).message, HasSubstr("not a program of npu_ref"));
  EXPECT_THAT(with(4, uint32_t{2}).message, HasSubstr("blob format 2, expected 1"));
  EXPECT_THAT(with(convolve + offsetof(Command, kind), uint32_t{8}).message,
              HasSubstr("command 1 has an unknown kind"));
  EXPECT_THAT(with(convolve + offsetof(Command, x), uint64_t{1} << 40).message,
              HasSubstr("command 1 has a tensor outside of device memory"));
  EXPECT_THAT(with(convolve + offsetof(Command, weights), ~uint64_t{63}).message,
              HasSubstr("command 1 has parameters outside of the blob"));
  EXPECT_THAT(with(convolve + offsetof(Command, stride_h), 0).message,
              HasSubstr("command 1 has a window out of range"));
  EXPECT_THAT(with(offsetof(Header, sram_bytes), uint64_t{64}).message,
              HasSubstr("command 1 has a band that exceeds the on-chip buffer"));
  EXPECT_THAT(with(convolve + offsetof(Command, high), 128).message,
              HasSubstr("command 1 has a range beyond the type of its result"));
  const size_t add = kCommands + 3 * sizeof(Command);
  Command c;
  std::memcpy(&c, bytes().data() + add, sizeof c);
  EXPECT_THAT(with(add + offsetof(Command, y), c.x).message,
              HasSubstr("command 3 has a result that overlaps its operand"));
  std::memcpy(&c, bytes().data() + convolve, sizeof c);
  EXPECT_THAT(with(bytes().size() - header().data_bytes + c.lanes + offsetof(Lanes, shift), 32).message,
              HasSubstr("command 1 has a lane with a shift out of range"));
  const size_t store = kCommands + (header().num_commands - 1) * sizeof(Command);
  EXPECT_THAT(with(store + offsetof(Command, y), uint64_t{1}).message,
              HasSubstr("command 9 has a port that does not exist"));
}

TEST_F(Blob, RunsOnlyAsPlanned) {
  Net wider(3);
  every_kind(wider, 4);
  conform::Delegate delegate(device.backend(), compiled.delegate);
  const conform::Buffers buffers(wider.graph, compiled, wider.inputs(), conform::Buffers::element);
  EXPECT_THAT(delegate.plan(buffers).message, HasSubstr("input was compiled for [1, 2, 4, 3], found [1, 2, 4, 4]"));
}

TEST_F(Blob, CancelStopsTheRun) {
  conform::Delegate delegate(device.backend(), compiled.delegate);
  const conform::Buffers buffers(net.graph, compiled, inputs, conform::Buffers::element);
  ASSERT_TRUE(delegate.plan(buffers).ok());
  const conform::GuardedMemory scratch(delegate.need().scratch, 64);
  const uint32_t cancel = 1;
  EXPECT_EQ(delegate.run(buffers, scratch.data(), nullptr, &cancel).status, QUOIN_CANCELLED);
}

TEST_F(Blob, ProfilerSeesEveryCommandWithItsNode) {
  conform::Delegate delegate(device.backend(), compiled.delegate);
  const conform::Buffers buffers(net.graph, compiled, inputs, conform::Buffers::element);
  ASSERT_TRUE(delegate.plan(buffers).ok());
  const conform::GuardedMemory scratch(delegate.need().scratch, 64);
  std::vector<std::string> names;
  quoin_profiler profiler{sizeof profiler, 0, &names, nullptr, nullptr, nullptr};
  profiler.begin = [](void* self, quoin_str name, uint64_t) -> uint64_t {
    static_cast<std::vector<std::string>*>(self)->emplace_back(name.data, name.size);
    return 0;
  };
  profiler.end = [](void*, uint64_t) {};
  ASSERT_TRUE(delegate.run(buffers, scratch.data(), &profiler).ok());
  EXPECT_THAT(names, ElementsAre("load", "convolve", "depthwise", "add", "move", "move", "max_pool", "average",
                                 "convolve", "store"));
}

// Rows of the result per band of every window.
std::vector<int32_t> band_rows(const lower::Compiled& compiled) {
  Header header;
  std::memcpy(&header, compiled.delegate.blob.data(), sizeof header);
  const size_t ports = (header.num_inputs + header.num_outputs) * sizeof(Port);
  const std::byte* at = compiled.delegate.blob.data() + kAlign + (ports + kAlign - 1) / kAlign * kAlign;
  std::vector<int32_t> out;
  for (size_t i = 0; i < header.num_commands; ++i, at += sizeof(Command)) {
    Command c;
    std::memcpy(&c, at, sizeof c);
    if (c.kind != Kind::load && c.kind != Kind::store && c.kind != Kind::move) out.push_back(c.band_rows);
  }
  return out;
}

TEST(Bands, AreAsLargeAsTheBufferAllows) {
  const Device device;
  Net net(5);
  net.returns({net.conv2d(net.input({1, 16, 40, 30}), {.out = 16, .kernel = 3, .pad = 1})});
  // One row: 3 x 32 x 16 bytes of the operand, 2 x (16 x 9 x 16 + 128) of weights, 30 x 16 of the result; each further
  // row adds 992.
  EXPECT_THAT(band_rows(device.compile(net.graph, Settings().sram_kib(8))), ElementsAre(2));
  EXPECT_THAT(band_rows(device.compile(net.graph, Settings().sram_kib(16))), ElementsAre(10));
  EXPECT_THAT(band_rows(device.compile(net.graph, Settings().sram_kib(64))), ElementsAre(40));
}

TEST(Bands, ChangeNoResult) {
  const Device device(2);
  Net net(5);
  auto x = net.conv2d(net.input({1, 20, 33, 31}), {.out = 24, .kernel = 3, .stride = 2, .pad = 1});
  x = net.conv2d(net.clamp(x), {.out = 24, .kernel = 5, .pad = 2, .groups = 24});
  net.returns({net.same("aten.max_pool2d.default", {x}, {{"kernel_size", Ints{3, 3}}, {"stride", Ints{1, 1}}})});
  const auto inputs = net.inputs();
  const auto run = [&](int64_t sram_kib, bool fuse) {
    return device.run(net.graph, device.compile(net.graph, Settings().sram_kib(sram_kib).fuse(fuse)), inputs)[0];
  };
  const Tensor expected = run(4096, true);
  for (const int64_t kib : {16, 20, 24, 32, 64, 128})
    for (const bool fuse : {false, true})
      EXPECT_TRUE(std::ranges::equal(run(kib, fuse).as<int8_t>(), expected.as<int8_t>())) << kib << " KiB";
}

}  // namespace
}  // namespace quoin::npu::testing
