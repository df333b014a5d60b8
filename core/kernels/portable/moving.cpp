// Operators that move elements: each is a list of strided copies, and a fill for pad.
#include <algorithm>

#include <quoin/numerics.hpp>

#include "kernels/portable/kernel.hpp"
#include "kernels/portable/walk.hpp"
#include "ops/shape.hpp"

namespace quoin::kernels {
namespace {

// Copies elements of operand `slot` along a walk of (result, operand) offsets.
struct Piece {
  size_t slot = 0;
  Walk walk;
};

struct Moves {
  std::vector<Piece> pieces;
  bool fill = false;  // the result is first set to the operator's `value`
};

Shape picked(const Shape& from, const std::vector<int64_t>& dims) {
  Shape out;
  for (const int64_t dim : dims) out.push_back(from[static_cast<size_t>(dim)]);
  return out;
}

// The whole result, read from operand 0 with these strides.
Moves whole(const NodeView& view, Shape in_strides, int64_t first = 0) {
  return {{{0, Walk(view.out_shape(), {strides_of(view.out_shape()), std::move(in_strides)}, {0, first})}}, false};
}

int64_t dim_of(const NodeView& view, const char* name, size_t extra = 0) {
  return *wrap_dim(get_int(view.attrs, name), view.in_shape().size() + extra);  // in range: inference checked it
}

Moves permute(const NodeView& view) {
  const size_t rank = view.in_shape().size();
  std::vector<int64_t> dims;
  for (size_t i = 0; i < rank; ++i) dims.push_back(static_cast<int64_t>(i));
  if (view.schema->name == "aten.t.default") std::reverse(dims.begin(), dims.end());
  if (view.schema->name == "aten.transpose.int" && rank > 0)
    std::swap(dims[static_cast<size_t>(dim_of(view, "dim0"))], dims[static_cast<size_t>(dim_of(view, "dim1"))]);
  if (view.schema->name == "aten.permute.default")
    for (size_t i = 0; i < rank; ++i) dims[i] = *wrap_dim(get_ints(view.attrs, "dims")[i], rank);
  return whole(view, picked(strides_of(view.in_shape()), dims));
}

Moves expand(const NodeView& view) { return whole(view, broadcast_strides(view.in_shape(), view.out_shape())); }

// The result as [repeat, size] pairs of dims.
Moves repeat(const NodeView& view) {
  const Shape &x = view.in_shape(), strides = strides_of(x), out_strides = strides_of(view.out_shape());
  const size_t offset = view.out_shape().size() - x.size();
  Shape shape, to, from;
  for (size_t i = 0; i < view.out_shape().size(); ++i) {
    const int64_t size = i < offset ? 1 : x[i - offset];
    shape.insert(shape.end(), {get_ints(view.attrs, "repeats")[i], size});
    to.insert(to.end(), {out_strides[i] * size, out_strides[i]});
    from.insert(from.end(), {0, i < offset ? 0 : strides[i - offset]});
  }
  return {{{0, Walk(shape, {to, from})}}, false};
}

Moves slice(const NodeView& view) {
  const auto dim = static_cast<size_t>(dim_of(view, "dim"));
  Shape strides = strides_of(view.in_shape());
  const int64_t size = view.in_shape()[dim], given = has(view.attrs, "start") ? get_int(view.attrs, "start") : 0;
  const int64_t start = std::clamp<int64_t>(given < 0 ? given + size : given, 0, size), first = start * strides[dim];
  strides[dim] *= get_int(view.attrs, "step");
  return whole(view, strides, first);
}

Moves select(const NodeView& view) {
  const auto dim = static_cast<size_t>(dim_of(view, "dim"));
  Shape strides = strides_of(view.in_shape());
  const int64_t index = get_int(view.attrs, "index");
  const int64_t first = (index < 0 ? index + view.in_shape()[dim] : index) * strides[dim];
  strides.erase(strides.begin() + static_cast<ptrdiff_t>(dim));
  return whole(view, strides, first);
}

// cat and stack: every operand goes to its own range of one dim of the result.
Moves join(const NodeView& view) {
  const bool stack = view.schema->name == "aten.stack.default";
  const auto dim = static_cast<size_t>(dim_of(view, "dim", stack ? 1 : 0));
  const Shape out_strides = strides_of(view.out_shape());
  Moves out;
  int64_t position = 0;
  for (size_t slot = 0; slot < view.inputs.size(); ++slot) {
    Shape shape = view.in_shape(slot);
    if (stack) shape.insert(shape.begin() + static_cast<ptrdiff_t>(dim), 1);
    out.pieces.push_back({slot, Walk(shape, {out_strides, strides_of(shape)}, {position * out_strides[dim], 0})});
    position += shape[dim];
  }
  return out;
}

// The part of the operand that stays (negative amounts crop), inside a filled result.
Moves pad(const NodeView& view) {
  const auto& amounts = get_ints(view.attrs, "pad");
  const Shape in_strides = strides_of(view.in_shape()), out_strides = strides_of(view.out_shape());
  Shape shape = view.in_shape();
  int64_t from = 0, to = 0;
  for (size_t i = 0; i < amounts.size() / 2; ++i) {
    const size_t dim = shape.size() - 1 - i;
    const int64_t before = amounts[2 * i], after = amounts[2 * i + 1];
    shape[dim] = std::max<int64_t>(shape[dim] + std::min<int64_t>(before, 0) + std::min<int64_t>(after, 0), 0);
    from += std::max<int64_t>(-before, 0) * in_strides[dim];
    to += std::max<int64_t>(before, 0) * out_strides[dim];
  }
  return {{{0, Walk(shape, {out_strides, in_strides}, {to, from})}}, true};
}

// How the operators move. Their first operand moves, and all operands of cat and stack do.
struct Movement {
  const char* op;
  Moves (*moves)(const NodeView&);
};
constexpr Movement kMovements[] = {
    {"aten.permute.default", permute}, {"aten.transpose.int", permute},    {"aten.t.default", permute},
    {"aten.expand.default", expand},   {"aten.repeat.default", repeat},    {"aten.slice.Tensor", slice},
    {"aten.select.int", select},       {"aten.cat.default", join},         {"aten.stack.default", join},
    {"aten.pad.default", pad},         {"aten.expand_as.default", expand},
};

struct Move : KernelBase {
  Moves moves;
  TensorType out;
  std::array<std::byte, 8> fill{};  // one element

