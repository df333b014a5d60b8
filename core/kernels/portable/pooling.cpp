// max_pool2d, avg_pool2d, adaptive_avg_pool2d. Images are [N, C, H, W] or [C, H, W]; each plane is pooled by itself.
#include <algorithm>
#include <limits>

#include "kernels/portable/products.hpp"

namespace quoin::kernels {
namespace {

// Positions [begin, end) under the window of one output position; `counted`: how many of them and of the padding an
// average divides by.
struct Span {
  int64_t begin, end, counted;
};

// One spatial dim of a pool.
struct Axis {
  int64_t in = 0, out = 0;
  int64_t kernel = 0, stride = 1, pad = 0, dilation = 1;  // kernel 0: adaptive
  bool count_pad = false;  // padding counts in averages, but nothing beyond it (ceil_mode)

  // Of dilation 1.
  Span span(int64_t o) const {
    if (kernel == 0) {  // source: torch.nn.AdaptiveAvgPool2d: [floor(o * in / out), ceil((o + 1) * in / out))
      const int64_t begin = o * in / out, end = ((o + 1) * in + out - 1) / out;
      return {begin, end, end - begin};
    }
    const int64_t start = o * stride - pad, stop = std::min(start + kernel, in + pad);
    const int64_t begin = std::max<int64_t>(start, 0), end = std::min(stop, in);
    return {begin, end, count_pad ? stop - start : std::max<int64_t>(end - begin, 0)};
  }
};

struct Pool {
  int64_t planes = 1;
  Axis rows, columns;

  static Pool of(const NodeView& node) {
    const Shape &x = node.in_shape(), &y = node.out_shape();
    Pool out;
    for (size_t i = 0; i + 2 < x.size(); ++i) out.planes *= x[i];
    for (size_t i = 0; i < 2; ++i) {
      Axis& axis = i == 0 ? out.rows : out.columns;
      axis.in = x[x.size() - 2 + i];
      axis.out = y[y.size() - 2 + i];
      const auto take = [&](const char* name, int64_t& value) {
        if (node.has(name)) value = node.get_ints(name)[i];
      };
      take("kernel_size", axis.kernel);
      take("stride", axis.stride);
      take("padding", axis.pad);
      take("dilation", axis.dilation);
      axis.count_pad = node.has("count_include_pad") && node.get_bool("count_include_pad");
    }
    return out;
  }
  int64_t in_plane() const { return rows.in * columns.in; }
  int64_t out_plane() const { return rows.out * columns.out; }
};

struct Average : Kernel {
  Pool pool;
  int64_t divisor = 0;  // 0: the counted positions

  Status prepare(const NodeView& node) override {
    pool = Pool::of(node);
    if (node.has("divisor_override")) divisor = node.get_int("divisor_override");
    return {};
  }
  // sink(element of the result, sum over the window, divisor); `at(i)`: element i of x.
  template <class T, class At, class Sink>
  void each(const quoin_host& host, const At& at, const Sink& sink) const {
    const int64_t in = pool.in_plane(), out = pool.out_plane();
    parallel(host, pool.planes, 2 * (in + out), [&](int64_t begin, int64_t end, uint32_t) {
      for (int64_t i = begin * out; i < end * out; ++i) {
        const Span row = pool.rows.span(i % out / pool.columns.out), column = pool.columns.span(i % pool.columns.out);
        T sum{};
        for (int64_t h = row.begin; h < row.end; ++h)
          for (int64_t w = column.begin; w < column.end; ++w) sum += at(i / out * in + h * pool.columns.in + w);
        sink(i, sum, divisor != 0 ? divisor : row.counted * column.counted);
      }
    });
  }
};

struct FloatAverage : Average {
  Status run(const Run& run) const override {
    const float* x = run.in<float>(0);
    float* y = run.out<float>();
    each<float>(
        run.host, [&](int64_t i) { return x[i]; },
        [&](int64_t i, float sum, int64_t count) { y[i] = sum / static_cast<float>(count); });
    return {};
  }
};

struct IntegerAverage : Average {
  PerTensor x, y;

