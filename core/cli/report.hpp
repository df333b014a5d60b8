// The one-page HTML report of a quantize run: self-contained, no scripts, readable in print.
#pragma once

#include "cli/common.hpp"

namespace quoin::cli {

struct QuantizeSummary {
  std::string model, program, isa;  // program: "" for a dry run
  std::string weights_file;         // "": the weights are in the program
  uint64_t model_bytes = 0, program_bytes = 0, weights_bytes = 0, peak_rss = 0;
  size_t tests = 0;  // that the program carries
  uint32_t threads = 1;
  double seconds = 0;
};

Status write_report(const std::string& path, const QuantizeSummary& summary, const flow::Quantized& result,
                    const std::vector<Note>& notes);

}  // namespace quoin::cli
