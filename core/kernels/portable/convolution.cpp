// Convolutions, plain and transposed, in float and on integers. All of them are one loop: per tile of output pixels the
// input elements under the window are gathered into a matrix [depth][tile], then each filter is multiplied with it.
#include <algorithm>

#include "kernels/portable/products.hpp"

namespace quoin::kernels {
namespace {

constexpr int64_t kTile = 32;  // output pixels per tile

// Geometry in two spatial dims (conv1d: height 1). Filters are [channels out][depth], depth = channels in of a group *
// kernel_h * kernel_w.
struct Geometry {
  int64_t batch = 0, groups = 1, in_channels = 0, out_channels = 0;
  int64_t in_h = 1, in_w = 1, out_h = 1, out_w = 1, kernel_h = 1, kernel_w = 1;
  std::vector<int64_t> tap_rows, tap_columns;  // [out][kernel] -> input row or column under the tap, -1 outside
  bool transposed = false;

  int64_t group_in() const { return in_channels / groups; }
  int64_t group_out() const { return out_channels / groups; }
  int64_t depth() const { return group_in() * kernel_h * kernel_w; }
  int64_t pixels() const { return out_h * out_w; }
  int64_t filter_elements() const { return out_channels * depth(); }
};

struct Axis {
  int64_t in, out, kernel, stride, pad, dilation;
};

// Plain: tap k of output o reads o * stride - pad + k * dilation. Transposed: input i adds to output i * stride - pad +
// k * dilation, so output o reads (o + pad - k * dilation) / stride where that is whole.
std::vector<int64_t> taps(const Axis& axis, bool transposed) {
  std::vector<int64_t> out;
  for (int64_t o = 0; o < axis.out; ++o) {
    for (int64_t k = 0; k < axis.kernel; ++k) {
      int64_t at = transposed ? o + axis.pad - k * axis.dilation : o * axis.stride - axis.pad + k * axis.dilation;
      const bool whole = !transposed || at % axis.stride == 0;
      if (transposed) at /= axis.stride;
      out.push_back(whole && at >= 0 && at < axis.in ? at : -1);
    }
  }
  return out;
}

Geometry geometry_of(const NodeView& view) {
  const Shape &x = view.in_shape(0), &w = view.in_shape(1), &y = view.out_shape();
  const size_t spatial = x.size() - 2;
  Geometry g;
  g.transposed = view.schema->name == "aten.conv_transpose2d.input";
  g.groups = get_int(view.attrs, "groups");
  g.batch = x[0];
  g.in_channels = x[1];
  g.out_channels = y[1];
  const auto axis = [&](size_t i) -> Axis {
    return {x[2 + i],
            y[2 + i],
            w[2 + i],
            get_ints(view.attrs, "stride")[i],
            get_ints(view.attrs, "padding")[i],
            get_ints(view.attrs, "dilation")[i]};
  };
  const Axis rows = spatial == 2 ? axis(0) : Axis{1, 1, 1, 1, 0, 1}, columns = axis(spatial - 1);
  g.in_h = rows.in, g.out_h = rows.out, g.kernel_h = rows.kernel;
  g.in_w = columns.in, g.out_w = columns.out, g.kernel_w = columns.kernel;
  g.tap_rows = taps(rows, g.transposed);
  g.tap_columns = taps(columns, g.transposed);
  return g;
}

// Transposed weights are [channels in][group_out][kh][kw]; filters are [channels out][group_in][kh][kw].
template <class T>
void filters_of_transposed(const Geometry& g, const T* weight, T* filters) {
  const int64_t window = g.kernel_h * g.kernel_w;
  for (int64_t ci = 0; ci < g.in_channels; ++ci) {
    const int64_t group = ci / g.group_in();
    for (int64_t co = 0; co < g.group_out(); ++co) {
      const T* from = weight + (ci * g.group_out() + co) * window;
      std::copy(from, from + window,
                filters + ((group * g.group_out() + co) * g.group_in() + ci % g.group_in()) * window);
    }
  }
}

// columns[k][p] = the element of x under tap k of output pixel first + p; `x`: the channels of one group of one image.
template <class T>
void gather(const Geometry& g, const T* x, int64_t first, int64_t count, T* columns) {
  int64_t place[kTile];
  const int64_t window = g.kernel_h * g.kernel_w, plane = g.in_h * g.in_w;
  for (int64_t tap = 0; tap < window; ++tap) {
    for (int64_t p = 0; p < count; ++p) {
      const int64_t pixel = first + p;
      const int64_t row = g.tap_rows[static_cast<size_t>(pixel / g.out_w * g.kernel_h + tap / g.kernel_w)];
      const int64_t column = g.tap_columns[static_cast<size_t>(pixel % g.out_w * g.kernel_w + tap % g.kernel_w)];
      place[p] = row < 0 || column < 0 ? -1 : row * g.in_w + column;
    }
    std::fill(place + count, place + kTile, -1);
    for (int64_t ci = 0; ci < g.group_in(); ++ci) {
      T* to = columns + (ci * window + tap) * kTile;
      const T* from = x + ci * plane;
      for (int64_t p = 0; p < kTile; ++p) to[p] = place[p] < 0 ? T{} : from[place[p]];
    }
  }
}

// sink(image, channel, first pixel, count, sums)
template <class T, class Sink>
void convolve(const quoin_host& host, const Geometry& g, const T* x, const T* filters, T* columns, const Sink& sink) {
  const int64_t tiles = (g.pixels() + kTile - 1) / kTile, depth = g.depth();
  parallel(host, g.batch * g.groups * tiles, depth * kTile * (g.group_out() + 4),
           [&](int64_t begin, int64_t end, uint32_t worker) {
             T* own = columns + worker * depth * kTile;
             for (int64_t task = begin; task < end; ++task) {
               const int64_t first = task % tiles * kTile, group = task / tiles % g.groups,
                             image = task / tiles / g.groups;
               const int64_t count = std::min(kTile, g.pixels() - first);
               gather(g, x + (image * g.in_channels + group * g.group_in()) * g.in_h * g.in_w, first, count, own);
               for (int64_t channel = group * g.group_out(); channel < (group + 1) * g.group_out(); ++channel) {
                 T sums[kTile] = {};
                 const T* filter = filters + channel * depth;
                 for (int64_t k = 0; k < depth; ++k)
                   for (int64_t p = 0; p < kTile; ++p) sums[p] += filter[k] * own[k * kTile + p];
                 sink(image, channel, first, count, sums);
               }
             }
           });
}

uint64_t column_bytes(const quoin_host& host, const Geometry& g) {
  return uint64_t{host.workers(host.self)} * static_cast<uint64_t>(g.depth() * kTile) * 4;
}
constexpr uint64_t aligned(uint64_t bytes) { return (bytes + 63) & ~uint64_t{63}; }

struct FloatConvolution : KernelBase {
  Geometry geometry;

