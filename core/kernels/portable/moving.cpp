// Operators that move elements: strided copies, and a fill for pad.
#include <algorithm>
#include <array>
#include <numeric>

#include <quoin/numerics.hpp>

#include "kernels/portable/kernel.hpp"
#include "kernels/portable/walk.hpp"
#include "ops/shape.hpp"

namespace quoin::kernels {
namespace {

// The whole result, read from operand 0 with these strides.
Walk whole(const NodeView& node, const Dims& in_strides, int64_t first = 0) {
  return Walk(node.out_shape(), {Dims::dense(node.out_shape()), in_strides}, {0, first});
}

size_t dim_of(const NodeView& node, const char* name, size_t extra = 0) {
  // In range: inference checked it.
  return static_cast<size_t>(*wrap_dim(node.get_int(name), node.in_shape().size() + extra));
}

Walk permute(const NodeView& node) {
  const size_t rank = node.in_shape().size();
  const Dims strides = Dims::dense(node.in_shape());
  std::array<size_t, kMaxRank> dims;
  std::iota(dims.begin(), dims.end(), 0);
  if (node.is("aten.t.default")) std::reverse(dims.begin(), dims.begin() + static_cast<ptrdiff_t>(rank));
  if (node.is("aten.transpose.int") && rank > 0) std::swap(dims[dim_of(node, "dim0")], dims[dim_of(node, "dim1")]);
  if (node.is("aten.permute.default"))
    for (size_t i = 0; i < rank; ++i) dims[i] = static_cast<size_t>(*wrap_dim(node.get_ints("dims")[i], rank));
  Dims picked;
  for (size_t i = 0; i < rank; ++i) picked.push_back(strides[dims[i]]);
  return whole(node, picked);
}

Walk expand(const NodeView& node) { return whole(node, Dims::broadcast(node.in_shape(), node.out_shape())); }

// The result as [repeat, size] pairs of dims.
Walk repeat(const NodeView& node) {
  const Shape& x = node.in_shape();
  const Dims strides = Dims::dense(x), out_strides = Dims::dense(node.out_shape());
  const size_t offset = node.out_shape().size() - x.size();
  Dims shape, to, from;
  for (size_t i = 0; i < node.out_shape().size(); ++i) {
    const bool added = i < offset;
    const int64_t size = added ? 1 : x[i - offset];
    shape.push_back(node.get_ints("repeats")[i]);
    to.push_back(out_strides[i] * size);
    from.push_back(0);
    shape.push_back(size);
    to.push_back(out_strides[i]);
    from.push_back(added ? 0 : strides[i - offset]);
  }
  return Walk(shape, {to, from});
}

Walk slice(const NodeView& node) {
  const size_t dim = dim_of(node, "dim");
  Dims strides = Dims::dense(node.in_shape());
  const int64_t size = node.in_shape()[dim], given = node.has("start") ? node.get_int("start") : 0;
  const int64_t start = std::clamp<int64_t>(given < 0 ? given + size : given, 0, size), first = start * strides[dim];
  strides[dim] *= node.get_int("step");
  return whole(node, strides, first);
}

Walk select(const NodeView& node) {
  const size_t dim = dim_of(node, "dim");
  Dims strides = Dims::dense(node.in_shape());
  const int64_t index = node.get_int("index");
  const int64_t first = (index < 0 ? index + node.in_shape()[dim] : index) * strides[dim];
  strides.erase(dim);
  return whole(node, strides, first);
}

// The part of the operand that stays (negative amounts crop), inside a filled result.
Walk pad(const NodeView& node) {
  const auto& amounts = node.get_ints("pad");
  const Dims in_strides = Dims::dense(node.in_shape()), out_strides = Dims::dense(node.out_shape());
  Dims shape = node.in_shape();
  int64_t from = 0, to = 0;
  for (size_t i = 0; i < amounts.size() / 2; ++i) {
    const size_t dim = shape.size() - 1 - i;
    const int64_t before = amounts[2 * i], after = amounts[2 * i + 1];
    shape[dim] = std::max<int64_t>(shape[dim] + std::min<int64_t>(before, 0) + std::min<int64_t>(after, 0), 0);
    from += std::max<int64_t>(-before, 0) * in_strides[dim];
    to += std::max<int64_t>(before, 0) * out_strides[dim];
  }
  return Walk(shape, {out_strides, in_strides}, {to, from});
}

// How the operators move their first operand.
struct Movement {
  const char* op;
  Walk (*walk)(const NodeView&);
};
constexpr Movement kMovements[] = {
    {"aten.permute.default", permute}, {"aten.transpose.int", permute}, {"aten.t.default", permute},
    {"aten.expand.default", expand},   {"aten.repeat.default", repeat}, {"aten.slice.Tensor", slice},
    {"aten.select.int", select},       {"aten.pad.default", pad},       {"aten.expand_as.default", expand},
};

// T: an unsigned integer as large as the elements.
template <class T>
void fill(void* to, int64_t count, const std::byte* element) {
  T value;
  std::memcpy(&value, element, sizeof value);
  std::fill_n(static_cast<T*>(to), count, value);
}
template <class T>
void copy(std::byte* to, int64_t to_step, const std::byte* from, int64_t from_step, int64_t count) {
  auto* y = reinterpret_cast<T*>(to);
  const auto* x = reinterpret_cast<const T*>(from);
  for (int64_t i = 0; i < count; ++i) y[i * to_step] = x[i * from_step];
}
struct Element {
  int64_t size;  // bytes
  void (*fill)(void*, int64_t, const std::byte*);
  void (*copy)(std::byte*, int64_t, const std::byte*, int64_t, int64_t);
};
template <class T>
constexpr Element kElement{sizeof(T), fill<T>, copy<T>};

const Element& element_of(DType dtype) {
  switch (bits(dtype)) {
    case 8:
      return kElement<uint8_t>;
    case 16:
      return kElement<uint16_t>;
    case 32:
      return kElement<uint32_t>;
    default:
      return kElement<uint64_t>;
  }
}

struct Move : Kernel {
  Walk walk;  // result, operand
  const Element* element = nullptr;
  int64_t filled = 0;                // elements of the result that are first set to the operator's `value`
  std::array<std::byte, 8> value{};  // one element

