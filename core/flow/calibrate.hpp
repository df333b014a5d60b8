// The calibration stage, shared by the flows that quantize.
#pragma once

#include "flow/flow.hpp"

namespace quoin::flow {

quantize::ObserverDefaults observer_defaults(const recipe::Recipe& recipe);

struct CalibrationStage {
  size_t samples = 0;
  std::string from;    // the file it was taken from; "": measured
  std::string data{};  // digest of the samples and their preprocessing; "": none
};
// From quantize.calibrate.state or .cache if the recipe names one that fits, else from the data; keeps the cache.
Result<CalibrationStage> calibrate_by_recipe(const ir::Graph& graph, quantize::Prepared& prepared,
                                             const recipe::Recipe& recipe, Context& context, Progress* progress,
                                             Diagnostics& diagnostics);

}  // namespace quoin::flow
