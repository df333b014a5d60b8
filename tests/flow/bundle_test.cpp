// Tests that programs carry notice other outputs, by as much as they allow.
#include "flow/bundle.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "../program/models.hpp"

namespace quoin::flow {
namespace {

using program::testing::f32;
using program::testing::floats;

class Bundle : public ::testing::Test {
 protected:
  // y = relu(x)
  runtime::Executable load() {
    program::testing::GraphBuilder b;
    const uint32_t x = b.input("x", f32({4}));
    b.graph.outputs = {b.node("aten.relu.default", {x}, f32({4}))};
    program::Model model;
    model.name = "small";
    model.methods = {{"forward", b.graph}};
    runtime::Options options;
    options.kernels = &kernels;
    return *runtime::Executable::load(std::move(model), options, services.table(), diagnostics);
  }
  program::TestCase good() const {
    return {"sample 0", "forward", {floats({4}, -1)}, {Tensor::of<float>(DType::f32, {4}, expected)}};
  }
  host::Services services{host::Services::Options{}};
  kernels::KernelSet kernels;
  Diagnostics diagnostics;
  const std::vector<float> expected = {0, 0, 1, 2};
};

TEST_F(Bundle, EqualOutputsPassWithoutError) {
  runtime::Executable program = load();
  const auto result = run_test(program, good());
  ASSERT_TRUE(result) << result.error().text();
  EXPECT_TRUE(result->passed);
  EXPECT_EQ(result->error, 0);
}

TEST_F(Bundle, DifferencesCountAgainstTheLargestMagnitude) {
  runtime::Executable program = load();
  program::TestCase test = good();
  test.outputs[0].as<float>()[0] = 0.001f;
  EXPECT_TRUE(run_test(program, test)->passed);
  test.outputs[0].as<float>()[0] = 0.01f;
  const auto result = run_test(program, test);
  EXPECT_FALSE(result->passed);
  EXPECT_NEAR(result->error, 0.005, 1e-6);
  EXPECT_EQ(result->output, program.outputs()[0].name);
}

TEST_F(Bundle, NotANumberIsNoRoundingError) {
  runtime::Executable program = load();
  program::TestCase test = good();
  test.outputs[0].as<float>()[3] = NAN;
  const auto result = run_test(program, test);
  EXPECT_FALSE(result->passed);
  EXPECT_TRUE(std::isinf(result->error));
}

}  // namespace
}  // namespace quoin::flow
