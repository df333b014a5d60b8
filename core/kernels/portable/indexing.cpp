// Elements picked by index tensors. Every result line of `length` elements comes from one place of the source; an
// index outside the source is an error of that run.
#include <array>
#include <utility>

#include "kernels/portable/products.hpp"
#include "kernels/portable/walk.hpp"
#include "ops/shape.hpp"

namespace quoin::kernels {
namespace {

// An index as a position of a dim of `size`; negative ones count from the end.
Result<int64_t> position(int64_t index, int64_t size) {
  if (index < -size || index >= size) return fail(Code::input, "index {} is out of range for a dim of {}", index, size);
  return index < 0 ? index + size : index;
}

size_t bytes_of(const TensorType& type) { return bits(type.dtype) / 8; }

// Index tensor in a slot of the operator.
struct Indices {
  size_t slot = 1;
  DType dtype = DType::s64;
  int64_t size = 1;  // of the dim that it indexes
  Result<int64_t> at(const Run& run, int64_t i) const { return position(integer_at(dtype, run.inputs[slot], i), size); }
};

// embedding: rows of a matrix. index_select: slices of a dim.
struct Lines : Kernel {
  static constexpr uint64_t kAsIs = 2;       // the indices
  int64_t outer = 1, length = 1, count = 0;  // source [outer][indices.size][length]; `count` indices; length in bytes
  Indices indices;

  static bool accepts(const NodeView& view) { return bits(view.out().dtype) >= 8; }
  Status prepare(const NodeView& node) override {
    const Shape& x = node.in_shape();
    QUOIN_TRY(const int64_t dim, wrap_dim(node.has("dim") ? node.get_int("dim") : 0, x.size()));
    for (size_t i = 0; i < x.size(); ++i) {
      const auto at = static_cast<int64_t>(i);
      (at < dim ? outer : at == dim ? indices.size : length) *= x[i];
    }
    length *= static_cast<int64_t>(bytes_of(node.out()));
    count = numel(node.in_shape(1));
    indices.dtype = node.in(1).dtype;
    return {};
  }
  Status run(const Run& run) const override {
    for (int64_t i = 0; i < count; ++i) {
      QUOIN_TRY(const int64_t at, indices.at(run, i));
      for (int64_t o = 0; o < outer && length > 0; ++o)
        std::memcpy(run.out<std::byte>() + (o * count + i) * length,
                    run.in<std::byte>(0) + (o * indices.size + at) * length, static_cast<size_t>(length));
    }
    return {};
  }
};

// embedding of a quantized table: (q - zero point) * scale of the rows that are asked for, and of no others.
struct QuantizedLines : Kernel {
  Centered table;
  Indices indices;
  int64_t count = 0;

  static bool accepts(const NodeView& view) { return small_integers(view.in(0)) && real_f32(view.out()); }
  Status prepare(const NodeView& node) override {
    indices = {1, node.in(1).dtype, node.in_shape(0)[0]};
    count = numel(node.in_shape(1));
    return table.prepare(node.in(0));
  }
  Status run(const Run& run) const override {
    const int64_t length = table.type->shape[1];
    for (int64_t i = 0; i < count; ++i) {
      QUOIN_TRY(const int64_t row, indices.at(run, i));
      table.dequantize(run.inputs[0], row * length, (row + 1) * length, run.out<float>() + i * length);
    }
    return {};
  }
};

// y[i][j][k] = x[index[i][j][k]][j][k] for dim 0, and so on.
struct Gather : Kernel {
  static constexpr uint64_t kAsIs = 2;
  Walk walk;  // index (and result), source with dim held at 0
  int64_t stride = 1;
  size_t bytes = 4;
  Indices indices;

