// Reductions over dims: mean, sum, norm, extremes, argmax.
#include <cmath>

#include "kernels/portable/products.hpp"
#include "kernels/portable/walk.hpp"
#include "ops/shape.hpp"

namespace quoin::kernels {
namespace {

// For each result, a walk over the elements that it is made of.
struct Reduced {
  Walk kept, gone;  // offsets of the first elements; offsets within a reduction
  int64_t results = 0, count = 0;

  static Reduced of(const Shape& shape, const std::vector<int64_t>& dims) {
    const Shape strides = strides_of(shape);
    Shape kept_shape, kept_strides, gone_shape, gone_strides;
    for (size_t i = 0; i < shape.size(); ++i) {
      const bool reduce = std::find(dims.begin(), dims.end(), static_cast<int64_t>(i)) != dims.end();
      (reduce ? gone_shape : kept_shape).push_back(shape[i]);
      (reduce ? gone_strides : kept_strides).push_back(strides[i]);
    }
    return {Walk(kept_shape, {kept_strides}), Walk(gone_shape, {gone_strides}), numel(kept_shape), numel(gone_shape)};
  }
  static Result<Reduced> of(const NodeView& view) {
    QUOIN_TRY(const auto dims, reduced_dims(view.attrs, "dim", view.in_shape().size()));
    return of(view.in_shape(), dims);
  }

