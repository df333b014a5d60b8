// Elements picked by index tensors. Every result line of `length` elements comes from one place of the source; an
// index outside the source is an error of that run.
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

// embedding: rows of a matrix. index_select: slices of a dim.
struct Lines : KernelBase {
  static constexpr uint64_t kAsIs = 2;                 // the indices
  int64_t outer = 1, size = 0, length = 1, count = 0;  // source [outer][size][length]; `count` indices
  DType index = DType::s64;

  static bool accepts(const NodeView& view) { return bits(view.out().dtype) >= 8; }
  static Result<Lines> make(const NodeView& view) {
    const Shape& x = view.in_shape();
    const int64_t given = has(view.attrs, "dim") ? get_int(view.attrs, "dim") : 0;
    QUOIN_TRY(const int64_t dim, wrap_dim(given, x.size()));
    Lines out;
    for (size_t i = 0; i < x.size(); ++i) {
      const auto at = static_cast<int64_t>(i);
      (at < dim ? out.outer : at == dim ? out.size : out.length) *= at == dim ? 1 : x[i];
    }
    out.size = x[static_cast<size_t>(dim)];
    out.length *= bits(view.out().dtype) / 8;  // bytes from here on
    out.count = numel(view.in_shape(1));
    out.index = view.in(1).dtype;
    return out;
  }
  Status run(const Run& run) const {
    for (int64_t i = 0; i < count; ++i) {
      QUOIN_TRY(const int64_t at, position(integer_at(index, run.inputs[1], i), size));
      for (int64_t o = 0; o < outer && length > 0; ++o)
        std::memcpy(run.out<std::byte>() + (o * count + i) * length, run.in<std::byte>(0) + (o * size + at) * length,
                    static_cast<size_t>(length));
    }
    return {};
  }
};

// embedding of a quantized table: (q - zero point) * scale of the rows that are asked for, and of no others.
struct QuantizedLines : KernelBase {
  Centered table;
  DType index = DType::s64;
  int64_t count = 0;

  static bool accepts(const NodeView& view) { return small_integers(view.in(0)) && real_f32(view.out()); }
  static Result<QuantizedLines> make(const NodeView& view) {
    QUOIN_TRY(Centered table, Centered::of(view.in(0)));
    return QuantizedLines{{}, std::move(table), view.in(1).dtype, numel(view.in_shape(1))};
  }
  Status run(const Run& run) const {
    const int64_t rows = table.type.shape[0], length = table.type.shape[1];
    for (int64_t i = 0; i < count; ++i) {
      QUOIN_TRY(const int64_t row, position(integer_at(index, run.inputs[1], i), rows));
      table.dequantize(run.inputs[0], row * length, (row + 1) * length, run.out<float>() + i * length);
    }
    return {};
  }
};

// y[i][j][k] = x[index[i][j][k]][j][k] for dim 0, and so on.
struct Gather : KernelBase {
  static constexpr uint64_t kAsIs = 2;
  Walk walk;  // index (and result), source with dim held at 0
  int64_t size = 0, stride = 1;
  size_t bytes = 4;
  DType index = DType::s64;

  static bool accepts(const NodeView& view) { return bits(view.out().dtype) >= 8; }
  static Result<Gather> make(const NodeView& view) {
    const Shape& x = view.in_shape();
    QUOIN_TRY(const int64_t dim, wrap_dim(get_int(view.attrs, "dim"), x.size()));
    Shape strides = strides_of(x);
    Gather out;
    if (!x.empty()) {
      out.stride = strides[static_cast<size_t>(dim)];
      strides[static_cast<size_t>(dim)] = 0;
    }
    out.size = x.empty() ? 1 : x[static_cast<size_t>(dim)];
    out.walk = Walk(view.out_shape(), {strides_of(view.out_shape()), strides});
    out.bytes = bits(view.out().dtype) / 8;
    out.index = view.in(1).dtype;
    return out;
  }
  Status run(const Run& run) const {
    const auto element_bytes = static_cast<int64_t>(bytes);
    for (int64_t row = 0; row < walk.row_count(); ++row) {
      const auto first = walk.offsets_of(row);
      for (int64_t i = 0; i < walk.row_length(); ++i) {
        const int64_t to = first[0] + i * walk.row_steps()[0], from = first[1] + i * walk.row_steps()[1];
        QUOIN_TRY(const int64_t at, position(integer_at(index, run.inputs[1], to), size));
        std::memcpy(run.out<std::byte>() + to * element_bytes,
                    run.in<std::byte>(0) + (from + at * stride) * element_bytes, bytes);
      }
    }
    return {};
  }
};

