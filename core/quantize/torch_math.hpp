// Orders of binary32 operations that the reference's array library uses; the search below compares such results, so a
// different order of additions could stop it elsewhere.
#pragma once

#include <span>
#include <vector>

namespace quoin::quantize {

// Sum of a contiguous array: 8 lanes, 4 interleaved rows, cascaded in blocks of at least 16 (pairwise-like).
float cascade_sum(std::span<const float> elements);

// `count` evenly spaced numbers from start to end: forward from start in the first half, backward from end in the
// second, in runs of 8 that add multiples of the step to the run's first number.
std::vector<float> linspace(float start, float end, size_t count);

}  // namespace quoin::quantize
