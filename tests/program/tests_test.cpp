// Tests that a program carries: what is stored comes back, what does not fit the program is refused.
#include "program/tests.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <random>

#include "bytes.hpp"
#include "models.hpp"

namespace quoin::program::testing {
namespace {

using ::testing::HasSubstr;

Tensor tensor_of(const Value& value) { return Tensor(value.type.dtype, value.type.shape); }

// One run of the first method of a program without states.
TestCase case_of(const Model& model) {
  const Graph& graph = model.methods[0].graph;
  TestCase test{"sample 0", model.methods[0].name, {}, {}};
  for (const uint32_t id : graph.inputs) test.inputs.push_back(tensor_of(graph.values[id]));
  for (const uint32_t id : graph.outputs) test.outputs.push_back(tensor_of(graph.values[id]));
  if (test.inputs[0].dtype() == DType::f32) test.inputs[0].as<float>()[0] = 0.5f;
  return test;
}

// A run of "prefill" with two of up to four tokens; the state is no argument.
TestCase language_case() {
  TestCase test{"two tokens", "prefill", {}, {}};
  test.inputs = {floats({2, 1, 2}, 1), Tensor(DType::s64, {2})};
  test.outputs = {floats({2, 1, 2}, 3)};
  return test;
}

std::string refusal(const TestCase& test, const Model& model) {
  const auto status = verify_tests(std::vector<TestCase>{test}, model);
  return status ? "fits" : status.error().text();
}

void expect_same(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].dtype(), b[i].dtype());
    EXPECT_EQ(a[i].shape(), b[i].shape());
    EXPECT_TRUE(std::ranges::equal(a[i].as<uint8_t>(), b[i].as<uint8_t>()));
  }
}

TEST(Tests, ComeBackFromTheFile) {
  const std::string path =
      (std::filesystem::temp_directory_path() / ("quoin_tests_" + std::to_string(::getpid()))).string();
  const Model model = language_model();
  const std::vector<TestCase> tests = {language_case(), language_case()};
  ASSERT_TRUE(write(path, model, {false, tests}));
  const auto file = MappedFile::open(path);
  const auto found = read_tests(file->bytes(), *read(path));
  std::filesystem::remove(path);
  ASSERT_TRUE(found) << found.error().text();
  ASSERT_EQ(found->size(), 2u);
  for (const TestCase& test : *found) {
    EXPECT_EQ(test.name, "two tokens");
    EXPECT_EQ(test.method, "prefill");
    expect_same(test.inputs, tests[0].inputs);
    expect_same(test.outputs, tests[0].outputs);
  }
}

TEST(Tests, ProgramWithoutTestsHasNone) {
  const FileBytes file = *serialize(small_model());
  EXPECT_TRUE(read_tests(file, *read_bytes(file))->empty());
}

TEST(Tests, WhatDoesNotFitTheProgramIsRefused) {
  const Model model = language_model();
  EXPECT_EQ(refusal(language_case(), model), "fits");
  TestCase test = language_case();
  test.method = "decoed";
  EXPECT_THAT(refusal(test, model), HasSubstr("no method decoed"));
  test = language_case();
  test.inputs.pop_back();
  EXPECT_THAT(refusal(test, model), HasSubstr("1 inputs, the method has 2"));
  test = language_case();
  test.inputs[0] = floats({5, 1, 2}, 0);
  EXPECT_THAT(refusal(test, model), HasSubstr("input 0"));
  test = language_case();
  test.outputs[0] = Tensor(DType::s64, {2, 1, 2});
  EXPECT_THAT(refusal(test, model), HasSubstr("output 0"));
}

TEST(Tests, DamageIsAnErrorOrFits) {
  const Model model = small_model();
  const std::vector<std::byte> good = encode_tests(std::vector<TestCase>{case_of(model)});
  ASSERT_TRUE(decode_tests(good, model));
  for (size_t size = 0; size < good.size(); ++size) (void)decode_tests(Bytes(good).first(size), model);
  std::mt19937 random(5);
  for (int round = 0; round < 20000; ++round) {
    std::vector<std::byte> bad = good;
    for (auto n = 1 + random() % 3; n > 0; --n) bad[random() % bad.size()] = std::byte(random());
    const auto result = decode_tests(bad, model);
    EXPECT_TRUE(!result || verify_tests(*result, model));
  }
}

}  // namespace
}  // namespace quoin::program::testing