// Advanced indexing (see the inference of aten.index.Tensor): result dims are [before][broadcast indices][after].
struct Index : KernelBase {
  static constexpr uint64_t kAsIs = ~uint64_t{1};  // all indices
  struct Axis {
    size_t slot;  // operand with the indices
    DType dtype;
    int64_t size, stride;  // of the source's dim
  };
  std::vector<Axis> axes;
  std::vector<Walk> indices;  // per axis: element of the index tensor for each of `picks`
  Walk before, after;         // source offsets of the dims that are kept
  int64_t befores = 1, picks = 1, afters = 1;
  size_t bytes = 4;

  static bool accepts(const NodeView& view) { return bits(view.out().dtype) >= 8; }
  static Result<Index> make(const NodeView& view);
  Status run(const Run& run) const;
};

int64_t offset_at(const Walk& walk, int64_t i) {
  return walk.offsets_of(i / walk.row_length())[0] + i % walk.row_length() * walk.row_steps()[0];
}

Result<Index> Index::make(const NodeView& view) {
  const Shape &x = view.in_shape(), strides = strides_of(x);
  Index out;
  out.bytes = bits(view.out().dtype) / 8;
  Shape common;
  for (size_t slot = 1; slot < view.inputs.size(); ++slot) {
    if (!view.has_in(slot)) continue;
    QUOIN_TRY(common, broadcast(common, view.in_shape(slot)));
    out.axes.push_back({slot, view.in(slot).dtype, x[slot - 1], strides[slot - 1]});
  }
  const bool neighbours = !out.axes.empty() && out.axes.back().slot - out.axes.front().slot + 1 == out.axes.size();
  Shape before, before_strides, after, after_strides;
  for (size_t i = 0; i < x.size(); ++i) {
    if (view.has_in(i + 1)) continue;
    const bool leads = neighbours && i + 1 < out.axes.front().slot;
    (leads ? before : after).push_back(x[i]);
    (leads ? before_strides : after_strides).push_back(strides[i]);
  }
  for (const Axis& axis : out.axes)
    out.indices.push_back(Walk(common, {broadcast_strides(view.in_shape(axis.slot), common)}));
  out.before = Walk(before, {before_strides});
  out.after = Walk(after, {after_strides});
  out.befores = numel(before);
  out.picks = numel(common);
  out.afters = numel(after);
  return out;
}

Status Index::run(const Run& run) const {
  std::byte* to = run.out<std::byte>();
  for (int64_t b = 0; b < befores; ++b) {
    for (int64_t p = 0; p < picks; ++p) {
      int64_t from = offset_at(before, b);
      for (size_t a = 0; a < axes.size(); ++a) {
        const int64_t index = integer_at(axes[a].dtype, run.inputs[axes[a].slot], offset_at(indices[a], p));
        QUOIN_TRY(const int64_t at, position(index, axes[a].size));
        from += at * axes[a].stride;
      }
      for (int64_t i = 0; i < afters; ++i, to += bytes)
        std::memcpy(to, run.in<std::byte>(0) + (from + offset_at(after, i)) * static_cast<int64_t>(bytes), bytes);
    }
  }
  return {};
}

}  // namespace

Rows indexing_rows() {
  return {
      integer_row<QuantizedLines>("aten.embedding.default"),
      move_row<Lines>("aten.embedding.default"),
      move_row<Lines>("aten.index_select.default"),
      move_row<Gather>("aten.gather.default"),
      move_row<Index>("aten.index.Tensor"),
  };
}

}  // namespace quoin::kernels
