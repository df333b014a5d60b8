// Quantizes the layers of one graph, with or without samples.
#pragma once

#include "source/layers.hpp"
#include "source/runner.hpp"

namespace quoin::source {

// What runs through a graph that is quantized with samples: inputs of every sample as the quantized layers before make
// them, and as the float model does; afterwards the same of the outputs. Where nothing differs they share their bytes.
struct Streams {
  std::vector<Sample> quantized, real;
};

struct EngineOptions {
  Decide decide;
  std::function<std::string(const Rule&)> label;  // of a rule, for reports
  std::string mask;                               // see Calibration
  bool outputs = false;       // the outputs are needed: also nodes behind the last layer that is calibrated run
  bool insert_scales = true;  // AWQ may put a multiplication in front of a layer where nothing takes up its scales
};

class Engine {
 public:
  Engine(ir::Graph& graph, const EngineOptions& options, const Resources& resources, Report& report)
      : graph_(graph), options_(options), resources_(resources), report_(report) {}

  // Without samples. Errors: see Quantizer; recipe where a rule needs samples.
  Status run();
  // Node by node over all samples. Errors: also input and data (samples that do not fit or hold NaN), cancelled.
  Status run(Streams& streams);

 private:
  friend class Calibrated;
  Result<std::vector<FoundLayer>> layers();  // with notes about those that are not as their rule says
  ReportLine line_of(const FoundLayer& layer) const;
  Result<std::vector<ir::NodeId>> quantize(const FoundLayer& layer, const Moments* moments, ReportLine& line);

  ir::Graph& graph_;
  const EngineOptions& options_;
  const Resources& resources_;
  Report& report_;
};

}  // namespace quoin::source
