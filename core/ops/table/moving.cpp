// Elements move to other places: permutations, slices, joins, padding, repetition.
#include <algorithm>

#include "base/checked.hpp"
#include "ops/table/build.hpp"

namespace quoin::table {
namespace {

Types infer_permute(Operands operands, const Attrs& attrs) {
  const Shape& x = operands[0]->shape;
  const auto& dims = get_ints(attrs, "dims");
  if (dims.size() != x.size()) return fail(Code::model, "dims {} do not permute {}", to_string(dims), to_string(x));
  std::vector<bool> seen(x.size());
  Shape out;
  for (const int64_t dim : dims) {
    QUOIN_TRY(const int64_t wrapped, wrap_dim(dim, x.size()));
    const auto at = static_cast<size_t>(wrapped);
    if (seen[at]) return fail(Code::model, "dims {} name a dim twice", to_string(dims));
    seen[at] = true;
    out.push_back(x[at]);
  }
  return one(operands[0]->dtype, out);
}

Types infer_transpose(Operands operands, const Attrs& attrs) {
  Shape out = operands[0]->shape;
  QUOIN_TRY(const int64_t a, wrap_dim(get_int(attrs, "dim0"), out.size()));
  QUOIN_TRY(const int64_t b, wrap_dim(get_int(attrs, "dim1"), out.size()));
  if (!out.empty()) std::swap(out[static_cast<size_t>(a)], out[static_cast<size_t>(b)]);
  return one(operands[0]->dtype, out);
}

Types infer_t(Operands operands, const Attrs&) {
  Shape out = operands[0]->shape;
  if (out.size() > 2) return fail(Code::model, "rank must be at most 2, found {}", to_string(out));
  std::reverse(out.begin(), out.end());
  return one(operands[0]->dtype, out);
}

Types expanded(const TensorType& from, const Shape& sizes) {
  const Shape& x = from.shape;
  if (sizes.size() < x.size()) return fail(Code::model, "{} does not expand to {}", to_string(x), to_string(sizes));
  Shape out = sizes;
  const size_t offset = sizes.size() - x.size();
  for (size_t i = 0; i < out.size(); ++i) {
    if (i >= offset && out[i] == -1) out[i] = x[i - offset];
    if (out[i] < 0 || (i >= offset && x[i - offset] != 1 && x[i - offset] != out[i]))
      return fail(Code::model, "{} does not expand to {}", to_string(x), to_string(sizes));
  }
  return one(from.dtype, out);
}

Types infer_repeat(Operands operands, const Attrs& attrs) {
  const auto& repeats = get_ints(attrs, "repeats");
  const Shape& x = operands[0]->shape;
  if (repeats.size() < x.size())
    return fail(Code::model, "repeats {} are fewer than the dims of {}", to_string(repeats), to_string(x));
  Shape out(repeats.size() - x.size(), 1);
  out.insert(out.end(), x.begin(), x.end());
  for (size_t i = 0; i < out.size(); ++i) {
    const auto product = repeats[i] < 0 ? std::nullopt : checked_mul(out[i], repeats[i]);
    if (!product) return fail(Code::model, "repeats {} are not possible", to_string(repeats));
    out[i] = *product;
  }
  return one(operands[0]->dtype, out);
}

// Python slicing: negative positions count from the end, all positions are clipped to the dim.
Types infer_slice(Operands operands, const Attrs& attrs) {
  Shape out = operands[0]->shape;
  if (out.empty()) return fail(Code::model, "a scalar cannot be sliced");
  QUOIN_TRY(const int64_t dim, wrap_dim(get_int(attrs, "dim"), out.size()));
  int64_t& size = out[static_cast<size_t>(dim)];
  const int64_t step = get_int(attrs, "step");
  if (step < 1) return fail(Code::model, "step must be at least 1, found {}", step);
  const auto position = [&](const char* name, int64_t missing) {
    if (!has(attrs, name)) return missing;
    const int64_t value = get_int(attrs, name);
    return std::clamp<int64_t>(value < 0 ? value + size : value, 0, size);
  };
  const int64_t start = position("start", 0), end = std::max(position("end", size), start);
  size = end == start ? 0 : (end - start - 1) / step + 1;
  return one(operands[0]->dtype, out);
}

Types infer_select(Operands operands, const Attrs& attrs) {
  Shape out = operands[0]->shape;
  if (out.empty()) return fail(Code::model, "a scalar has no dim to select from");
  QUOIN_TRY(const int64_t dim, wrap_dim(get_int(attrs, "dim"), out.size()));
  const int64_t size = out[static_cast<size_t>(dim)], index = get_int(attrs, "index");
  if (index < -size || index >= size) return fail(Code::model, "index {} is out of range for dim of {}", index, size);
  out.erase(out.begin() + dim);
  return one(operands[0]->dtype, out);
}

Types infer_cat(Operands operands, const Attrs& attrs) {
  Shape out = operands[0]->shape;
  if (out.empty()) return fail(Code::model, "scalars cannot be joined");
  QUOIN_TRY(const int64_t dim, wrap_dim(get_int(attrs, "dim"), out.size()));
  const auto at = static_cast<size_t>(dim);
  DType dtype = operands[0]->dtype;
  for (size_t i = 1; i < operands.size(); ++i) {
    Shape other = operands[i]->shape;
    if (other.size() != out.size())
      return fail(Code::model, "operand {} has shape {}, expected rank {}", i, to_string(other), out.size());
    const auto sum = checked_add(out[at], other[at]);
    if (!sum) return fail(Code::model, "the joined dim is too large");
    other[at] = out[at];
    if (other != out)
      return fail(Code::model, "operand {} has shape {}, which differs outside dim {}", i,
                  to_string(operands[i]->shape), dim);
    out[at] = *sum;
    dtype = promote(dtype, operands[i]->dtype);
  }
  return one(dtype, out);
}

Types infer_stack(Operands operands, const Attrs& attrs) {
  Shape out = operands[0]->shape;
  DType dtype = operands[0]->dtype;
  for (size_t i = 1; i < operands.size(); ++i) {
    QUOIN_CHECK(expect_shape(operands[i], out, "every operand"));
    dtype = promote(dtype, operands[i]->dtype);
  }
  QUOIN_TRY(const int64_t dim, wrap_dim(get_int(attrs, "dim"), out.size() + 1));
  out.insert(out.begin() + dim, static_cast<int64_t>(operands.size()));
  return one(dtype, out);
}

// `pad` lists (before, after) from the last dim on; negative amounts crop.
Types infer_pad(Operands operands, const Attrs& attrs) {
  Shape out = operands[0]->shape;
  const auto& pad = get_ints(attrs, "pad");
  if (get_text(attrs, "mode") != "constant")
    return fail(Code::unsupported, "mode {} (only constant padding is known)", get_text(attrs, "mode"));
  if (pad.size() % 2 != 0 || pad.size() / 2 > out.size())
    return fail(Code::model, "pad {} does not fit {}: two amounts per dim, last dim first", to_string(pad),
                to_string(out));
  for (size_t i = 0; i < pad.size(); ++i) {
    int64_t& dim = out[out.size() - 1 - i / 2];
    const auto sum = checked_add(dim, pad[i]);
    if (!sum || *sum < 0)
      return fail(Code::model, "pad {} makes a dim of {} impossible", to_string(pad), to_string(operands[0]->shape));
    dim = *sum;
  }
  return one(operands[0]->dtype, out);
}

constexpr Row kRows[] = {
    {"aten.permute.default", "self; dims: int[]", infer_permute, kMoves},
    {"aten.transpose.int", "self; dim0: int, dim1: int", infer_transpose, kMoves},
    {"aten.t.default", "self", infer_t, kMoves},
    {"aten.expand.default", "self; size: int[], implicit: bool = false",
     [](Operands o, const Attrs& a) { return expanded(*o[0], get_ints(a, "size")); }, kMoves},
    {"aten.expand_as.default", "self, other", [](Operands o, const Attrs&) { return expanded(*o[0], o[1]->shape); },
     kMoves},
    {"aten.repeat.default", "self; repeats: int[]", infer_repeat, kMoves},
    {"aten.slice.Tensor", "self; dim: int = 0, start: int?, end: int?, step: int = 1", infer_slice, kMoves},
    {"aten.select.int", "self; dim: int, index: int", infer_select, kMoves},
    {"aten.cat.default", "tensors...; dim: int = 0", infer_cat, kMoves},
    {"aten.stack.default", "tensors...; dim: int = 0", infer_stack, kMoves},
    {"aten.pad.default", "self; pad: int[], mode: str = constant, value: float = 0", infer_pad, kMoves},
};

}  // namespace

Rows moving() { return kRows; }

}  // namespace quoin::table
