// A delegate that takes every length up to the longest: another length costs no allocation.
#include "../runtime/fixture.hpp"
#include "allocations.hpp"
#include "ir/dynamic.hpp"

namespace quoin::runtime {
namespace {

// y [T, 4] = exp of x [T, 4], in a delegate; T is at most 16.
class Resizing : public Running {
 protected:
  program::Model model() {
    ir::Graph whole;
    whole.name = "resizing";
    const auto from = whole.add_input("x", {DType::f32, {16, 4}, nullptr});
    whole.set_outputs({whole.output(*whole.add_node("aten.exp.default", {from}, {}, "exp"))});
    whole.value(from).dynamic = 1;
    EXPECT_TRUE(ir::mark_dynamic(whole));
    fake.partition = quoin::testing::claims_op("aten.exp.default");
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

TEST_F(Resizing, AnotherLengthCostsNoAllocation) {
  auto executable = load(model());
  ASSERT_TRUE(executable) << why(executable);
  std::array<float, 64> given{}, found{};
  std::array<int64_t, 2> dims{16, 4};
  quoin_tensor in{QUOIN_F32, 2, dims.data(), given.data(), sizeof given, nullptr}, out{};
  const unsigned long before = quoin::testing::allocations;
  for (const int64_t length : {16, 3, 16, 1, 7}) {
    dims[0] = length;
    in.size = static_cast<uint64_t>(length) * 4 * sizeof(float);
    out.data = found.data();
    out.size = sizeof found;
    const bool ran = executable->run(0, {&in, 1}, {&out, 1}).has_value();
    ASSERT_TRUE(ran);
    EXPECT_EQ(out.dims[0], length);
    EXPECT_EQ(out.size, in.size);
    EXPECT_EQ(found[0], 1.0f);
  }
  EXPECT_EQ(quoin::testing::allocations - before, 0u);
}

}  // namespace
}  // namespace quoin::runtime
