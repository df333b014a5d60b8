// Traces of runs for chrome://tracing and ui.perfetto.dev (docs/profiling.md).
#pragma once

#include "cli/cost.hpp"

namespace quoin::cli {

// One run of one program: a process of the trace.
struct TracedRun {
  std::string name;
  const std::vector<runtime::Event>& events;
  const std::vector<Cost>& costs;  // of each event
};

void add_trace_option(po::options_description& options);  // --trace
// Whole or not at all. Errors: io.
Status write_trace(const std::string& path, std::span<const TracedRun> runs, const quoin_host& host);

}  // namespace quoin::cli
