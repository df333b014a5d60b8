// Runs in memory of the caller's: planning, outputs, and what ends a run early.
#include <array>
#include <atomic>
#include <thread>

#include "fixture.hpp"
#include "runtime/stop.hpp"

namespace quoin::runtime {
namespace {

using ::testing::HasSubstr;

class Planning : public Running {
 protected:
  void prepare(program::Model model) {
    Options load_options;
    load_options.kernels = &kernels;
    load_options.backend = [this](const std::string&) { return fake.open(services.table()); };
    auto made = Executable::prepare(std::make_shared<const program::Model>(std::move(model)), load_options,
                                    services.table(), diagnostics);
    ASSERT_TRUE(made) << made.error().text();
    executable.emplace(*std::move(made));
  }
  // y = the diamond of x, both in memory of the test's.
  Status run(const RunOptions& how = {}) {
    quoin_tensor in{QUOIN_F32, 2, in_dims.data(), x_data.data(), sizeof x_data, nullptr};
    out = {};
    out.data = y_data.data();
    out.size = room;
    return executable->run(0, {&in, 1}, {&out, 1}, how);
  }
  void expect_right() const {
    const std::vector<float> wanted = expected();
    for (size_t i = 0; i < wanted.size(); ++i) EXPECT_NEAR(y_data[i], wanted[i], 1e-5f * wanted[i]) << i;
  }
  static std::string why_not(const Status& status) { return status ? "it ran" : status.error().text(); }

