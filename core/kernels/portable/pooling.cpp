// max_pool2d, avg_pool2d, adaptive_avg_pool2d. Images are [N, C, H, W] or [C, H, W]; each plane is pooled by itself.
#include <limits>

#include "kernels/portable/products.hpp"

namespace quoin::kernels {
namespace {

// Positions [begin, end) under the window of each output position along one axis; `counted`: how many of them and of
// the padding an average divides by.
struct Span {
  int64_t begin, end, counted;
};

struct Planes {
  int64_t planes = 0, in_h = 0, in_w = 0, out_h = 0, out_w = 0;
  static Planes of(const NodeView& view) {
    const Shape &x = view.in_shape(), &y = view.out_shape();
    const size_t r = x.size();
    int64_t planes = 1;
    for (size_t i = 0; i + 2 < r; ++i) planes *= x[i];
    return {planes, x[r - 2], x[r - 1], y[r - 2], y[r - 1]};
  }
};

// Window positions are inside the image; dilation 1. count_pad: padding counts, but nothing beyond it (ceil_mode).
std::vector<Span> pool_spans(const NodeView& view, size_t axis, int64_t in, int64_t out, bool count_pad) {
  const int64_t kernel = get_ints(view.attrs, "kernel_size")[axis], stride = get_ints(view.attrs, "stride")[axis];
  const int64_t pad = get_ints(view.attrs, "padding")[axis];
  std::vector<Span> spans;
  for (int64_t o = 0; o < out; ++o) {
    const int64_t begin = o * stride - pad, end = std::min(begin + kernel, in + pad);
    const int64_t inside = std::max<int64_t>(std::min(end, in) - std::max<int64_t>(begin, 0), 0);
    spans.push_back({std::max<int64_t>(begin, 0), std::min(end, in), count_pad ? end - begin : inside});
  }
  return spans;
}

// Source: torch.nn.AdaptiveAvgPool2d: [floor(o * in / out), ceil((o + 1) * in / out)).
std::vector<Span> adaptive_spans(int64_t in, int64_t out) {
  std::vector<Span> spans;
  for (int64_t o = 0; o < out; ++o) {
    const int64_t begin = o * in / out, end = ((o + 1) * in + out - 1) / out;
    spans.push_back({begin, end, end - begin});
  }
  return spans;
}

struct AverageShape {
  Planes planes;
  std::vector<Span> rows, columns;
  int64_t divisor = 0;  // 0: the counted positions

  static AverageShape of(const NodeView& view) {
    AverageShape out{Planes::of(view), {}, {}, 0};
    if (view.schema->name == "aten.adaptive_avg_pool2d.default") {
      out.rows = adaptive_spans(out.planes.in_h, out.planes.out_h);
      out.columns = adaptive_spans(out.planes.in_w, out.planes.out_w);
      return out;
    }
    const bool count_pad = get_bool(view.attrs, "count_include_pad");
    out.rows = pool_spans(view, 0, out.planes.in_h, out.planes.out_h, count_pad);
    out.columns = pool_spans(view, 1, out.planes.in_w, out.planes.out_w, count_pad);
    if (has(view.attrs, "divisor_override")) out.divisor = get_int(view.attrs, "divisor_override");
    return out;
  }

