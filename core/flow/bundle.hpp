// Tests that a program carries: recorded when it is made, repeated where it runs.
#pragma once

#include "flow/flow.hpp"
#include "program/tests.hpp"

namespace quoin::flow {

// Every sample of the dataset through the first method. Names hold no file names. Errors: those of the dataset and
// run().
Result<std::vector<program::TestCase>> record_tests(runtime::Executable& program, const data::Dataset& dataset);

// How the program does on these samples, alone and beside the float model, as JSON for the metadata; "" with a note
// where the samples have neither labels nor reference outputs. Errors: those of open_model() and evaluate().
Result<std::string> accuracy_report(runtime::Executable& program, const std::string& model,
                                    const data::Dataset& dataset, const recipe::Recipe& recipe, Context& context,
                                    Diagnostics& diagnostics);

// Of floating-point outputs: the largest difference as a share of the largest magnitude in the output.
inline constexpr double kTestTolerance = 1e-3;

struct TestResult {
  bool passed = false;
  double error = 0;    // as for kTestTolerance; infinite where integers differ
  std::string output;  // that has it
};
// Errors: those of run().
Result<TestResult> run_test(runtime::Executable& program, const program::TestCase& test);

}  // namespace quoin::flow
