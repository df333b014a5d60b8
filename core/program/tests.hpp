// Runs that a program carries with it, with the outputs they gave when it was made (segment TEST).
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/file.hpp"
#include "program/model.hpp"

namespace quoin::program {

struct TestCase {
  std::string name;                     // of the sample
  std::string method;                   // states are zero before the run
  std::vector<Tensor> inputs, outputs;  // in the method's order, without states
};

inline constexpr size_t kMaxTestCases = 1u << 16;

// Each case names a method of the model and fits its inputs and outputs. Errors: program, limit.
Status verify_tests(std::span<const TestCase> tests, const Model& model);

std::vector<std::byte> encode_tests(std::span<const TestCase> tests);
// Reads hostile bytes; the tensors are copies. Errors: program, limit.
Result<std::vector<TestCase>> decode_tests(Bytes segment, const Model& model);

}  // namespace quoin::program
