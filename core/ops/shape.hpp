// Arithmetic on shapes, dims and element types, shared by inference and kernels. Pure functions.
#pragma once

#include "ops/schema.hpp"

namespace quoin {

// Negative dims count from the end; a scalar counts as having one dim. Errors (model): out of range.
Result<int64_t> wrap_dim(int64_t dim, size_t rank);
// The dims of integer list `name`, wrapped, distinct and ascending; an absent or empty attribute means all dims.
Result<std::vector<int64_t>> reduced_dims(const Attrs& attrs, std::string_view name, size_t rank);
// `shape` without `dims` (ascending), or with 1 in their places.
Shape without_dims(const Shape& shape, std::span<const int64_t> dims, bool keep);
// numpy broadcasting. Errors (model).
Result<Shape> broadcast(const Shape& a, const Shape& b);

// Floating wins over integer wins over bool; within a class the wider type wins (u8 with s8: s16).
DType promote(DType a, DType b);
// Type of an operation between a tensor and a number: integers stay integers when the number is an integer that fits
// s64, else the result is f32.
DType with_number(DType dtype, double value);

}  // namespace quoin
