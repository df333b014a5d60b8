// GPTQ (Frantar et al. 2022) with grouped scales, and what improves its result: a target that makes up for the errors
// of layers before (GPTAQ, Li et al. 2025, here by linear regression) and coordinate descent afterwards.
#pragma once

#include "quantize/intx.hpp"
#include "source/config.hpp"
#include "source/moments.hpp"

namespace quoin::source {

// What one Hessian gives for all layers that read the same input.
struct GptqProblem {
  Matrix hessian;  // [columns, columns], damped; columns that are always 0 have a diagonal of 1
  Matrix drift;    // of the input errors with the input; empty: none to correct
};
// `columns`: after padding. Errors (data): the Hessian cannot be factored.
Result<GptqProblem> gptq_problem(const Moments& moments, const LayerConfig& config, int64_t columns, bool centered);

// Minimizes |W x' - Q x|^2 over the codes and scales of Q, where x' is the float model's input as far as `correction`
// says. `weight`: f32 [rows, columns], finite. Errors (data): a scale that does not fit its type.
Result<quantize::IntxWeight> gptq(const Tensor& weight, const LayerConfig& config, int64_t group,
                                  const GptqProblem& problem, const quoin_host& host);

// The mean squared error of outputs when weights are off by `error` [rows, columns]: trace(error H error^T) / rows.
double output_error(const FloatMatrix& error, const Matrix& hessian);

}  // namespace quoin::source
