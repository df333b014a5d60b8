// linear, matmul, bmm, mm: float and integer.
#include <algorithm>

#include "kernels/portable/products.hpp"
#include "kernels/portable/walk.hpp"

namespace quoin::kernels {
namespace {

constexpr int64_t kRowBlock = 16;    // rows of x that share a row of the weight while it is in the cache
constexpr int64_t kColumnTile = 64;  // columns of a matmul tile
constexpr uint64_t aligned(uint64_t bytes) { return (bytes + 63) & ~uint64_t{63}; }

// -- linear: y[r][o] = sum_k x[r][k] * w[o][k] + b[o]

struct LinearShape {
  int64_t rows = 0, inner = 0, outputs = 0;
  static LinearShape of(const NodeView& view) {
    const Shape& w = view.in_shape(1);
    return {w[0] == 0 ? 0 : numel(view.out_shape()) / w[0], w[1], w[0]};
  }
};

// sink(row, output, sum)
template <class T, class Sink>
void multiply_rows(const quoin_host& host, const LinearShape& s, const T* x, const T* w, const Sink& sink) {
  const int64_t blocks = (s.rows + kRowBlock - 1) / kRowBlock;
  const int64_t columns = (s.outputs + kColumnTile - 1) / kColumnTile;
  parallel(host, blocks * columns, kRowBlock * kColumnTile * s.inner, [&](int64_t begin, int64_t end, uint32_t) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t first_row = task / columns * kRowBlock, first = task % columns * kColumnTile;
      const int64_t last_row = std::min(first_row + kRowBlock, s.rows);
      for (int64_t o = first; o < std::min(first + kColumnTile, s.outputs); ++o)
        for (int64_t r = first_row; r < last_row; ++r) sink(r, o, dot(x + r * s.inner, w + o * s.inner, s.inner));
    }
  });
}

struct FloatLinear : Kernel {
  LinearShape shape;
  Status prepare(const NodeView& node) override {
    shape = LinearShape::of(node);
    return {};
  }
  Status run(const Run& run) const override {
    const float* bias = run.in<float>(2);
    float* y = run.out<float>();
    multiply_rows(run.host, shape, run.in<float>(0), run.in<float>(1), [&](int64_t r, int64_t o, float sum) {
      y[r * shape.outputs + o] = bias == nullptr ? sum : sum + bias[o];
    });
    return {};
  }
};

struct IntegerLinear : Kernel {
  LinearShape shape;
  Centered x, w;
  ProductOutput output;

  static bool accepts(const NodeView& view) { return small_integers(view.in(1)) && ProductOutput::accepts(view, 0); }
  Status prepare(const NodeView& node) override {
    shape = LinearShape::of(node);
    output.prepare(node, shape.outputs);
    QUOIN_CHECK(x.prepare(node.in(0)));
    return w.prepare(node.in(1));
  }
  uint64_t x_bytes() const { return aligned(static_cast<uint64_t>(x.count()) * 4); }
  uint64_t scratch(const quoin_host&) const override {
    return x_bytes() + aligned(static_cast<uint64_t>(w.count()) * 4);
  }
  Status run(const Run& run) const override {
    auto* centered_x = reinterpret_cast<Word*>(run.scratch);
    auto* centered_w = reinterpret_cast<Word*>(run.scratch + x_bytes());
    x.read(run.host, run.inputs[0], centered_x);
    w.read(run.host, run.inputs[1], centered_w);
    multiply_rows(run.host, shape, centered_x, centered_w, [&](int64_t r, int64_t o, Word sum) {
      output.store(sum, o, run.inputs[2], run.out(), r * shape.outputs + o);
    });
    return {};
  }
};

// -- matmul: leading dims broadcast, vectors count as matrices with one row or column

struct MatmulShape {
  int64_t rows = 1, inner = 1, columns = 1;
  Walk batch;  // numbers of the matrices of a and b

  static MatmulShape of(const NodeView& node);
};

MatmulShape MatmulShape::of(const NodeView& node) {
  const std::span<const int64_t> a = node.in_shape(0), b = node.in_shape(1), out = node.out_shape();
  const size_t a_dims = std::min<size_t>(a.size(), 2), b_dims = std::min<size_t>(b.size(), 2);  // of a matrix
  MatmulShape s;
  if (a_dims == 2) s.rows = a[a.size() - 2];
  s.inner = a.back();
  if (b_dims == 2) s.columns = b.back();
  const auto batch = out.first(out.size() + 2 - a_dims - b_dims);
  s.batch = Walk(
      batch, {Dims::broadcast(a.first(a.size() - a_dims), batch), Dims::broadcast(b.first(b.size() - b_dims), batch)});
  return s;
}