  std::optional<Executable> executable;
  std::array<int64_t, 2> in_dims{2, 3};
  std::array<float, 6> x_data{1, 2, 3, -9, 0.5f, 0.25f};
  std::array<float, 8> y_data{};
  uint64_t room = sizeof y_data;
  quoin_tensor out{};
};

TEST_F(Planning, OutputsAreDescribedAndWrittenWhereTheCallerWants) {
  prepare(kernel_model());
  ASSERT_TRUE(executable->plan());
  const Status status = run();
  ASSERT_TRUE(status) << why_not(status);
  EXPECT_EQ(out.dtype, static_cast<quoin_dtype>(QUOIN_F32));
  EXPECT_EQ(Shape(out.dims, out.dims + out.rank), (Shape{2, 4}));
  EXPECT_EQ(out.size, sizeof y_data);
  expect_right();
}

TEST_F(Planning, ARunNeedsAPlan) {
  prepare(kernel_model());
  EXPECT_THAT(why_not(run()), HasSubstr("plan() did not precede the run"));
}

TEST_F(Planning, MemoryOfTheCallerIsAllThatIsUsed) {
  prepare(kernel_model());
  const MemoryNeed need = executable->need();
  alignas(64) static std::array<std::byte, 1 << 16> memory;
  const uint64_t scratch_at = (need.arena + 63) / 64 * 64;
  ASSERT_LE(scratch_at + need.scratch + 64, memory.size());
  memory.fill(std::byte{0x5a});
  const Region arena{memory.data(), need.arena}, scratch{memory.data() + scratch_at, need.scratch};
  alignas(64) std::array<std::byte, 64> states{};
  ASSERT_TRUE(executable->plan({arena, scratch, {states.data(), states.size()}}));
  ASSERT_TRUE(run());
  expect_right();
  for (uint64_t i = scratch_at + need.scratch; i < memory.size(); ++i)
    ASSERT_EQ(memory[i], std::byte{0x5a}) << "byte " << i << " was not given";
  EXPECT_NE(memory[0], std::byte{0x5a}) << "the arena was used";
}

TEST_F(Planning, MemoryThatDoesNotFitIsRefused) {
  prepare(kernel_model());
  alignas(64) std::array<std::byte, 4096> memory{};
  const MemoryNeed need = executable->need();
  ASSERT_GT(need.arena, 0u);
  const Status small = executable->plan({{memory.data(), need.arena - 1}, {}, {}});
  EXPECT_EQ(small.error().code, Code::limit);
  EXPECT_THAT(why_not(small),
              HasSubstr(fmt::format("{} bytes given for intermediate values, {} needed", need.arena - 1, need.arena)));
  EXPECT_THAT(why_not(executable->plan({{memory.data() + 1, need.arena}, {}, {}})),
              HasSubstr("not aligned to 64 bytes"));
}

TEST_F(Planning, OutputsMustHaveRoom) {
  prepare(kernel_model());
  ASSERT_TRUE(executable->plan());
  room -= 1;
  EXPECT_THAT(why_not(run()), HasSubstr("31 bytes of memory, f32[2, 4] takes 32"));
}

TEST_F(Planning, OutputsThatAreInputsConstantsOrRepeatedAreCopied) {
  const auto constant = graph.add_constant("answer", lower::floats({1}, 42));
  const auto sum = graph.outputs()[0];
  graph.set_outputs({sum, x, constant, sum});
  prepare(kernel_model());
  ASSERT_TRUE(executable->plan());
  quoin_tensor in{QUOIN_F32, 2, in_dims.data(), x_data.data(), sizeof x_data, nullptr};
  std::array<std::array<float, 8>, 4> data{};
  std::array<quoin_tensor, 4> outputs{};
  for (size_t i = 0; i < outputs.size(); ++i) {
    outputs[i].data = data[i].data();
    outputs[i].size = sizeof data[i];
  }
  ASSERT_TRUE(executable->run(0, {&in, 1}, outputs));
  EXPECT_EQ(data[1][3], -9.0f);
  EXPECT_EQ(data[2][0], 42.0f);
  EXPECT_EQ(outputs[2].size, sizeof(float));
  EXPECT_EQ(data[3], data[0]);
}

TEST_F(Planning, AStoppedRunSaysSo) {
  prepare(kernel_model());
  ASSERT_TRUE(executable->plan());
  uint32_t stop = kStopRequested;
  const Status status = run({.stop = &stop});
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::cancelled);
  EXPECT_THAT(why_not(status), HasSubstr("node fc (aten.linear.default, module net.fc): the caller stopped the run"));
  stop = 0;
  ASSERT_TRUE(run({.stop = &stop})) << "an end does not stick";
  expect_right();
}

TEST_F(Planning, ADeadlineStopsBetweenNodes) {
  prepare(kernel_model());
  ASSERT_TRUE(executable->plan());
  const quoin_host& host = services.table();
  uint32_t stop = 0;
  const Status status = run({.stop = &stop, .deadline_ns = host.now_ns(host.self)});
  EXPECT_THAT(why_not(status), HasSubstr("the deadline of the run passed"));
  EXPECT_EQ(stop, kDeadlinePassed);
  EXPECT_TRUE(run({.deadline_ns = host.now_ns(host.self) + 60'000'000'000u}));
}

// A delegate that reports its operations until it is told to end.
TEST_F(Planning, ADeadlineStopsADelegateThatReportsItsOperations) {
  program::Model model = delegated_model();
  fake.run = [](const quoin_run& call, quoin_error* error) -> quoin_status {
    for (int i = 0; i < 1'000'000'000; ++i) {
      const uint64_t token = call.profiler->begin(call.profiler->self, {"op", 2}, 1);
      call.profiler->end(call.profiler->self, token);
      if (__atomic_load_n(call.cancel, __ATOMIC_RELAXED) != 0)
        return quoin::testing::refuse(error, QUOIN_CANCELLED, "stopped");
    }
    return QUOIN_OK;
  };
  prepare(std::move(model));
  ASSERT_TRUE(executable->plan());
  const quoin_host& host = services.table();
  const Status status = run({.deadline_ns = host.now_ns(host.self) + 20'000'000});
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::cancelled);
  EXPECT_THAT(why_not(status), HasSubstr("the deadline of the run passed"));
}

TEST_F(Planning, OneRunAtATime) {
  program::Model model = delegated_model();
  std::atomic<bool> inside = false, leave = false;
  fake.run = [&](const quoin_run&, quoin_error*) {
    inside = true;
    while (!leave) std::this_thread::yield();
    return QUOIN_OK;
  };
  prepare(std::move(model));
  ASSERT_TRUE(executable->plan());
  std::thread first([&] { EXPECT_TRUE(run()); });
  while (!inside) std::this_thread::yield();
  std::array<float, 8> mine{};
  quoin_tensor in{QUOIN_F32, 2, in_dims.data(), x_data.data(), sizeof x_data, nullptr};
  quoin_tensor to{0, 0, nullptr, mine.data(), sizeof mine, nullptr};
  EXPECT_THAT(why_not(executable->run(0, {&in, 1}, {&to, 1})), HasSubstr("another run of this object is in progress"));
  leave = true;
  first.join();
}

}  // namespace
}  // namespace quoin::runtime
