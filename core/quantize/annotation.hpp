// What should be quantized and how: a side table over places of a float graph. The graph itself is never touched.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/diagnostics.hpp"
#include "host/backend.hpp"
#include "ir/graph.hpp"
#include "passes/registry.hpp"
#include "recipe/recipe.hpp"

namespace quoin::quantize {

enum class SpecKind { observed, fixed, shared, derived };

// How one tensor is to be quantized; the C++ form of quoin_qspec.
struct Spec {
  SpecKind kind = SpecKind::observed;
  DType dtype = DType::s8;
  Scheme scheme = Scheme::per_tensor;
  int32_t axis = -1;
  uint32_t group = 0;
  std::vector<int64_t> block;  // per_block
  int32_t qmin = -128, qmax = 127;
  bool default_range = false;  // qmin and qmax are the dtype's own because none were asked for
  bool symmetric = false, dynamic = false, pow2_scale = false, implicit_sharing = true;
  std::string observer;  // "": the default of the place (weights: minmax; activations: the recipe's)
  recipe::Params observer_params;
  double eps = 0;                  // smallest scale; 0: 2^-23
  float scale = 0;                 // fixed
  int32_t zero_point = 0;          // fixed
  std::vector<ir::Place> sources;  // shared: one; derived: all
  uint32_t rule = 0;               // derived: QUOIN_RULE_PRODUCT, or the plugin's own
  // Computes derived rules from QUOIN_RULE_PLUGIN on, and may have the observer; null: the host does both.
  std::shared_ptr<host::Backend> backend;
  // The graph quantizes the place already, with these (dynamic: nothing is in them); conversion adds nothing.
  std::shared_ptr<const QParams> existing;
  friend bool operator==(const Spec&, const Spec&) = default;
};

// Range that the dtype can store. Precondition: an integer type of at most 32 bits.
std::pair<int32_t, int32_t> storage_range(DType dtype);

// Why a node is as it is; every node of the graph ends with one.
struct Verdict {
  enum class Kind { quantized, float_by_recipe, float_by_rule, no_rule } kind = Kind::no_rule;
  // Who decided; "model" for what was quantized before it came here; of several quantizers that refused a node, the one
  // whose reason weighs most. float_by_recipe: `rule` is the place of the rule or filter.
  std::string plugin, preset, rule;
  std::string node, op, module;  // of the node as annotated, for reports after the graph has changed
  std::string reason;            // for float kinds "plugin: why", of all quantizers
  // In float, and the recipe asked for something else: a rule's constraint failed, or a rule of the recipe that names
  // the operator or the node gives it a preset.
  bool unintended = false;
};

class Annotations {
 public:
  // Errors (plugin): the place does not exist, is already annotated (by whom), or the spec is not legal there.
  Status set(const ir::Graph& graph, ir::Place place, Spec spec, const std::string& by);
  const Spec* find(ir::Place place) const;
  // Who set the spec of an annotated place: as given to set().
  const std::string& by(ir::Place place) const { return by_.at(place); }
  const std::map<ir::Place, Spec>& all() const { return specs_; }
  std::map<ir::NodeId, Verdict> verdicts;

 private:
  std::map<ir::Place, Spec> specs_;
  std::map<ir::Place, std::string> by_;
};

// The value at an existing place.
inline ir::ValueId value_at(const ir::Graph& graph, ir::Place place) {
  return place.output ? graph.output(place.node, place.slot) : graph.input(place.node, place.slot);
}
// "input 1 of node conv2d_3 (aten.conv2d.default, module stem)"
std::string describe(const ir::Graph& graph, ir::Place place);
// A spec in short words: "s8 -128..127 per tensor, affine, histogram, eps 0.000244".
std::string summary(const ir::Graph& graph, const Spec& spec);

// A quantizer of the recipe with its opened plugin. quantize/quantizer_config.hpp builds one in code.
struct Assignment {
  std::shared_ptr<host::Backend> backend;
  recipe::Quantizer config;
  // Nodes that the quantizer may see, besides include and exclude; empty: all. Asked before and after graph passes.
  passes::NodeFilter filter{};
  // Asks for the specs of quantization-aware training (quoin_quant_request.is_qat); for FakeQuantized.
  bool is_qat = false;
};

// Graph passes that run before those that the quantizers ask for.
struct FirstPasses {
  passes::Registry registry;        // every pass that may be named, here or by a plugin
  std::vector<recipe::Pass> names;  // in order
};

// The graph passes that the plugin's quantizer asks for, without decompositions; none if it has no quantizer. Lowering
// runs them on the whole graph, so that a plugin sees the same operators in float and quantized programs.
// Errors: plugin (unknown pass, nearest given).
Status run_passes(ir::Graph& graph, const host::Backend& backend, const passes::Registry& registry);

// Resolves scopes (docs/quantization.md, "Selecting what is quantized"), then asks each quantizer in order; the first
// one that takes a node or a place keeps it. Runs `first` and the passes the quantizers ask for on `graph` before, on
// nodes only that a quantizer (the one that asks) is configured to quantize. Every node ends with a verdict; where
// quantizers disagree about a place, a warning names both with their specs.
// Errors: recipe (rule or filter that matches nothing, unknown pass, preset or parameter; nearest given), plugin.
Result<Annotations> annotate(ir::Graph& graph, const std::vector<Assignment>& assignments, Diagnostics& diagnostics,
                             const FirstPasses& first = {});

}  // namespace quoin::quantize
