// Element type, shape and quantization parameters of values.
#pragma once

#include "base/fault.hpp"
#include "program/view/view.hpp"

namespace quoin::program::view {

bool same_qparams(const QParams* a, const QParams* b);
bool same_shape(const Value& a, const Value& b);
bool same_type(const Value& a, const Value& b);

// Qparams: count, finite positive scales, ranges inside the storage type. Shape and element type were checked as they
// were read. Errors: program.
bool verify_qparams(const Value& value, Fault& fault);

}  // namespace quoin::program::view
