// What a calibration has found, apart from the observers that found it: to save, resume, join and reuse it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "quantize/quantize.hpp"

namespace quoin::quantize {

struct SampleRange {  // [begin, end) by index in the dataset
  uint64_t begin = 0, end = 0;
  friend bool operator==(const SampleRange&, const SampleRange&) = default;
};
std::string to_string(const std::vector<SampleRange>& ranges);  // "0:16, 32:40"

struct Calibration {
  std::string model;                       // digest of the graph that was annotated, constants included
  std::string specs;                       // digest of what was to be measured where
  std::string data;                        // digest of the samples and their preprocessing
  std::vector<SampleRange> samples;        // that were seen; sorted, apart from each other
  std::map<size_t, ObserverState> groups;  // by index in Prepared::groups; those that are constants are not saved

  uint64_t sample_count() const;
};

// Calibration::groups of what was seen. Errors (plugin): an observer that cannot be saved.
Result<std::map<size_t, ObserverState>> states(const ir::Graph& graph, const Prepared& prepared);
// Feeds `saved` to the observers, as if they had seen its samples.
// Errors (data): made for another model or other specs; a state that does not fit its observer, or cannot be joined.
Status restore(const ir::Graph& graph, Prepared& prepared, const Calibration& saved);
// The union of both. Errors (data): a sample in both.
Result<std::vector<SampleRange>> join(const std::vector<SampleRange>& a, const std::vector<SampleRange>& b);

// How `saved` differs from a calibration of this model, specs and data: "other data", "another model"; empty: in
// nothing. An empty digest in `wanted` is not compared.
std::string difference(const Calibration& saved, const Calibration& wanted);
// model and specs only: what a saved calibration must match.
Calibration identity(const ir::Graph& graph, const Prepared& prepared);
std::string hex(uint64_t digest);

// A safetensors file: tensors "GROUP.ARRAY", digests and samples in its metadata. Written whole or not at all.
Status save_calibration(const std::string& path, const Calibration& calibration);
// Errors: not_found, io, data (not such a file; damaged).
Result<Calibration> load_calibration(const std::string& path);

// Observes the constants of groups without other values; the rest must have been restored. Errors: data.
Status calibrate_constants(const ir::Graph& graph, Prepared& prepared, const quoin_host& host);
// Errors (data): an observer that saw nothing. Notes: tensors that were zero or constant, channels that are dead.
Status check_calibrated(const ir::Graph& graph, const Prepared& prepared, Diagnostics& diagnostics);

}  // namespace quoin::quantize