  static bool accepts(const NodeView& view) { return tensor_quantized(view.in(0)) && tensor_quantized(view.out()); }
  Status prepare(const NodeView& node) override {
    x = PerTensor::of(node.in(0));
    y = PerTensor::of(node.out());
    return Average::prepare(node);
  }
  Status run(const Run& run) const override {
    each<int64_t>(
        run.host, [&](int64_t i) { return x.read(run.inputs[0], i); },
        [&](int64_t i, int64_t sum, int64_t count) {
          y.write(sum, numerics::average_multiplier(x.scale, y.scale, count), run.out(), i);
        });
    return {};
  }
};

// y[i] = the larger of y[i] and x[i * step]; NaN always wins.
template <class T>
void raise(void* out, const void* in, int64_t count, int64_t step) {
  auto* y = static_cast<T*>(out);
  for (int64_t i = 0; i < count; ++i) {
    const T value = static_cast<const T*>(in)[i * step];
    if (value > y[i] || value != value) y[i] = value;
  }
}
// What every value is at least.
template <class T>
constexpr T kLowest = std::numeric_limits<T>::has_infinity ? -std::numeric_limits<T>::infinity()
                                                           : std::numeric_limits<T>::lowest();

struct ElementType {
  DType dtype;
  size_t size;
  const void* lowest;
  void (*raise)(void*, const void*, int64_t, int64_t);
};
template <class T>
constexpr ElementType element_type(DType dtype) {
  return {dtype, sizeof(T), &kLowest<T>, raise<T>};
}
constexpr ElementType kElementTypes[] = {
    element_type<float>(DType::f32),   element_type<double>(DType::f64),  element_type<int8_t>(DType::s8),
    element_type<uint8_t>(DType::u8),  element_type<int16_t>(DType::s16), element_type<uint16_t>(DType::u16),
    element_type<int32_t>(DType::s32), element_type<int64_t>(DType::s64),
};
const ElementType* find_element_type(DType dtype) {
  const auto* found = std::ranges::find(kElementTypes, dtype, &ElementType::dtype);
  return found == std::end(kElementTypes) ? nullptr : found;
}

// Positions outside the image never win.
struct MaxPool : Kernel {
  Pool pool;
  const ElementType* type = nullptr;

  static bool accepts(const NodeView& view) { return find_element_type(view.out().dtype) != nullptr; }
  Status prepare(const NodeView& node) override {
    pool = Pool::of(node);
    type = find_element_type(node.out().dtype);
    return {};
  }
  // One row of results: from row `oh` of the windows in `plane`.
  void row(const std::byte* plane, int64_t oh, std::byte* y) const {
    const Axis &rows = pool.rows, &columns = pool.columns;
    const auto size = static_cast<int64_t>(type->size);
    for (int64_t o = 0; o < columns.out; ++o) std::memcpy(y + o * size, type->lowest, type->size);
    for (int64_t i = 0; i < rows.kernel; ++i) {
      const int64_t h = oh * rows.stride - rows.pad + i * rows.dilation;
      for (int64_t j = 0; h >= 0 && h < rows.in && j < columns.kernel; ++j) {
        // The results [begin, end) have this tap inside the image.
        const int64_t first = j * columns.dilation - columns.pad, step = columns.stride;
        const int64_t begin = first < 0 ? (-first + step - 1) / step : 0;
        const int64_t end = std::min(first < columns.in ? (columns.in - first + step - 1) / step : 0, columns.out);
        if (begin < end)
          type->raise(y + begin * size, plane + (h * columns.in + first + begin * step) * size, end - begin, step);
      }
    }
  }
  Status run(const Run& run) const override {
    const int64_t lines = pool.rows.out, in = pool.in_plane(), width = pool.columns.out;
    const auto size = static_cast<int64_t>(type->size);
    const int64_t cost = 2 * width * pool.rows.kernel * pool.columns.kernel;
    parallel(run.host, pool.planes * lines, cost, [&](int64_t begin, int64_t end, uint32_t) {
      for (int64_t i = begin; i < end; ++i)
        row(run.in<std::byte>(0) + i / lines * in * size, i % lines, run.out<std::byte>() + i * width * size);
    });
    return {};
  }
};

constexpr Row kRows[] = {
    move_row<MaxPool>("aten.max_pool2d.default"),
    integer_row<IntegerAverage>("aten.avg_pool2d.default"),
    float_row<FloatAverage>("aten.avg_pool2d.default"),
    integer_row<IntegerAverage>("aten.adaptive_avg_pool2d.default"),
    float_row<FloatAverage>("aten.adaptive_avg_pool2d.default"),
};

}  // namespace

Rows pooling_rows() { return kRows; }

}  // namespace quoin::kernels
