// The observers behind make_observer(); one line in its table per observer.
#pragma once

#include <optional>

#include "quantize/observer.hpp"
#include "quantize/range.hpp"

namespace quoin::quantize {

std::unique_ptr<Observer> make_minmax(const Spec& spec);
// averaging_constant in (0, 1].
std::unique_ptr<Observer> make_moving_average(const Spec& spec, float averaging_constant);
std::unique_ptr<Observer> make_fixed(const Spec& spec);
// Per tensor. bins in [2, 65536].
std::unique_ptr<Observer> make_histogram(const Spec& spec, size_t bins);

// The array `name` of a saved state. Errors (data): missing, another element type, or not `count` elements (0: any
// number but none).
Result<std::span<const float>> saved_floats(const ObserverState& saved, const std::string& name, size_t count);
// The arrays "min" and "max" as ranges. Errors (data): as above; not finite; min > max.
Result<std::vector<Range>> saved_ranges(const ObserverState& saved, size_t count);
ObserverState ranges_state(std::span<const Range> ranges);

}  // namespace quoin::quantize
