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
// Per tensor from a histogram of all samples; with more scales for weights only, from their elements.
std::unique_ptr<Observer> make_mse(const Spec& spec);
// Per tensor. percent in (50, 100] of the elements stay inside of the range.
std::unique_ptr<Observer> make_percentile(const Spec& spec, double percent);
// Per tensor.
std::unique_ptr<Observer> make_entropy(const Spec& spec);
// One of the observers of the spec's plugin; null when it has none of that name.
// Errors (recipe): a parameter that the observer does not declare, or out of its range; (plugin): it cannot be made.
Result<std::unique_ptr<Observer>> make_plugin_observer(const Spec& spec);
std::vector<std::string> plugin_observer_names(const Spec& spec);

// The array `name` of a saved state. Errors (data): missing, another element type, or not `count` elements (0: any
// number but none).
Result<std::span<const float>> saved_floats(const ObserverState& saved, const std::string& name, size_t count);
Result<std::span<const int64_t>> saved_integers(const ObserverState& saved, const std::string& name, size_t count);
// The arrays "min" and "max" as ranges. Errors (data): as above; not finite; min > max.
Result<std::vector<Range>> saved_ranges(const ObserverState& saved, size_t count);
ObserverState ranges_state(std::span<const Range> ranges);

}  // namespace quoin::quantize
