// Shape arithmetic: small integer and bool tensors, evaluated while importing because sizes here are fixed.
#include <algorithm>
#include <functional>
#include <limits>
#include <string_view>
#include <unordered_map>

#include "base/checked.hpp"
#include "import/onnx_ops.hpp"

namespace quoin::import::onnx_format {
namespace {

constexpr int64_t kMaxElements = 1 << 16;

struct Ints {
  Shape shape;
  std::vector<int64_t> values;
  DType dtype = DType::s64;
};
using Operands = std::vector<std::optional<Ints>>;
using Folder = Result<Ints> (*)(const Call&, const Operands&);

Failure misfit(const Call& call) {
  return fail(Code::model, "operands of {} do not fit each other", call.op());
}

Result<const Ints*> need(const Call& call, const Operands& operands, size_t i) {
  if (i >= operands.size() || !operands[i]) return fail(Code::model, "operand {} of {} is missing", i, call.op());
  return &*operands[i];
}

Result<Shape> broadcast(const Call& call, const Shape& a, const Shape& b) {
  Shape out = a.size() >= b.size() ? a : b;
  const Shape& other = a.size() >= b.size() ? b : a;
  for (size_t i = 0; i < other.size(); ++i) {
    int64_t& dim = out[out.size() - 1 - i];
    const int64_t wish = other[other.size() - 1 - i];
    if (dim != wish && dim != 1 && wish != 1) return misfit(call);
    if (dim == 1) dim = wish;
  }
  QUOIN_TRY(const int64_t count, checked_numel(out));
  if (count > kMaxElements) return fail(Code::limit, "{} elements in shape arithmetic", count);
  return out;
}

// Element of `from` that stands at flat position i of the broadcast shape.
size_t source(const Shape& from, const Shape& to, int64_t i) {
  int64_t at = 0, step = 1;
  for (size_t k = 0; k < to.size(); ++k) {
    const size_t axis = to.size() - 1 - k;
    const int64_t index = i % to[axis];
    i /= to[axis];
    if (k >= from.size()) continue;
    const int64_t dim = from[from.size() - 1 - k];
    if (dim != 1) at += index * step;
    step *= dim;
  }
  return static_cast<size_t>(at);
}

std::optional<int64_t> apply(std::string_view op, int64_t a, int64_t b) {
  constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();
  int64_t out = 0;
  if (op == "Add" || op == "Sum") return checked_add(a, b);
  if (op == "Sub") return __builtin_sub_overflow(a, b, &out) ? std::nullopt : std::optional(out);
  if (op == "Mul") return checked_mul(a, b);
  if (op == "Div" || op == "Mod") {
    if (b == 0 || (a == kLeast && b == -1)) return std::nullopt;
    if (op == "Div") return a / b;
    return a % b + ((a % b != 0 && (a < 0) != (b < 0)) ? b : 0);  // Mod follows the divisor's sign
  }
  if (op == "Min") return std::min(a, b);
  if (op == "Max") return std::max(a, b);
  if (op == "Equal") return a == b;
  if (op == "Greater") return a > b;
  if (op == "Less") return a < b;
  if (op == "GreaterOrEqual") return a >= b;
  if (op == "LessOrEqual") return a <= b;
  if (op == "And") return a && b;
  return a || b;  // Or
}

Result<Ints> fold_binary(const Call& call, const Operands& operands) {
  static constexpr std::string_view kPredicates[] = {"Equal",       "Greater", "Less", "GreaterOrEqual",
                                                     "LessOrEqual", "And",     "Or"};
  QUOIN_TRY(const Ints* first, need(call, operands, 0));
  Ints total = *first;
  for (size_t k = 1; k < operands.size(); ++k) {
    QUOIN_TRY(const Ints* next, need(call, operands, k));
    Ints out;
    out.dtype = std::ranges::find(kPredicates, call.op()) != std::end(kPredicates) ? DType::boolean : total.dtype;
    QUOIN_TRY(out.shape, broadcast(call, total.shape, next->shape));
    for (int64_t i = 0, count = numel(out.shape); i < count; ++i) {
      const auto value = apply(call.op(), total.values[source(total.shape, out.shape, i)],
                               next->values[source(next->shape, out.shape, i)]);
      if (!value) return fail(Code::model, "{} of sizes overflows or divides by zero", call.op());
      out.values.push_back(*value);
    }
    total = std::move(out);
  }
  return total;
}

Result<Ints> fold_unary(const Call& call, const Operands& operands) {
  QUOIN_TRY(const Ints* x, need(call, operands, 0));
  Ints out = *x;
  for (int64_t& value : out.values) {
    if (value == std::numeric_limits<int64_t>::min()) return fail(Code::model, "{} of sizes overflows", call.op());
    value = call.op() == "Not" ? !value : call.op() == "Neg" || value < 0 ? -value : value;
  }
  return out;
}

Result<Ints> fold_identity(const Call& call, const Operands& operands) {
  QUOIN_TRY(const Ints* x, need(call, operands, 0));
  return *x;
}

Result<Ints> fold_where(const Call& call, const Operands& operands) {
  QUOIN_TRY(const Ints* condition, need(call, operands, 0));
  QUOIN_TRY(const Ints* yes, need(call, operands, 1));
  QUOIN_TRY(const Ints* no, need(call, operands, 2));
  Ints out;
  out.dtype = yes->dtype;
  QUOIN_TRY(const Shape both, broadcast(call, yes->shape, no->shape));
  QUOIN_TRY(out.shape, broadcast(call, both, condition->shape));
  for (int64_t i = 0, count = numel(out.shape); i < count; ++i) {
    const Ints* from = condition->values[source(condition->shape, out.shape, i)] ? yes : no;
    out.values.push_back(from->values[source(from->shape, out.shape, i)]);
  }
  return out;
}

Result<Ints> fold_cast(const Call& call, const Operands& operands) {
  QUOIN_TRY(const Ints* x, need(call, operands, 0));
  QUOIN_TRY(const int64_t code, call.integer("to"));
  QUOIN_TRY(const DType dtype, element_type(static_cast<int32_t>(std::clamp<int64_t>(code, 0, 1000))));
  Ints out = *x;
  out.dtype = dtype;
  for (int64_t& value : out.values)
    if (dtype == DType::boolean) value = value != 0;
  return out;
}

Result<Ints> fold_gather(const Call& call, const Operands& operands) {
  QUOIN_TRY(const Ints* x, need(call, operands, 0));
  QUOIN_TRY(const Ints* index, need(call, operands, 1));
  QUOIN_TRY(const int64_t axis, call.integer("axis", 0));
  if (x->shape.size() != 1 || (axis != 0 && axis != -1)) return misfit(call);
  Ints out{index->shape, {}, x->dtype};
  for (int64_t at : index->values) {
    if (at < 0) at += x->shape[0];
    if (at < 0 || at >= x->shape[0]) return fail(Code::model, "index {} is outside of {} sizes", at, x->shape[0]);
    out.values.push_back(x->values[static_cast<size_t>(at)]);
  }
  return out;
}

Result<Ints> fold_concat(const Call& call, const Operands& operands) {
  QUOIN_TRY(const Ints* first, need(call, operands, 0));
  Ints out{{0}, {}, first->dtype};
  for (size_t i = 0; i < operands.size(); ++i) {
    QUOIN_TRY(const Ints* part, need(call, operands, i));
    if (part->shape.size() != 1) return misfit(call);
    out.values.insert(out.values.end(), part->values.begin(), part->values.end());
  }
  out.shape[0] = static_cast<int64_t>(out.values.size());
  return out;
}

Result<Ints> fold_slice(const Call& call, const Operands& operands) {
  QUOIN_TRY(const Ints* x, need(call, operands, 0));
  QUOIN_TRY(const Ints* start, need(call, operands, 1));
  QUOIN_TRY(const Ints* end, need(call, operands, 2));
  const int64_t step = operands.size() > 4 && operands[4] && !operands[4]->values.empty() ? operands[4]->values[0] : 1;
  if (x->shape.size() != 1 || start->values.size() != 1 || end->values.size() != 1 || step == 0) return misfit(call);
  const int64_t size = x->shape[0];
  const auto place = [&](int64_t at) {
    return std::clamp<int64_t>(at < 0 ? std::max(at, -size - 1) + size : at, step > 0 ? 0 : -1,
                               step > 0 ? size : size - 1);
  };
  Ints out{{0}, {}, x->dtype};
  const int64_t last = place(end->values[0]);
  for (int64_t at = place(start->values[0]); step > 0 ? at < last : at > last;) {
    out.values.push_back(x->values[static_cast<size_t>(at)]);
    if (__builtin_add_overflow(at, step, &at)) break;
  }
  out.shape[0] = static_cast<int64_t>(out.values.size());
  return out;
}

Result<Ints> fold_squeeze(const Call& call, const Operands& operands) {
  QUOIN_TRY(const Ints* x, need(call, operands, 0));
  if (x->values.size() != 1 || x->shape.size() != 1) return misfit(call);
  return Ints{{}, x->values, x->dtype};
}

Result<Ints> fold_unsqueeze(const Call& call, const Operands& operands) {
  QUOIN_TRY(const Ints* x, need(call, operands, 0));
  if (!x->shape.empty()) return misfit(call);
  return Ints{{1}, x->values, x->dtype};
}

Result<Ints> fold_reduce_prod(const Call& call, const Operands& operands) {
  QUOIN_TRY(const Ints* x, need(call, operands, 0));
  QUOIN_TRY(const int64_t keep, call.integer("keepdims", 1));
  if (x->shape.size() != 1) return misfit(call);
  int64_t product = 1;
  for (const int64_t value : x->values) {
    const auto next = checked_mul(product, value);
    if (!next) return fail(Code::model, "product of sizes overflows");
    product = *next;
  }
  return Ints{keep ? Shape{1} : Shape{}, {product}, x->dtype};
}

Result<Ints> fold_range(const Call& call, const Operands& operands) {
  int64_t bounds[3] = {};
  for (size_t i = 0; i < 3; ++i) {
    QUOIN_TRY(const Ints* bound, need(call, operands, i));
    if (bound->values.size() != 1) return misfit(call);
    bounds[i] = bound->values[0];
  }
  const auto [start, end, step] = bounds;
  Ints out{{0}, {}, operands[0]->dtype};
  if (step == 0) return misfit(call);
  for (int64_t at = start; step > 0 ? at < end : at > end;) {
    if (static_cast<int64_t>(out.values.size()) == kMaxElements)
      return fail(Code::limit, "Range of over {} elements", kMaxElements);
    out.values.push_back(at);
    if (__builtin_add_overflow(at, step, &at)) break;
  }
  out.shape[0] = static_cast<int64_t>(out.values.size());
  return out;
}

Result<Ints> fold_expand(const Call& call, const Operands& operands) {
  QUOIN_TRY(const Ints* x, need(call, operands, 0));
  QUOIN_TRY(const Ints* wish, need(call, operands, 1));
  Ints out{{}, {}, x->dtype};
  QUOIN_TRY(out.shape, broadcast(call, x->shape, wish->values));
  for (int64_t i = 0, count = numel(out.shape); i < count; ++i)
    out.values.push_back(x->values[source(x->shape, out.shape, i)]);
  return out;
}

const std::unordered_map<std::string_view, Folder>& folders() {
  static const std::unordered_map<std::string_view, Folder> rows = {
      {"Add", fold_binary},         {"Sub", fold_binary},          {"Mul", fold_binary},
      {"Div", fold_binary},         {"Mod", fold_binary},          {"Sum", fold_binary},
      {"Min", fold_binary},         {"Max", fold_binary},          {"Equal", fold_binary},
      {"Greater", fold_binary},     {"Less", fold_binary},         {"GreaterOrEqual", fold_binary},
      {"LessOrEqual", fold_binary}, {"And", fold_binary},          {"Or", fold_binary},
      {"Neg", fold_unary},          {"Abs", fold_unary},           {"Not", fold_unary},
      {"Identity", fold_identity},  {"Where", fold_where},         {"Cast", fold_cast},
      {"Gather", fold_gather},      {"Concat", fold_concat},       {"Slice", fold_slice},
      {"Squeeze", fold_squeeze},    {"Unsqueeze", fold_unsqueeze}, {"ReduceProd", fold_reduce_prod},
      {"Range", fold_range},        {"Expand", fold_expand}};
  return rows;
}

bool integral(DType dtype) { return dtype == DType::s64 || dtype == DType::s32 || dtype == DType::boolean; }

// Shape(start, end) and Size of a value: its type is known.
Result<std::optional<Tensor>> fold_shape(const Call& call) {
  QUOIN_TRY(const ValueId x, call.input(0));
  const Shape& shape = call.builder.shape(x);
  if (call.op() == "Size") return integer_tensor({}, {numel(shape)});
  const auto rank = static_cast<int64_t>(shape.size());
  const auto place = [&](int64_t at) { return std::clamp<int64_t>(at < 0 ? std::max(at, -rank) + rank : at, 0, rank); };
  QUOIN_TRY(const int64_t start, call.integer("start", 0));
  QUOIN_TRY(const int64_t end, call.integer("end", rank));
  const Shape part(shape.begin() + place(start), shape.begin() + std::max(place(start), place(end)));
  return integer_tensor({static_cast<int64_t>(part.size())}, part);
}

}  // namespace

Result<std::optional<Tensor>> fold(const Call& call) {
  if (call.op() == "Shape" || call.op() == "Size") return fold_shape(call);
  const auto found = folders().find(call.op());
  if (found == folders().end()) return std::nullopt;
  Operands operands;
  for (const ValueId id : call.inputs()) {
    operands.emplace_back();
    if (id == kNone) continue;
    const Tensor* known = call.builder.known(id);
    if (!known || !integral(known->dtype()) || known->size() > kMaxElements) return std::nullopt;
    operands.back() = Ints{known->shape(), integers(*known), known->dtype()};
  }
  auto result = found->second(call, operands);
  // What is no shape arithmetic after all goes the ordinary way, which reports what is wrong with it.
  if (!result || !integral(result->dtype)) return std::nullopt;
  return integer_tensor(std::move(result->shape), result->values, result->dtype);
}

}  // namespace quoin::import::onnx_format
