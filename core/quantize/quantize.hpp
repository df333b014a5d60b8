// prepare -> calibrate -> convert -> typed: from an annotated float graph to one whose values carry qparams.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "base/diagnostics.hpp"
#include "data/dataset.hpp"
#include "interpret/interpreter.hpp"
#include "quantize/annotation.hpp"
#include "quantize/observer.hpp"

namespace quoin::quantize {

// Places that share one observer, hence one set of qparams (union-find over shared specs and implicit sharing).
struct Group {
  std::vector<ir::Place> places;
  Spec spec;
  std::unique_ptr<Observer> observer;  // null for fixed, derived and dynamic specs
};

// The observers beside a float graph; the graph stays bit for bit as it was.
struct Prepared {
  std::vector<Group> groups;
  std::map<ir::Place, size_t> group_of;
};

struct ObserverDefaults {
  std::string activation = "histogram";  // for specs that name none
  recipe::Params params;
};

// Builds sharing groups and observers. Errors: recipe, plugin (sharing with a place that has no spec, cycles).
Result<Prepared> prepare(const ir::Graph& graph, const Annotations& annotations, const ObserverDefaults& defaults);

// Runs every sample through the float graph; weights are observed directly. Peak memory does not depend on the number
// of samples. Errors: data (NaN/Inf with sample and node; empty set), cancelled.
Status calibrate(const ir::Graph& graph, Prepared& prepared, const data::Dataset* dataset,
                 const kernels::KernelSet& kernels, const quoin_host& host, Progress* progress,
                 Diagnostics& diagnostics);

struct ConvertOptions {
  bool fold_weights = true;  // constants become integers; else they stay f32 with a quantize node behind them
};

// Form 3: explicit quantized_decomposed nodes. Every annotated reader of a quantized value has a dequantize node of its
// own, the others share one; a quantize node behind a dequantize node is a requantization. What the graph quantizes
// already stays as it is. Each added node stands for (ir::Provenance) the node whose operand or result it converts.
// Scales of weights are raised where integer sums could overflow (quantize/guard.hpp).
Result<ir::Graph> convert(const ir::Graph& graph, const Prepared& prepared, Diagnostics& diagnostics,
                          const ConvertOptions& options = {});

// Form 4: quantize/dequantize folded into values with qparams; quoin.quantize / dequantize / requantize nodes stay
// where float meets integer. A float bias of an integer conv or linear becomes s32 with scale s_input * s_weight.
// Quantize moves above clamps (relu, hardtanh, clamp), so conv + clamp runs in integers.
Result<ir::Graph> to_typed(const ir::Graph& qdq, Diagnostics& diagnostics);

}  // namespace quoin::quantize
