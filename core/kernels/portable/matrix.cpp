// linear, matmul, bmm, mm: float and integer.
#include <algorithm>

#include "kernels/portable/products.hpp"
#include "ops/shape.hpp"

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

struct FloatLinear : KernelBase {
  LinearShape shape;
  static Result<FloatLinear> make(const NodeView& view) { return FloatLinear{{}, LinearShape::of(view)}; }
  Status run(const Run& run) const {
    const float* bias = run.in<float>(2);
    float* y = run.out<float>();
    multiply_rows(run.host, shape, run.in<float>(0), run.in<float>(1), [&](int64_t r, int64_t o, float sum) {
      y[r * shape.outputs + o] = bias == nullptr ? sum : sum + bias[o];
    });
    return {};
  }
};

struct IntegerLinear : KernelBase {
  LinearShape shape;
  Centered x, w;
  ProductOutput output;

  static bool accepts(const NodeView& view) { return small_integers(view.in(1)) && ProductOutput::accepts(view, 0); }
  static Result<IntegerLinear> make(const NodeView& view) {
    const LinearShape shape = LinearShape::of(view);
    QUOIN_TRY(Centered x, Centered::of(view.in(0)));
    QUOIN_TRY(Centered w, Centered::of(view.in(1)));
    QUOIN_TRY(ProductOutput output, ProductOutput::make(view, shape.outputs));
    return IntegerLinear{{}, shape, std::move(x), std::move(w), std::move(output)};
  }
  uint64_t x_bytes() const { return aligned(static_cast<uint64_t>(x.count()) * 4); }
  uint64_t scratch(const quoin_host&) const { return x_bytes() + aligned(static_cast<uint64_t>(w.count()) * 4); }
  Status run(const Run& run) const {
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
  std::vector<int64_t> a_first, b_first;  // first element of each matrix of the batch
  static Result<MatmulShape> of(const NodeView& view);
};

// Matrix numbers of `batch` (right-aligned, size-1 dims repeat) along the broadcast batch `out`.
std::vector<int64_t> matrix_numbers(const Shape& batch, const Shape& out) {
  std::vector<int64_t> numbers;
  const size_t offset = out.size() - batch.size();
  const Shape strides = strides_of(batch);
  for (int64_t i = 0; i < numel(out); ++i) {
    int64_t rest = i, number = 0;
    for (size_t d = out.size(); d-- > 0;) {
      const int64_t at = rest % out[d];
      rest /= out[d];
      if (d >= offset && batch[d - offset] != 1) number += at * strides[d - offset];
    }
    numbers.push_back(number);
  }
  return numbers;
}

Result<MatmulShape> MatmulShape::of(const NodeView& view) {
  Shape a = view.in_shape(0), b = view.in_shape(1);
  if (a.size() == 1) a.insert(a.begin(), 1);
  if (b.size() == 1) b.push_back(1);
  MatmulShape s;
  s.rows = a[a.size() - 2];
  s.inner = a.back();
  s.columns = b.back();
  a.resize(a.size() - 2);
  b.resize(b.size() - 2);
  QUOIN_TRY(const Shape batch, broadcast(a, b));
  s.a_first = matrix_numbers(a, batch);
  s.b_first = matrix_numbers(b, batch);
  for (int64_t& first : s.a_first) first *= s.rows * s.inner;
  for (int64_t& first : s.b_first) first *= s.inner * s.columns;
  return s;
}

// sink(element of the result, sum); elements are widened by `widen` before they are multiplied.
template <class T, class Widen, class Sink>
void multiply(const quoin_host& host, const MatmulShape& s, const T* a, const T* b, const Widen& widen,
              const Sink& sink) {
  const int64_t tiles = (s.columns + kColumnTile - 1) / kColumnTile;
  const auto batch = static_cast<int64_t>(s.a_first.size());
  parallel(host, batch * s.rows * tiles, kColumnTile * s.inner, [&](int64_t begin, int64_t end, uint32_t) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t row = task % s.rows, first = task / s.rows % tiles * kColumnTile, matrix = task / s.rows / tiles;
      const int64_t count = std::min(kColumnTile, s.columns - first);
      const T* left = a + s.a_first[static_cast<size_t>(matrix)] + row * s.inner;
      const T* right = b + s.b_first[static_cast<size_t>(matrix)] + first;
      decltype(widen(T{})) sums[kColumnTile] = {};
      for (int64_t k = 0; k < s.inner; ++k)
        for (int64_t c = 0; c < count; ++c) sums[c] += widen(left[k]) * widen(right[k * s.columns + c]);
      const int64_t at = (matrix * s.rows + row) * s.columns + first;
      for (int64_t c = 0; c < count; ++c) sink(at + c, sums[c]);
    }
  });
}

struct FloatMatmul : KernelBase {
  MatmulShape shape;
  static Result<FloatMatmul> make(const NodeView& view) {
    QUOIN_TRY(MatmulShape shape, MatmulShape::of(view));
    return FloatMatmul{{}, std::move(shape)};
  }
  Status run(const Run& run) const {
    float* y = run.out<float>();
    multiply(
        run.host, shape, run.in<float>(0), run.in<float>(1), [](float x) { return x; },
        [&](int64_t i, float sum) { y[i] = sum; });
    return {};
  }
};

struct IntegerMatmul : KernelBase {
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
  static Result<IntegerMatmul> make(const NodeView& view) {
    QUOIN_TRY(MatmulShape shape, MatmulShape::of(view));
    QUOIN_TRY(Centered a, Centered::of(view.in(0)));
    QUOIN_TRY(Centered b, Centered::of(view.in(1)));
    QUOIN_TRY(ProductOutput output, ProductOutput::make(view, 1));
    const double most = static_cast<double>(shape.inner) * static_cast<double>(reach(view.in(0)) * reach(view.in(1)));
    return IntegerMatmul{{}, std::move(shape), std::move(a), std::move(b), std::move(output), most > INT32_MAX};
  }
  uint64_t a_bytes() const { return aligned(static_cast<uint64_t>(a.count()) * 4); }
  uint64_t scratch(const quoin_host&) const { return a_bytes() + aligned(static_cast<uint64_t>(b.count()) * 4); }
  Status run(const Run& run) const {
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

}  // namespace

Rows matrix_rows() {
  Rows rows{integer_row<IntegerLinear>("aten.linear.default"), float_row<FloatLinear>("aten.linear.default")};
  for (const char* op : {"aten.matmul.default", "aten.bmm.default", "aten.mm.default"}) {
    rows.push_back(integer_row<IntegerMatmul>(op));
    rows.push_back(float_row<FloatMatmul>(op));
  }
  return rows;
}

}  // namespace quoin::kernels