// sink(element of the result, sum); elements are widened by `widen` before they are multiplied.
template <class T, class Widen, class Sink>
void multiply(const quoin_host& host, const MatmulShape& s, const T* a, const T* b, const Widen& widen,
              const Sink& sink) {
  const int64_t tiles = (s.columns + kColumnTile - 1) / kColumnTile;
  parallel(host, s.batch.count() * s.rows * tiles, kColumnTile * s.inner, [&](int64_t begin, int64_t end, uint32_t) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t row = task % s.rows, first = task / s.rows % tiles * kColumnTile, matrix = task / s.rows / tiles;
      const int64_t count = std::min(kColumnTile, s.columns - first);
      const auto at_batch = s.batch.offsets_at(matrix);
      const T* left = a + (at_batch[0] * s.rows + row) * s.inner;
      const T* right = b + at_batch[1] * s.inner * s.columns + first;
      decltype(widen(T{})) sums[kColumnTile] = {};
      for (int64_t k = 0; k < s.inner; ++k)
        for (int64_t c = 0; c < count; ++c) sums[c] += widen(left[k]) * widen(right[k * s.columns + c]);
      const int64_t at = (matrix * s.rows + row) * s.columns + first;
      for (int64_t c = 0; c < count; ++c) sink(at + c, sums[c]);
    }
  });
}

struct FloatMatmul : Kernel {
  MatmulShape shape;
  Status prepare(const NodeView& node) override {
    shape = MatmulShape::of(node);
    return {};
  }
  Status run(const Run& run) const override {
    float* y = run.out<float>();
    multiply(
        run.host, shape, run.in<float>(0), run.in<float>(1), [](float x) { return x; },
        [&](int64_t i, float sum) { y[i] = sum; });
    return {};
  }
};

struct IntegerMatmul : Kernel {
  MatmulShape shape;
  Centered a, b;
  ProductOutput output;
  bool wide = false;  // some inputs have sums that do not fit int32

  static bool accepts(const NodeView& view) {
    return ProductOutput::accepts(view, -1) && view.in(1).qparams->scale.size() == 1;
  }
  // The largest |q - zero point|.
  static int64_t reach(const TensorType& type) {
    const int64_t zero = type.qparams->zero_point_at(0);
    return std::max(std::abs(type.qparams->qmin - zero), std::abs(type.qparams->qmax - zero));
  }
  Status prepare(const NodeView& node) override {
    shape = MatmulShape::of(node);
    output.prepare(node, 1);
    QUOIN_CHECK(a.prepare(node.in(0)));
    QUOIN_CHECK(b.prepare(node.in(1)));
    const double most = static_cast<double>(shape.inner) * static_cast<double>(reach(node.in(0)) * reach(node.in(1)));
    wide = most > INT32_MAX;
    return {};
  }
  uint64_t a_bytes() const { return aligned(static_cast<uint64_t>(a.count()) * 4); }
  uint64_t scratch(const quoin_host&) const override {
    return a_bytes() + aligned(static_cast<uint64_t>(b.count()) * 4);
  }
  Status run(const Run& run) const override {
    auto* centered_a = reinterpret_cast<Word*>(run.scratch);
    auto* centered_b = reinterpret_cast<Word*>(run.scratch + a_bytes());
    a.read(run.host, run.inputs[0], centered_a);
    b.read(run.host, run.inputs[1], centered_b);
    if (wide)
      multiply(
          run.host, shape, centered_a, centered_b, [](Word x) { return int64_t{static_cast<int32_t>(x)}; },
          [&](int64_t i, int64_t sum) { output.store(sum, 0, run.out(), i); });
    else
      multiply(
          run.host, shape, centered_a, centered_b, [](Word x) { return x; },
          [&](int64_t i, Word sum) { output.store(sum, 0, nullptr, run.out(), i); });
    return {};
  }
};

constexpr Row kRows[] = {
    integer_row<IntegerLinear>("aten.linear.default"), float_row<FloatLinear>("aten.linear.default"),
    integer_row<IntegerMatmul>("aten.matmul.default"), float_row<FloatMatmul>("aten.matmul.default"),
    integer_row<IntegerMatmul>("aten.bmm.default"),    float_row<FloatMatmul>("aten.bmm.default"),
    integer_row<IntegerMatmul>("aten.mm.default"),     float_row<FloatMatmul>("aten.mm.default"),
};

}  // namespace

Rows matrix_rows() { return kRows; }

}  // namespace quoin::kernels
