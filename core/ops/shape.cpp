#include "ops/shape.hpp"

#include <algorithm>

namespace quoin {

Result<int64_t> wrap_dim(int64_t dim, size_t rank) {
  const auto limit = static_cast<int64_t>(std::max<size_t>(rank, 1));
  if (dim < -limit || dim >= limit) return fail(Code::model, "dim {} is out of range for rank {}", dim, rank);
  return dim < 0 ? dim + limit : dim;
}

Result<std::vector<int64_t>> reduced_dims(const Attrs& attrs, std::string_view name, size_t rank) {
  std::vector<int64_t> dims;
  if (has(attrs, name)) {
    for (const int64_t dim : get_ints(attrs, name)) {
      QUOIN_TRY(const int64_t wrapped, wrap_dim(dim, rank));
      dims.push_back(wrapped);
    }
    std::sort(dims.begin(), dims.end());
    if (std::adjacent_find(dims.begin(), dims.end()) != dims.end())
      return fail(Code::model, "{} {} names a dim twice", name, to_string(get_ints(attrs, name)));
  }
  if (dims.empty())
    for (size_t i = 0; i < rank; ++i) dims.push_back(static_cast<int64_t>(i));
  return dims;
}

Shape without_dims(const Shape& shape, std::span<const int64_t> dims, bool keep) {
  Shape out;
  for (size_t i = 0; i < shape.size(); ++i) {
    const bool gone = std::find(dims.begin(), dims.end(), static_cast<int64_t>(i)) != dims.end();
    if (!gone)
      out.push_back(shape[i]);
    else if (keep)
      out.push_back(1);
  }
  return out;
}

Result<Shape> broadcast(const Shape& a, const Shape& b) {
  const Shape& longer = a.size() >= b.size() ? a : b;
  const Shape& shorter = a.size() >= b.size() ? b : a;
  Shape out = longer;
  const size_t offset = longer.size() - shorter.size();
  for (size_t i = 0; i < shorter.size(); ++i) {
    int64_t& dim = out[offset + i];
    if (dim == shorter[i] || shorter[i] == 1) continue;
    if (dim != 1) return fail(Code::model, "shapes {} and {} do not broadcast", to_string(a), to_string(b));
    dim = shorter[i];
  }
  return out;
}

DType promote(DType a, DType b) {
  if (a == b) return a;
  if (a == DType::boolean) return b;
  if (b == DType::boolean) return a;
  if (is_floating(a) != is_floating(b)) return is_floating(a) ? a : b;
  if (bits(a) == bits(b)) {  // f16 with bf16, or signed with unsigned: the next wider type holds both
    if (is_floating(a)) return DType::f32;
    return bits(a) < 8 ? DType::s8 : bits(a) == 8 ? DType::s16 : DType::s32;
  }
  return bits(a) > bits(b) ? a : b;
}

DType with_number(DType dtype, double value) {
  if (is_floating(dtype)) return dtype;
  const bool integral =
      value >= -9.2e18 && value <= 9.2e18 && value == static_cast<double>(static_cast<int64_t>(value));
  if (!integral) return DType::f32;
  return dtype == DType::boolean ? DType::s64 : dtype;
}

}  // namespace quoin