  static bool accepts(const NodeView& view) { return bits(view.out().dtype) >= 8; }
  Status prepare(const NodeView& node) override {
    const Shape& x = node.in_shape();
    QUOIN_TRY(const int64_t dim, wrap_dim(node.get_int("dim"), x.size()));
    Dims strides = Dims::dense(x);
    if (!x.empty()) {
      stride = std::exchange(strides[static_cast<size_t>(dim)], 0);
      indices.size = x[static_cast<size_t>(dim)];
    }
    walk = Walk(node.out_shape(), {Dims::dense(node.out_shape()), strides});
    bytes = bytes_of(node.out());
    indices.dtype = node.in(1).dtype;
    return {};
  }
  Status run(const Run& run) const override {
    const auto size = static_cast<int64_t>(bytes);
    for (int64_t row = 0; row < walk.row_count(); ++row) {
      const auto first = walk.offsets_of(row);
      for (int64_t i = 0; i < walk.row_length(); ++i) {
        const int64_t to = first[0] + i * walk.row_steps()[0], from = first[1] + i * walk.row_steps()[1];
        QUOIN_TRY(const int64_t at, indices.at(run, to));
        std::memcpy(run.out<std::byte>() + to * size, run.in<std::byte>(0) + (from + at * stride) * size, bytes);
      }
    }
    return {};
  }
};

// Advanced indexing (see the inference of aten.index.Tensor): result dims are [before][broadcast indices][after].
struct Index : Kernel {
  static constexpr uint64_t kAsIs = ~uint64_t{1};  // all indices
  struct Axis {
    Indices indices;
    int64_t stride = 0;  // of the source's dim
    Dims steps;          // of the index tensor along `common`
  };
  std::array<Axis, kMaxRank> axes;
  size_t indexed = 0;  // how many of them there are
  Dims common;         // broadcast shape of the indices
  int64_t picks = 1;   // its elements
  Walk before, after;  // source offsets of the dims that are kept
  size_t bytes = 4;

  static bool accepts(const NodeView& view) { return bits(view.out().dtype) >= 8; }
  Status prepare(const NodeView& node) override;
  // Offset in the source of pick p.
  Result<int64_t> picked(const Run& run, int64_t p) const;
  Status run(const Run& run) const override;
};

Status Index::prepare(const NodeView& node) {
  const Shape& x = node.in_shape();
  const Dims strides = Dims::dense(x);
  bytes = bytes_of(node.out());
  Shape shape;
  for (size_t slot = 1; slot < node.inputs.size(); ++slot) {
    if (!node.has_in(slot)) continue;
    QUOIN_TRY(shape, broadcast(shape, node.in_shape(slot)));
    axes[indexed++] = {{slot, node.in(slot).dtype, x[slot - 1]}, strides[slot - 1], {}};
  }
  common = shape;
  picks = numel(shape);
  const size_t lead = indexed == 0 ? 0 : axes[0].indices.slot, last = indexed == 0 ? 0 : axes[indexed - 1].indices.slot;
  const bool neighbours = indexed != 0 && last - lead + 1 == indexed;
  Dims before_shape, before_strides, after_shape, after_strides;
  for (size_t i = 0; i < x.size(); ++i) {
    if (node.has_in(i + 1)) continue;
    const bool leads = neighbours && i + 1 < lead;
    (leads ? before_shape : after_shape).push_back(x[i]);
    (leads ? before_strides : after_strides).push_back(strides[i]);
  }
  for (size_t a = 0; a < indexed; ++a) axes[a].steps = Dims::broadcast(node.in_shape(axes[a].indices.slot), shape);
  before = Walk(before_shape, {before_strides});
  after = Walk(after_shape, {after_strides});
  return {};
}

Result<int64_t> Index::picked(const Run& run, int64_t p) const {
  int64_t from = 0;
  for (size_t a = 0; a < indexed; ++a) {
    int64_t element = 0, rest = p;
    for (size_t d = common.size(); d-- > 0; rest /= common[d]) element += rest % common[d] * axes[a].steps[d];
    QUOIN_TRY(const int64_t at, axes[a].indices.at(run, element));
    from += at * axes[a].stride;
  }
  return from;
}

Status Index::run(const Run& run) const {
  std::byte* to = run.out<std::byte>();
  for (int64_t b = 0; b < before.count(); ++b) {
    for (int64_t p = 0; p < picks; ++p) {
      QUOIN_TRY(const int64_t at, picked(run, p));
      const int64_t from = at + before.offsets_at(b)[0];
      for (int64_t row = 0; row < after.row_count(); ++row) {
        const int64_t first = from + after.offsets_of(row)[0], step = after.row_steps()[0];
        for (int64_t i = 0; i < after.row_length(); ++i, to += bytes)
          std::memcpy(to, run.in<std::byte>(0) + (first + i * step) * static_cast<int64_t>(bytes), bytes);
      }
    }
  }
  return {};
}

constexpr Row kRows[] = {
    integer_row<QuantizedLines>("aten.embedding.default"),
    move_row<Lines>("aten.embedding.default"),
    move_row<Lines>("aten.index_select.default"),
    move_row<Gather>("aten.gather.default"),
    move_row<Index>("aten.index.Tensor"),
};

}  // namespace

Rows indexing_rows() { return kRows; }

}  // namespace quoin::kernels
