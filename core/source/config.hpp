// How one layer becomes integers: what a rule of source-based quantization says.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "quantize/intx.hpp"
#include "recipe/recipe.hpp"

namespace quoin::source {

using quantize::WeightMapping;

// How scales and codes of a weight are chosen. The first four need no data.
enum class Algorithm {
  min_max,      // the mapping's formula; equals torchao bit for bit
  clip_search,  // the scale, of a range of clippings of min_max, with the least squared error of each group; weighted
                // by the mean square of the input where the layer is calibrated
  hqq,          // scale by least squares (torchao's HQQ_SCALE_ONLY, bit for bit); symmetric
  hqq_affine,   // half-quadratic quantization: scale and zero point by proximal steps from those of min_max; asymmetric
  gptq,         // columns in turn, each error compensated by the columns to come (calibrated)
  awq,          // columns scaled up by the magnitude of their input before rounding (calibrated)
};
bool is_calibrated(Algorithm algorithm);
std::string_view name(Algorithm algorithm);  // as recipes spell it: "min_max"
std::string_view name(WeightMapping mapping);

// What happens to a layer whose rows the group does not divide.
enum class Uneven {
  pad,            // zero columns up to the next multiple
  smaller_group,  // the largest divisor of the row below the group
  leave_float,
  error,
};

// Of GPTQ. The defaults are those measured best in docs/quantization.md.
struct GptqConfig {
  double damping = 0.01;   // added to the diagonal of the Hessian, as a part of its mean
  bool act_order = false;  // columns with large inputs first; the scales are then chosen before, from all columns
  int64_t sweeps = 4;      // passes of coordinate descent over codes and scales afterwards; 0: GPTQ as published
  // How much of the error that quantized layers before this one put into its input the weights correct: 0 none (GPTQ
  // as published), 1 all that linear regression finds.
  double correction = 1.0;
  bool clip = true;  // scales by clip_search; else by min_max
  friend bool operator==(const GptqConfig&, const GptqConfig&) = default;
};

struct LayerConfig {
  enum class Target { linear, embedding };
  Target target = Target::linear;
  bool dynamic_activations = false;  // linear: int8 per token, chosen at run time
  uint32_t bits = 4;                 // 1..8
  int64_t group = 32;                // weights of a row with one scale; 0: the whole row
  WeightMapping mapping = WeightMapping::symmetric;
  DType scale_dtype = DType::f32;  // f32, bf16, f16
  DType precision = DType::f32;    // the weight is rounded to this type first: f32, bf16, f16
  Algorithm algorithm = Algorithm::min_max;
  Uneven uneven = Uneven::pad;
  GptqConfig gptq;
  bool bias_correction = true;  // calibrated layers with a bias: it takes up the mean error of the output
  friend bool operator==(const LayerConfig&, const LayerConfig&) = default;
};

// Whether the configuration makes use of the moments of a layer's inputs if there are samples of them.
inline bool uses_moments(const LayerConfig& config) {
  return is_calibrated(config.algorithm) || config.algorithm == Algorithm::clip_search;
}

// Errors (recipe): bits, group, types or options out of range, an algorithm that does not fit.
Status check(const LayerConfig& config);

// "int8-dynamic-int4-weight", ... : what a rule of a recipe may name as `quantizer`.
std::vector<std::string> quantizer_names();
// The configuration that a rule's quantizer and params stand for. Errors (recipe): unknown name (nearest given),
// unknown parameter, value out of range.
Result<LayerConfig> config_from(const std::string& quantizer, const recipe::Params& params);
// "4 bits, groups of 32, gptq, activations int8 per token"
std::string summary(const LayerConfig& config);

// The group of a row of `columns` weights after the policy for uneven rows.
struct Grouping {
  int64_t group = 0;    // 0: the whole row
  int64_t columns = 0;  // after padding
  std::string reason;   // what the policy did and why; "": the group divides the row
  bool quantized = true;
};
// Errors (input): policy error.
Result<Grouping> grouping(const LayerConfig& config, int64_t columns);

}  // namespace quoin::source
