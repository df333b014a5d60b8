#include "flow/bundle.hpp"

#include <algorithm>
#include <cmath>

namespace quoin::flow {
namespace {

template <class T>
double largest_difference(const Tensor& found, const Tensor& expected) {
  double most = 0, scale = 0;
  for (size_t i = 0; i < expected.as<T>().size(); ++i) {
    const auto a = static_cast<double>(found.as<T>()[i]), b = static_cast<double>(expected.as<T>()[i]);
    if (std::isnan(a) != std::isnan(b)) return INFINITY;
    if (a == b || std::isnan(a)) continue;
    most = std::max(most, std::abs(a - b));
    scale = std::max({scale, std::abs(a), std::abs(b)});
  }
  for (const T value : expected.as<T>())
    if (std::isfinite(static_cast<double>(value))) scale = std::max(scale, std::abs(static_cast<double>(value)));
  return most == 0 ? 0 : most / scale;
}

double error_of(const Tensor& found, const Tensor& expected) {
  if (expected.dtype() == DType::f32) return largest_difference<float>(found, expected);
  if (expected.dtype() == DType::f64) return largest_difference<double>(found, expected);
  return std::ranges::equal(found.as<uint8_t>(), expected.as<uint8_t>()) ? 0 : INFINITY;
}

}  // namespace

Result<std::vector<program::TestCase>> record_tests(runtime::Executable& program, const data::Dataset& dataset) {
  std::vector<program::TestCase> tests;
  const std::string& method = program.model().methods[0].name;
  for (size_t i = 0; i < dataset.size(); ++i) {
    QUOIN_TRY(data::Sample sample, dataset.sample(i));
    program.reset_states();
    auto outputs = program.run(0, sample.inputs);
    if (!outputs) return std::move(outputs).failure().at("{}", sample.name);
    tests.push_back({fmt::format("sample {}", i), method, std::move(sample.inputs), *std::move(outputs)});
  }
  program.reset_states();
  return tests;
}

Result<std::string> accuracy_report(runtime::Executable& program, const std::string& model,
                                    const data::Dataset& dataset, const recipe::Recipe& recipe, Context& context,
                                    Diagnostics& diagnostics) {
  Diagnostics of_float;  // what the float model falls back to is no news about the program
  QUOIN_TRY(runtime::Executable real, open_model(model, recipe, context, of_float));
  const auto score = evaluate(program, &real, dataset, recipe.eval.metric, nullptr, diagnostics);
  if (!score && score.error().code == Code::data) {
    diagnostics.info(dataset.describe(), "no accuracy is stored in the program: " + score.error().what);
    return std::string();
  }
  if (!score) return fail(score.error());
  std::string text =
      fmt::format(R"({{"metric": "{}", "value": {:.6g}, "samples": {})", score->metric, score->value, score->n);
  if (score->agreement) text += fmt::format(R"(, "agreement": {:.6g})", *score->agreement);
  if (score->sqnr_db) text += fmt::format(R"(, "sqnr_db": {:.4g})", *score->sqnr_db);
  return text + "}";
}

Result<TestResult> run_test(runtime::Executable& program, const program::TestCase& test) {
  const auto method = program.method(test.method);
  if (!method) return fail(Code::program, "the program has no method {}", test.method);
  program.reset_states();
  QUOIN_TRY(const std::vector<Tensor> outputs, program.run(*method, test.inputs));
  TestResult result;
  for (size_t i = 0; i < outputs.size(); ++i) {
    const double error = error_of(outputs[i], test.outputs[i]);
    if (error < result.error || (error == 0 && i != 0)) continue;
    result.error = error;
    result.output = program.outputs(*method)[i].name;
  }
  result.passed = result.error <= kTestTolerance;
  return result;
}

}  // namespace quoin::flow