  static Result<Move> make(const NodeView& view) {
    const Movement* movement = std::ranges::find(kMovements, view.schema->name, &Movement::op);
    Move made{{}, movement->moves(view), view.out(), {}};
    if (!made.moves.fill) return made;
    const double value = get_number(view.attrs, "value");
    if (const auto& q = made.out.qparams) {
      const int64_t integer =
          numerics::quantize(static_cast<float>(value), 1.0f / q->scale[0], q->zero_point_at(0), q->qmin, q->qmax);
      write_integers({made.out.dtype, 1}, made.fill.data(), 0, 1, &integer);
    } else {
      write_numbers({made.out.dtype, 1}, made.fill.data(), 0, 1, &value);
    }
    return made;
  }

  // T: an unsigned integer as large as the elements.
  template <class T>
  Status apply(const Run& run) const {
    T* y = run.out<T>();
    if (moves.fill) {
      T value;
      std::memcpy(&value, fill.data(), sizeof value);
      std::fill_n(y, numel(out.shape), value);
    }
    for (const Piece& piece : moves.pieces) {
      const T* x = run.in<T>(piece.slot);
      const int64_t length = piece.walk.row_length(), to_step = piece.walk.row_steps()[0],
                    from_step = piece.walk.row_steps()[1];
      piece.walk.rows(run.host, [&](const auto& first) {
        for (int64_t i = 0; i < length; ++i) y[first[0] + i * to_step] = x[first[1] + i * from_step];
      });
    }
    return {};
  }
  Status run(const Run& run) const {
    switch (bits(out.dtype)) {
      case 8:
        return apply<uint8_t>(run);
      case 16:
        return apply<uint16_t>(run);
      case 32:
        return apply<uint32_t>(run);
      default:
        return apply<uint64_t>(run);
    }
  }
};

// The same bytes under another shape; nothing to do where result and operand share memory.
struct Copy : KernelBase {
  size_t bytes = 0;
  static Result<Copy> make(const NodeView& view) {
    return Copy{{}, static_cast<size_t>(byte_size(view.out().dtype, view.out_shape()))};
  }
  Status run(const Run& run) const {
    if (bytes != 0 && run.inputs[0] != run.outputs[0]) std::memmove(run.outputs[0], run.inputs[0], bytes);
    return {};
  }
};

}  // namespace

Rows moving_rows() {
  Rows rows;
  for (const Movement& movement : kMovements) rows.push_back(move_row<Move>(movement.op));
  rows.back() = move_row<Move, 2>("aten.expand_as.default");  // its second operand only lends its shape
  for (const char* op :
       {"aten.view.default", "aten.reshape.default", "aten.flatten.using_ints", "aten.squeeze.dim", "aten.squeeze.dims",
        "aten.unsqueeze.default", "aten.dropout.default", "aten.contiguous.default", "aten.clone.default"})
    rows.push_back(move_row<Copy>(op));
  return rows;
}

}  // namespace quoin::kernels
