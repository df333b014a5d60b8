// Source-based quantization: linear layers and embeddings of a module tree, or of any imported graph, get weights of
// few bits, and linear layers activations that are quantized per token at run time. The rest stays in float.
//
//   source::Int8DynActInt4WeightQuantizer quantizer({.precision = DType::f32, .group_size = 32});
//   QUOIN_TRY(source::Report report, quantizer.quantize(model.root(), {host, diagnostics}));
//
// The classes below differ in their defaults only; rules() mixes them. Layers that stay in float against a rule are
// warnings in Diagnostics; padding and smaller groups are notes. Not thread safe.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "base/diagnostics.hpp"
#include "interpret/interpreter.hpp"
#include "nn/language_model.hpp"
#include "source/report.hpp"
#include "source/rules.hpp"

namespace quoin::source {

// The inputs of one run of a graph, in graph order; of a language model one tensor of token ids, s64 [T].
using Sample = std::vector<Tensor>;

struct Resources {
  const quoin_host& host;
  Diagnostics& diagnostics;
  const kernels::KernelSet* kernels = nullptr;  // runs the model where samples are given
  Progress* progress = nullptr;
  // Takes the packed codes of a weight and returns the same bytes kept elsewhere (on disk); empty: they stay in memory.
  std::function<Result<Tensor>(Tensor)> keep{};
};

struct Calibration {
  std::span<const Sample> samples;
  std::string mask{};  // graphs: name of the input that is 0 for tokens that count nothing; "": all count
};

class Quantizer {
 public:
  explicit Quantizer(std::vector<Rule> rules) : rules_(std::move(rules)) {}
  const std::vector<Rule>& rules() const { return rules_; }
  // Adds a rule about a module and what is inside; a name, a glob or "re:" and a regular expression.
  Quantizer& set_module(const std::string& module, std::optional<LayerConfig> config);

  // Without data: one parameter at a time is read, quantized, packed and let go. Errors: recipe (rules; an algorithm
  // that needs calibration), data (NaN weights), input, those of loading.
  Result<Report> quantize(nn::Module& root, const Resources& resources) const;
  // Layer by layer over all samples, which must have equal lengths: memory for one layer and two hidden states per
  // sample. What no rule calibrates is quantized as above.
  Result<Report> quantize(nn::LanguageModel& model, const Calibration& calibration, const Resources& resources) const;
  // Rewrites the graph: aten.linear -> quoin.linear_dynamic, or aten.linear and aten.embedding with packed weights.
  // Weights must be f32 constants. `calibration` may be empty when no rule needs it.
  Result<Report> quantize(ir::Graph& graph, const Calibration& calibration, const Resources& resources) const;

 private:
  std::vector<Rule> rules_;
};

struct Int8DynActInt4WeightOptions {
  DType precision = DType::f32;
  int64_t group_size = 32;
  Uneven padding = Uneven::pad;
  DType scales_precision = DType::f32;
  WeightMapping mapping = WeightMapping::symmetric;
  Algorithm algorithm = Algorithm::min_max;
};
class Int8DynActInt4WeightQuantizer : public Quantizer {
 public:
  explicit Int8DynActInt4WeightQuantizer(const Int8DynActInt4WeightOptions& options = {});
};

struct Int8DynActInt8WeightOptions {
  DType precision = DType::f32;
  int64_t group_size = 0;  // 0: one scale per output
  Uneven padding = Uneven::pad;
  DType scales_precision = DType::f32;
  WeightMapping mapping = WeightMapping::symmetric;
  Algorithm algorithm = Algorithm::min_max;
};
class Int8DynActInt8WeightQuantizer : public Quantizer {
 public:
  explicit Int8DynActInt8WeightQuantizer(const Int8DynActInt8WeightOptions& options = {});
};

struct IntxWeightOnlyOptions {
  uint32_t bits = 8;
  DType precision = DType::f32;
  int64_t group_size = 0;
  Uneven padding = Uneven::pad;
  DType scales_precision = DType::f32;
  WeightMapping mapping = WeightMapping::symmetric;
  Algorithm algorithm = Algorithm::min_max;
};
class IntxWeightOnlyQuantizer : public Quantizer {
 public:
  explicit IntxWeightOnlyQuantizer(const IntxWeightOnlyOptions& options = {});
};

struct EmbeddingOptions {
  uint32_t bits = 8;  // 2, 4 or 8
  DType precision = DType::f32;
  int64_t group_size = 32;
  Uneven padding = Uneven::pad;
  DType scales_precision = DType::f32;
  WeightMapping mapping = WeightMapping::symmetric;
  Algorithm algorithm = Algorithm::min_max;
};
class EmbeddingQuantizer : public Quantizer {
 public:
  explicit EmbeddingQuantizer(const EmbeddingOptions& options = {});
};

}  // namespace quoin::source