  Status prepare(const NodeView& node) override {
    walk = std::ranges::find(kMovements, node.schema->name, &Movement::op)->walk(node);
    const TensorType& out = node.out();
    element = &element_of(out.dtype);
    if (!node.has("value")) return {};
    filled = numel(out.shape);
    const double number = node.get_number("value");
    if (const auto& q = out.qparams) {
      const int64_t integer =
          numerics::quantize(static_cast<float>(number), 1.0f / q->scale[0], q->zero_point_at(0), q->qmin, q->qmax);
      write_integers({out.dtype, 1}, value.data(), 0, 1, &integer);
    } else {
      write_numbers({out.dtype, 1}, value.data(), 0, 1, &number);
    }
    return {};
  }
  Status run(const Run& run) const override {
    if (filled > 0) element->fill(run.out(), filled, value.data());
    const auto& steps = walk.row_steps();
    walk.rows(run.host, [&](const Walk::Offsets& first) {
      element->copy(run.out<std::byte>() + first[0] * element->size, steps[0],
                    run.in<std::byte>(0) + first[1] * element->size, steps[1], walk.row_length());
    });
    return {};
  }
};

// cat and stack: every operand goes to its own range of one dim of the result. Of each operand, as of the result, a
// line is what has the same place in the dims before.
struct Join : Kernel {
  const NodeView* node = nullptr;
  int64_t lines = 1, line = 0, element = 0;  // bytes: of a line of the result, of an element

  Status prepare(const NodeView& view) override {
    node = &view;
    const Shape& out = view.out_shape();
    const size_t dim = dim_of(view, "dim", view.is("aten.stack.default") ? 1 : 0);
    for (size_t i = 0; i < dim; ++i) lines *= out[i];
    element = bits(view.out().dtype) / 8;
    if (lines > 0) line = numel(out) / lines * element;
    return {};
  }
  Status run(const Run& run) const override {
    auto* to = run.out<std::byte>();
    for (size_t slot = 0; slot < node->inputs.size() && line > 0; ++slot) {
      const int64_t part = numel(node->in_shape(slot)) / lines * element;
      const auto* from = run.in<std::byte>(slot);
      parallel(run.host, lines, part, [&](int64_t begin, int64_t end, uint32_t) {
        for (int64_t i = begin; i < end && part > 0; ++i)
          std::memcpy(to + i * line, from + i * part, static_cast<size_t>(part));
      });
      to += part;
    }
    return {};
  }
};

// The same bytes under another shape; nothing to do where result and operand share memory.
struct Copy : Kernel {
  size_t bytes = 0;
  Status prepare(const NodeView& node) override {
    bytes = static_cast<size_t>(byte_size(node.out().dtype, node.out_shape()));
    return {};
  }
  Status run(const Run& run) const override {
    if (bytes != 0 && run.inputs[0] != run.outputs[0]) std::memmove(run.outputs[0], run.inputs[0], bytes);
    return {};
  }
};

constexpr Row kRows[] = {
    move_row<Move>("aten.permute.default"),
    move_row<Move>("aten.transpose.int"),
    move_row<Move>("aten.t.default"),
    move_row<Move>("aten.expand.default"),
    move_row<Move, 2>("aten.expand_as.default"),  // its second operand only lends its shape
    move_row<Move>("aten.repeat.default"),
    move_row<Move>("aten.slice.Tensor"),
    move_row<Move>("aten.select.int"),
    move_row<Move>("aten.pad.default"),
    move_row<Join>("aten.cat.default"),
    move_row<Join>("aten.stack.default"),
    move_row<Copy>("aten.view.default"),
    move_row<Copy>("aten.reshape.default"),
    move_row<Copy>("aten.flatten.using_ints"),
    move_row<Copy>("aten.squeeze.dim"),
    move_row<Copy>("aten.squeeze.dims"),
    move_row<Copy>("aten.unsqueeze.default"),
    move_row<Copy>("aten.dropout.default"),
    move_row<Copy>("aten.contiguous.default"),
    move_row<Copy>("aten.clone.default"),
};

}  // namespace

Rows moving_rows() { return kRows; }

}  // namespace quoin::kernels
