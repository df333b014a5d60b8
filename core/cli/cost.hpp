// What the steps of a run compute and move.
#pragma once

#include "cli/common.hpp"

namespace quoin::cli {

struct Cost {
  uint64_t macs = 0;   // multiply-adds; 0: no products
  uint64_t bytes = 0;  // of operands, weights included, and results; 0: not known
  friend bool operator==(const Cost&, const Cost&) = default;
};

// One per event of a run of the method, in their order. What a delegate reports is looked up in its original by debug
// id; where the program keeps none, only multiply-adds of the longest run are known.
std::vector<Cost> costs_of(const program::Model& model, size_t method, std::span<const Tensor> inputs,
                           const std::vector<runtime::Event>& events);

// Whether the operation, as a plugin or the operator table calls it, converts between float and integer.
bool converts(std::string_view op);

// Effective rates. A multiply-add is two operations.
inline double gops(uint64_t macs, double us) { return us > 0 ? 2e-3 * static_cast<double>(macs) / us : 0; }
inline double gigabytes_per_second(uint64_t bytes, double us) {
  return us > 0 ? 1e-3 * static_cast<double>(bytes) / us : 0;
}
inline double us_of(const runtime::Event& event) { return static_cast<double>(event.end_ns - event.start_ns) / 1e3; }

}  // namespace quoin::cli
