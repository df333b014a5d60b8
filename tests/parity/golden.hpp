// One case of the reference quantizer: how it was set up and the graph it made.
#pragma once

#include <map>
#include <string>
#include <variant>
#include <vector>

#include "data/files.hpp"
#include "recipe/recipe.hpp"

namespace quoin::parity {

// Result `output` of node `node`.
struct Ref {
  size_t node = 0;
  size_t output = 0;
  friend auto operator<=>(const Ref&, const Ref&) = default;
};

struct GoldenNode {
  enum class Kind { input, constant, call, output } kind = Kind::call;
  std::string name;
  std::string target;                               // operator or attribute name
  std::vector<std::variant<Ref, double>> operands;  // tensors, and numbers where a tensor could stand
  std::map<std::string, double> literals;           // of quantize, dequantize and choose_qparams, by attribute name
  std::string dtype;                                // of the same, "s8"
  std::optional<Shape> shape;                       // of the result; none: not recorded
  bool is_quantization() const { return target.starts_with("quantized_decomposed."); }
};

struct Golden {
  std::string folder;
  recipe::Quantizer config;       // `reference_compatible` as asked for
  std::vector<GoldenNode> nodes;  // in order; the last one is the output; without no-ops, as our graphs are
  data::TensorMap tensors;

  std::string model() const { return folder + "/model.pt2"; }
  // Tensors "PREFIX.0", "PREFIX.1", ... as long as there are some.
  std::vector<Tensor> numbered(const std::string& prefix) const;
};

// $QUOIN_GOLDENS, else goldens of $QUOIN_SHARED, else of ../shared beside the source folder; xnnpack_quantizer in it.
std::string golden_folder();
bool is_default_folder();  // not given by QUOIN_GOLDENS
std::vector<std::string> golden_names();
Result<Golden> load_golden(const std::string& name, bool reference_compatible);

}  // namespace quoin::parity
