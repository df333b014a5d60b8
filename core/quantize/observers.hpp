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

}  // namespace quoin::quantize
