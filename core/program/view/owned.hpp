// Parts of a program in the types of core/ops, which own what they hold.
#pragma once

#include "ops/schema.hpp"
#include "program/view/view.hpp"

namespace quoin::program::view {

quoin::QParams owned_qparams(const QParams& from);
TensorType owned_type(const Value& from);  // of the longest run
quoin::Attr owned_attr(const Attr& from);
Attrs owned_attrs(const Node& from);

}  // namespace quoin::program::view