  static Result<FloatConvolution> make(const NodeView& view) { return FloatConvolution{{}, geometry_of(view)}; }
  uint64_t filter_bytes() const {
    return geometry.transposed ? aligned(static_cast<uint64_t>(geometry.filter_elements()) * 4) : 0;
  }
  uint64_t scratch(const quoin_host& host) const { return filter_bytes() + column_bytes(host, geometry); }

  Status run(const Run& run) const {
    const float *filters = run.in<float>(1), *bias = run.in<float>(2);
    auto* columns = reinterpret_cast<float*>(run.scratch + filter_bytes());
    if (geometry.transposed) {
      auto* reordered = reinterpret_cast<float*>(run.scratch);
      filters_of_transposed(geometry, filters, reordered);
      filters = reordered;
    }
    float* y = run.out<float>();
    convolve(run.host, geometry, run.in<float>(0), filters, columns,
             [&](int64_t image, int64_t channel, int64_t first, int64_t count, const float* sums) {
               float* to = y + (image * geometry.out_channels + channel) * geometry.pixels() + first;
               for (int64_t p = 0; p < count; ++p) to[p] = bias == nullptr ? sums[p] : sums[p] + bias[channel];
             });
    return {};
  }
};

struct IntegerConvolution : KernelBase {
  Geometry geometry;
  Centered x, w;
  ProductOutput output;

  static bool accepts(const NodeView& view) {
    return small_integers(view.in(1)) &&
           ProductOutput::accepts(view, view.schema->name == "aten.conv_transpose2d.input" ? 1 : 0);
  }
  static Result<IntegerConvolution> make(const NodeView& view) {
    Geometry geometry = geometry_of(view);
    QUOIN_TRY(Centered x, Centered::of(view.in(0)));
    QUOIN_TRY(Centered w, Centered::of(view.in(1)));
    QUOIN_TRY(ProductOutput output, ProductOutput::make(view, geometry.out_channels));
    return IntegerConvolution{{}, std::move(geometry), std::move(x), std::move(w), std::move(output)};
  }
  uint64_t x_bytes() const { return aligned(static_cast<uint64_t>(x.count()) * 4); }
  uint64_t w_bytes() const { return aligned(static_cast<uint64_t>(w.count()) * 4); }
  uint64_t scratch(const quoin_host& host) const { return x_bytes() + 2 * w_bytes() + column_bytes(host, geometry); }

  Status run(const Run& run) const {
    auto* centered_x = reinterpret_cast<Word*>(run.scratch);
    auto* weight = reinterpret_cast<Word*>(run.scratch + x_bytes());
    auto* reordered = reinterpret_cast<Word*>(run.scratch + x_bytes() + w_bytes());
    auto* columns = reinterpret_cast<Word*>(run.scratch + x_bytes() + 2 * w_bytes());
    x.read(run.host, run.inputs[0], centered_x);
    w.read(run.host, run.inputs[1], weight);
    if (geometry.transposed) filters_of_transposed(geometry, weight, reordered);
    const void* bias = run.inputs[2];
    convolve(run.host, geometry, centered_x, geometry.transposed ? reordered : weight, columns,
             [&](int64_t image, int64_t channel, int64_t first, int64_t count, const Word* sums) {
               const int64_t at = (image * geometry.out_channels + channel) * geometry.pixels() + first;
               for (int64_t p = 0; p < count; ++p) output.store(sums[p], channel, bias, run.out(), at + p);
             });
    return {};
  }
};

}  // namespace

Rows convolution_rows() {
  Rows rows;
  for (const char* op : {"aten.conv1d.default", "aten.conv2d.default", "aten.conv_transpose2d.input"}) {
    rows.push_back(integer_row<IntegerConvolution>(op));
    rows.push_back(float_row<FloatConvolution>(op));
  }
  return rows;
}

}  // namespace quoin::kernels
