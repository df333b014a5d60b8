// Another length costs no allocation: in a delegate, and on kernels where the length was named ahead.
#include "../runtime/fixture.hpp"
#include "allocations.hpp"
#include "ir/dynamic.hpp"

namespace quoin::runtime {
namespace {

// y [T, 4] = exp of x [T, 4], in a delegate; T is at most 16.
class Resizing : public Running {
 protected:
  program::Model model(bool delegated) {
    ir::Graph whole;
    whole.name = "resizing";
    const auto from = whole.add_input("x", {DType::f32, {16, 4}, nullptr});
    whole.set_outputs({whole.output(*whole.add_node("aten.exp.default", {from}, {}, "exp"))});
    whole.value(from).dynamic = 1;
    EXPECT_TRUE(ir::mark_dynamic(whole));
    if (delegated) fake.partition = quoin::testing::claims_op("aten.exp.default");
    fake.run = [](const quoin_run& call, quoin_error*) -> quoin_status {
      const auto& in = *static_cast<const quoin_tensor*>(call.inputs.data);
      const auto& out = *static_cast<const quoin_tensor*>(call.outputs.data);
      for (uint64_t i = 0; i < in.size / sizeof(float); ++i)
        static_cast<float*>(out.data)[i] = std::exp(static_cast<const float*>(in.data)[i]);
      return QUOIN_OK;
    };
    options.order = {fake.open(services.table())};
    const std::vector<lower::Method> methods = {{"forward", std::move(whole)}};
    auto lowered = lower::lower(methods, options, kernels, services.table(), diagnostics);
    EXPECT_TRUE(lowered) << text(lowered);
    return through_file(lowered->model);
  }
};

// Allocations of runs of these lengths, one after the other.
unsigned long allocations_of(Executable& executable, std::initializer_list<int64_t> lengths) {
  std::array<float, 64> given{}, found{};
  std::array<int64_t, 2> dims{16, 4};
  quoin_tensor in{QUOIN_F32, 2, dims.data(), given.data(), sizeof given, nullptr}, out{};
  const unsigned long before = quoin::testing::allocations;
  for (const int64_t length : lengths) {
    dims[0] = length;
    in.size = static_cast<uint64_t>(length) * 4 * sizeof(float);
    out.data = found.data();
    out.size = sizeof found;
    const bool ran = executable.run(0, {&in, 1}, {&out, 1}).has_value();
    EXPECT_TRUE(ran);
    EXPECT_EQ(out.dims[0], length);
    EXPECT_EQ(out.size, in.size);
    EXPECT_EQ(found[0], 1.0f);
  }
  return quoin::testing::allocations - before;
}

TEST_F(Resizing, AnotherLengthCostsNoAllocation) {
  auto executable = load(model(true));
  ASSERT_TRUE(executable) << why(executable);
  EXPECT_EQ(allocations_of(*executable, {16, 3, 16, 1, 7}), 0u);
}

TEST_F(Resizing, OnKernelsLengthsThatAreNamedAheadCostNone) {
  auto executable = load(model(false));
  ASSERT_TRUE(executable) << why(executable);
  for (const int64_t length : {3, 1, 7, 3}) ASSERT_TRUE(executable->prepare_length(0, length));
  EXPECT_EQ(allocations_of(*executable, {7, 16, 3, 16, 1, 7, 3}), 0u);
  EXPECT_GT(allocations_of(*executable, {5}), 0u) << "what was not named is prepared by the run";
  EXPECT_EQ(allocations_of(*executable, {5, 7, 16}), 0u);
  for (const int64_t wrong : {0, -1, 17}) {
    const Status refused = executable->prepare_length(0, wrong);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::input);
    EXPECT_THAT(refused.error().text(), ::testing::HasSubstr("the method takes 1 to 16"));
  }
}

// Memory of the caller's: prepared before need(), a length fits into what need() says.
TEST_F(Resizing, NamedLengthsCountInTheNeed) {
  auto executable = load(model(false));
  ASSERT_TRUE(executable) << why(executable);
  for (int64_t length = 1; length <= 16; ++length) ASSERT_TRUE(executable->prepare_length(0, length));
  const MemoryNeed need = executable->need();
  std::vector<std::byte> arena(need.arena + 64), scratch(need.scratch + 64);
  const auto region = [](std::vector<std::byte>& memory, uint64_t size) {
    return Region{memory.data() + (64 - reinterpret_cast<uintptr_t>(memory.data()) % 64) % 64, size};
  };
  ASSERT_TRUE(executable->plan({region(arena, need.arena), region(scratch, need.scratch), {}}));
  EXPECT_EQ(allocations_of(*executable, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}), 0u);
}

}  // namespace
}  // namespace quoin::runtime