  // sink(element of the result, sum over the window, divisor); `at(i)`: element i of x.
  template <class T, class At, class Sink>
  void run(const quoin_host& host, const At& at, const Sink& sink) const {
    const Planes& p = planes;
    parallel(host, p.planes, 2 * (p.in_h * p.in_w + p.out_h * p.out_w), [&](int64_t begin, int64_t end, uint32_t) {
      for (int64_t i = begin * p.out_h * p.out_w; i < end * p.out_h * p.out_w; ++i) {
        const Span& row = rows[static_cast<size_t>(i / p.out_w % p.out_h)];
        const Span& column = columns[static_cast<size_t>(i % p.out_w)];
        const int64_t plane = i / p.out_w / p.out_h * p.in_h * p.in_w;
        T sum{};
        for (int64_t h = row.begin; h < row.end; ++h)
          for (int64_t w = column.begin; w < column.end; ++w) sum += at(plane + h * p.in_w + w);
        sink(i, sum, divisor != 0 ? divisor : row.counted * column.counted);
      }
    });
  }
};

struct FloatAverage : KernelBase {
  AverageShape shape;
  static Result<FloatAverage> make(const NodeView& view) { return FloatAverage{{}, AverageShape::of(view)}; }
  Status run(const Run& run) const {
    const float* x = run.in<float>(0);
    float* y = run.out<float>();
    shape.run<float>(
        run.host, [&](int64_t i) { return x[i]; },
        [&](int64_t i, float sum, int64_t divisor) { y[i] = sum / static_cast<float>(divisor); });
    return {};
  }
};

struct IntegerAverage : KernelBase {
  AverageShape shape;
  TensorType x, y;
  static bool accepts(const NodeView& view) { return tensor_quantized(view.in(0)) && tensor_quantized(view.out()); }
  static Result<IntegerAverage> make(const NodeView& view) {
    return IntegerAverage{{}, AverageShape::of(view), view.in(0), view.out()};
  }
  Status run(const Run& run) const {
    const QParams &qx = *x.qparams, &q = *y.qparams;
    shape.run<int64_t>(
        run.host, [&](int64_t i) { return integer_at(x.dtype, run.inputs[0], i) - qx.zero_point_at(0); },
        [&](int64_t i, int64_t sum, int64_t divisor) {
          const float multiplier = numerics::average_multiplier(qx.scale[0], q.scale[0], divisor);
          store_integer(y.dtype, run.out(), i,
                        numerics::requantize(sum, multiplier, q.zero_point_at(0), q.qmin, q.qmax));
        });
    return {};
  }
};

// Positions outside the image never win; NaN always does.
struct MaxPool : KernelBase {
  Planes planes;
  std::vector<int64_t> kernel, stride, pad, dilation;
  DType dtype = DType::f32;

  static Result<MaxPool> make(const NodeView& view) {
    return MaxPool{{},
                   Planes::of(view),
                   get_ints(view.attrs, "kernel_size"),
                   get_ints(view.attrs, "stride"),
                   get_ints(view.attrs, "padding"),
                   get_ints(view.attrs, "dilation"),
                   view.out().dtype};
  }
  template <class T>
  T best(const T* plane, int64_t oh, int64_t ow) const {
    T out =
        std::numeric_limits<T>::has_infinity ? -std::numeric_limits<T>::infinity() : std::numeric_limits<T>::lowest();
    for (int64_t i = 0; i < kernel[0]; ++i) {
      const int64_t h = oh * stride[0] - pad[0] + i * dilation[0];
      for (int64_t j = 0; h >= 0 && h < planes.in_h && j < kernel[1]; ++j) {
        const int64_t w = ow * stride[1] - pad[1] + j * dilation[1];
        if (w < 0 || w >= planes.in_w) continue;
        const T value = plane[h * planes.in_w + w];
        if (value > out || value != value) out = value;
      }
    }
    return out;
  }
  template <class T>
  Status apply(const Run& run) const {
    const T* x = run.in<T>(0);
    T* y = run.out<T>();
    const Planes& p = planes;
    parallel(run.host, p.planes, 2 * p.out_h * p.out_w * kernel[0] * kernel[1],
             [&](int64_t begin, int64_t end, uint32_t) {
               for (int64_t i = begin * p.out_h * p.out_w; i < end * p.out_h * p.out_w; ++i)
                 y[i] = best(x + i / p.out_w / p.out_h * p.in_h * p.in_w, i / p.out_w % p.out_h, i % p.out_w);
             });
    return {};
  }
  static bool accepts(const NodeView& view) {
    const DType dtype = view.out().dtype;
    return bits(dtype) >= 8 && dtype != DType::f16 && dtype != DType::bf16 && dtype != DType::boolean;
  }
  Status run(const Run& run) const {
    switch (dtype) {
      case DType::f32:
        return apply<float>(run);
      case DType::f64:
        return apply<double>(run);
      case DType::s8:
        return apply<int8_t>(run);
      case DType::u8:
        return apply<uint8_t>(run);
      case DType::s16:
        return apply<int16_t>(run);
      case DType::u16:
        return apply<uint16_t>(run);
      case DType::s32:
        return apply<int32_t>(run);
      default:
        return apply<int64_t>(run);
    }
  }
};

}  // namespace

Rows pooling_rows() {
  return {
      move_row<MaxPool>("aten.max_pool2d.default"),
      integer_row<IntegerAverage>("aten.avg_pool2d.default"),
      float_row<FloatAverage>("aten.avg_pool2d.default"),
      integer_row<IntegerAverage>("aten.adaptive_avg_pool2d.default"),
      float_row<FloatAverage>("aten.adaptive_avg_pool2d.default"),
  };
}

}  // namespace quoin::kernels