  // f(result, first element) in parallel.
  template <class F>
  void results_in(const quoin_host& host, const F& f) const {
    const int64_t length = kept.row_length(), step = kept.row_steps()[0];
    parallel(host, results, 4 * count, [&](int64_t begin, int64_t end, uint32_t) {
      for (int64_t i = begin; i < end; ++i) f(i, kept.offsets_of(i / length)[0] + i % length * step);
    });
  }
  // f(offset) over the elements of one reduction, in row-major order.
  template <class F>
  void elements(const F& f) const {
    for (int64_t row = 0; row < gone.row_count(); ++row) {
      const int64_t first = gone.offsets_of(row)[0];
      for (int64_t i = 0; i < gone.row_length(); ++i) f(first + i * gone.row_steps()[0]);
    }
  }
};

// Sums run in binary64 (or s64) and are rounded once.
struct Sum : KernelBase {
  Reduced reduced;
  bool mean = false, integers = false;
  static Result<Sum> make(const NodeView& view) {
    QUOIN_TRY(Reduced reduced, Reduced::of(view));
    return Sum{{}, std::move(reduced), view.schema->name == "aten.mean.dim", view.in(0).dtype == DType::s64};
  }
  Status run(const Run& run) const {
    reduced.results_in(run.host, [&](int64_t result, int64_t first) {
      if (integers) {
        uint64_t sum = 0;
        reduced.elements([&](int64_t offset) { sum += static_cast<uint64_t>(run.in<int64_t>(0)[first + offset]); });
        run.out<int64_t>()[result] = static_cast<int64_t>(sum);
        return;
      }
      double sum = 0;
      reduced.elements([&](int64_t offset) { sum += static_cast<double>(run.in<float>(0)[first + offset]); });
      run.out<float>()[result] = static_cast<float>(mean ? sum / static_cast<double>(reduced.count) : sum);
    });
    return {};
  }
};

struct IntegerMean : KernelBase {
  Reduced reduced;
  TensorType x, y;
  static bool accepts(const NodeView& view) {
    return tensor_quantized(view.in(0)) && tensor_quantized(view.out()) && numel(view.in_shape()) > 0;
  }
  static Result<IntegerMean> make(const NodeView& view) {
    QUOIN_TRY(Reduced reduced, Reduced::of(view));
    return IntegerMean{{}, std::move(reduced), view.in(0), view.out()};
  }
  Status run(const Run& run) const {
    const QParams &qx = *x.qparams, &q = *y.qparams;
    const float multiplier = numerics::average_multiplier(qx.scale[0], q.scale[0], reduced.count);
    reduced.results_in(run.host, [&](int64_t result, int64_t first) {
      int64_t sum = 0;
      reduced.elements(
          [&](int64_t offset) { sum += integer_at(x.dtype, run.inputs[0], first + offset) - qx.zero_point_at(0); });
      store_integer(y.dtype, run.out(), result,
                    numerics::requantize(sum, multiplier, q.zero_point_at(0), q.qmin, q.qmax));
    });
    return {};
  }
};

// (sum |x|^ord)^(1 / ord); ord 0 counts what is not 0, infinite orders take the extreme.
struct Norm : KernelBase {
  Reduced reduced;
  double order = 2;
  static Result<Norm> make(const NodeView& view) {
    QUOIN_TRY(Reduced reduced, Reduced::of(view));
    return Norm{{}, std::move(reduced), get_number(view.attrs, "ord")};
  }
  double norm(const float* x) const {
    double sum = order == -INFINITY ? INFINITY : 0;
    reduced.elements([&](int64_t offset) {
      const double value = std::fabs(static_cast<double>(x[offset]));
      if (order == 2)
        sum += value * value;
      else if (order == 0)
        sum += value != 0;
      else if (std::isinf(order))
        sum = order > 0 ? std::max(sum, value) : std::min(sum, value);
      else
        sum += std::pow(value, order);
    });
    if (order == 2) return std::sqrt(sum);
    return order == 0 || std::isinf(order) ? sum : std::pow(sum, 1 / order);
  }
  Status run(const Run& run) const {
    reduced.results_in(run.host, [&](int64_t result, int64_t first) {
      run.out<float>()[result] = static_cast<float>(norm(run.in<float>(0) + first));
    });
    return {};
  }
};

// amax, amin on the stored elements of any type: qparams keep the order. NaN wins.
struct Extreme : KernelBase {
  Reduced reduced;
  DType dtype = DType::f32;
  bool largest = false;
  static bool accepts(const NodeView& view) { return bits(view.out().dtype) >= 8; }
  static Result<Extreme> make(const NodeView& view) {
    QUOIN_TRY(Reduced reduced, Reduced::of(view));
    return Extreme{{}, std::move(reduced), view.out().dtype, view.schema->name == "aten.amax.default"};
  }
  template <class T>
  void apply(const Run& run, T (*read)(DType, const void*, int64_t),
             void (*write)(const Block&, void*, int64_t, int64_t, const T*)) const {
    reduced.results_in(run.host, [&](int64_t result, int64_t first) {
      T best = read(dtype, run.inputs[0], first);
      reduced.elements([&](int64_t offset) {
        const T value = read(dtype, run.inputs[0], first + offset);
        if ((largest ? value > best : value < best) || value != value) best = value;
      });
      write({dtype, 1}, run.out(), result, 1, &best);
    });
  }
  Status run(const Run& run) const {
    if (is_floating(dtype))
      apply<double>(run, number_at, write_numbers);
    else
      apply<int64_t>(run, integer_at, write_integers);
    return {};
  }
};

// The first of the largest elements; over all elements without dim. NaN counts as largest.
struct ArgMax : KernelBase {
  static constexpr bool kOwnResult = true;
  Reduced reduced;
  static Result<ArgMax> make(const NodeView& view) {
    const Shape& x = view.in_shape();
    std::vector<int64_t> dims;
    if (has(view.attrs, "dim")) {
      QUOIN_TRY(const int64_t dim, wrap_dim(get_int(view.attrs, "dim"), x.size()));
      dims.push_back(dim);
    } else {
      for (size_t i = 0; i < x.size(); ++i) dims.push_back(static_cast<int64_t>(i));
    }
    return ArgMax{{}, Reduced::of(x, dims)};
  }
  Status run(const Run& run) const {
    reduced.results_in(run.host, [&](int64_t result, int64_t first) {
      const float* x = run.in<float>(0) + first;
      int64_t position = 0, best = 0;
      float largest = x[0];
      reduced.elements([&](int64_t offset) {
        const float value = x[offset];
        if (value > largest || (value != value && largest == largest)) {
          largest = value;
          best = position;
        }
        ++position;
      });
      run.out<int64_t>()[result] = best;
    });
    return {};
  }
};

}  // namespace

Rows reduction_rows() {
  return {
      integer_row<IntegerMean>("aten.mean.dim"), float_row<Sum>("aten.mean.dim"),
      number_row<Sum>("aten.sum.dim_IntList"),   float_row<Norm>("aten.linalg_vector_norm.default"),
      move_row<Extreme>("aten.amax.default"),    move_row<Extreme>("aten.amin.default"),
      float_row<ArgMax>("aten.argmax.default"),
  };
}

}  // namespace quoin::kernels
