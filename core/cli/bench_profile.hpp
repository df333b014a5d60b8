// Where the time of one run goes, by operation, and why one program is faster than another.
#pragma once

#include "cli/cost.hpp"

namespace quoin::cli {

enum class Work {
  conversion,  // between float and integer
  products,    // convolutions, linear, matrix products
  portable,    // operators that no plugin took, on portable kernels
  other,
};

struct OpShare {
  std::string op, where;  // as the plugin or the kernel calls it
  Work work = Work::other;
  size_t count = 0;  // in one run
  double us = 0;     // of all of them
  uint64_t macs = 0, bytes = 0;
  size_t unknown = 0;  // steps whose bytes are not known
  double gops() const { return cli::gops(macs, us); }
  double gigabytes_per_second() const { return unknown == 0 ? cli::gigabytes_per_second(bytes, us) : 0; }
};

struct RunProfile {
  double total_us = 0;       // of the run, the runtime's own work included
  std::vector<OpShare> ops;  // longest first
  std::vector<runtime::Event> events;
  std::vector<Cost> costs;      // of each event
  std::vector<size_t> longest;  // events but calls of delegates, longest first
  double us_of(Work work) const;
  double share_of(Work work) const { return total_us > 0 ? us_of(work) / total_us : 0; }
};

// The fastest of a few runs. Errors: those of run().
Result<RunProfile> profile_run(runtime::Executable& executable, size_t method, const std::vector<Tensor>& inputs);
Json profile_json(const RunProfile& profile);
std::string profile_text(const RunProfile& profile);  // a table by operation, one of the longest steps

// What the verdict is about.
struct Rival {
  std::string name;
  bool quantized = false;
  double ms_min = 0, ms_median = 0;
  const RunProfile* profile = nullptr;
};
bool is_quantized(const program::Model& model);
// "effnet.quoin (quantized) is faster than effnet.onnx (float): 2.98x (minimum), 3.02x (median)". Of a quantized
// program that loses, `cause` says in which kind of work, and what to do; else it is empty.
struct Verdict {
  std::string text, cause;
};
Verdict judge(const Rival& a, const Rival& b, const std::string& isa);

}  // namespace quoin::cli
