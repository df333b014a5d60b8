// What source-based quantization did to every layer it looked at.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace quoin::source {

struct ReportLine {
  std::string name;  // of the module (weight "encoder.q.weight": "encoder.q"), or of the node where it has none
  std::string node;  // of a graph
  std::string kind;  // "linear" or "embedding"
  bool quantized = false;
  uint32_t bits = 0;
  int64_t group = 0;    // 0: one scale per row
  int64_t padding = 0;  // zero columns added
  bool dynamic_activations = false;
  std::string algorithm;
  std::string rule;         // the rule that decided: its place and selectors
  std::string reason;       // why it is in float, padded, or has another group than the rule says; "": none
  double weight_error = 0;  // |w - q| / |w|, Frobenius norms
  std::optional<double> output_sqnr_db;  // calibrated: float output against quantized output, inputs quantized as well
};

struct Report {
  std::vector<ReportLine> lines;  // in order of execution
  size_t samples = 0;             // that ran through the model
  std::string text() const;       // a table
};

}  // namespace quoin::source
