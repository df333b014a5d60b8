// Convolutions, plain and transposed, in float and on integers. All of them are one loop: per tile of output pixels the
// input elements under the window are gathered into a matrix [depth][tile], then each filter is multiplied with it.
#include <algorithm>
#include <array>

#include "kernels/portable/products.hpp"

namespace quoin::kernels {
namespace {

constexpr int64_t kTile = 32;  // output pixels per tile

// One spatial dim.
struct Axis {
  int64_t in = 1, out = 1, kernel = 1, stride = 1, pad = 0, dilation = 1;

  // The input position under tap k of output o, -1 outside.
  // Plain: o * stride - pad + k * dilation. Transposed: input i adds to output i * stride - pad + k * dilation, so
  // output o reads (o + pad - k * dilation) / stride where that is whole.
  int64_t tap(int64_t o, int64_t k, bool transposed) const {
    int64_t at = o * stride - pad + k * dilation;
    if (transposed) {
      at = o + pad - k * dilation;
      if (at % stride != 0) return -1;
      at /= stride;
    }
    return at >= 0 && at < in ? at : -1;
  }
};

// Geometry in two spatial dims (conv1d: height 1). Filters are [channels out][depth], depth = channels in of a group *
// the window.
struct Geometry {
  int64_t batch = 0, groups = 1, in_channels = 0, out_channels = 0;
  Axis rows, columns;
  bool transposed = false;

  static Geometry of(const NodeView& node);
  int64_t group_in() const { return in_channels / groups; }
  int64_t group_out() const { return out_channels / groups; }
  int64_t window() const { return rows.kernel * columns.kernel; }
  int64_t depth() const { return group_in() * window(); }
  int64_t plane() const { return rows.in * columns.in; }
  int64_t pixels() const { return rows.out * columns.out; }
  int64_t filter_elements() const { return out_channels * depth(); }
};

Geometry Geometry::of(const NodeView& node) {
  const Shape &x = node.in_shape(0), &w = node.in_shape(1), &y = node.out_shape();
  const auto &stride = node.get_ints("stride"), &pad = node.get_ints("padding"), &dilation = node.get_ints("dilation");
  Geometry g;
  g.transposed = node.is("aten.conv_transpose2d.input");
  g.groups = node.get_int("groups");
  g.batch = x[0];
  g.in_channels = x[1];
  g.out_channels = y[1];
  for (size_t i = 0; i + 2 < x.size(); ++i) {
    g.rows = g.columns;  // of two dims the first
    g.columns = {x[2 + i], y[2 + i], w[2 + i], stride[i], pad[i], dilation[i]};
  }
  return g;
}

using Lane = std::array<std::byte, 4>;  // a float or a Word that is only moved

// Transposed weights are [channels in][group_out][kh][kw]; filters are [channels out][group_in][kh][kw].
void filters_of_transposed(const Geometry& g, const void* weight, void* filters) {
  const int64_t window = g.window();
  for (int64_t ci = 0; ci < g.in_channels; ++ci) {
    const int64_t group = ci / g.group_in();
    for (int64_t co = 0; co < g.group_out(); ++co) {
      const Lane* from = static_cast<const Lane*>(weight) + (ci * g.group_out() + co) * window;
      std::copy_n(
          from, window,
          static_cast<Lane*>(filters) + ((group * g.group_out() + co) * g.group_in() + ci % g.group_in()) * window);
    }
  }
}

// columns[k][p] = the element of x under tap k of output pixel first + p; `x`: the channels of one group of one image.
void gather(const Geometry& g, const void* x, int64_t first, int64_t count, void* columns) {
  int64_t place[kTile];
  const int64_t window = g.window(), plane = g.plane(), width = g.columns.out;
  for (int64_t tap = 0; tap < window; ++tap) {
    const int64_t tap_row = tap / g.columns.kernel, tap_column = tap % g.columns.kernel;
    for (int64_t p = 0; p < count; ++p) {
      const int64_t pixel = first + p;
      const int64_t row = g.rows.tap(pixel / width, tap_row, g.transposed);
      const int64_t column = g.columns.tap(pixel % width, tap_column, g.transposed);
      place[p] = row < 0 || column < 0 ? -1 : row * g.columns.in + column;
    }
    std::fill(place + count, place + kTile, -1);
    for (int64_t ci = 0; ci < g.group_in(); ++ci) {
      Lane* to = static_cast<Lane*>(columns) + (ci * window + tap) * kTile;
      const Lane* from = static_cast<const Lane*>(x) + ci * plane;
      for (int64_t p = 0; p < kTile; ++p) to[p] = place[p] < 0 ? Lane{} : from[place[p]];
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
               gather(g, x + (image * g.in_channels + group * g.group_in()) * g.plane(), first, count, own);
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

struct FloatConvolution : Kernel {
  Geometry geometry;

  Status prepare(const NodeView& node) override {
    geometry = Geometry::of(node);
    return {};
  }
  uint64_t filter_bytes() const {
    return geometry.transposed ? aligned(static_cast<uint64_t>(geometry.filter_elements()) * 4) : 0;
  }
  uint64_t scratch(const quoin_host& host) const override { return filter_bytes() + column_bytes(host, geometry); }

  Status run(const Run& run) const override {
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

struct IntegerConvolution : Kernel {
  Geometry geometry;
  Centered x, w;
  ProductOutput output;

  static bool accepts(const NodeView& view) {
    return small_integers(view.in(1)) && ProductOutput::accepts(view, view.is("aten.conv_transpose2d.input") ? 1 : 0);
  }
  Status prepare(const NodeView& node) override {
    geometry = Geometry::of(node);
    output.prepare(node, geometry.out_channels);
    QUOIN_CHECK(x.prepare(node.in(0)));
    return w.prepare(node.in(1));
  }
  uint64_t x_bytes() const { return aligned(static_cast<uint64_t>(x.count()) * 4); }
  uint64_t w_bytes() const { return aligned(static_cast<uint64_t>(w.count()) * 4); }
  uint64_t scratch(const quoin_host& host) const override {
    return x_bytes() + 2 * w_bytes() + column_bytes(host, geometry);
  }

  Status run(const Run& run) const override {
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

constexpr Row kRows[] = {
    integer_row<IntegerConvolution>("aten.conv1d.default"),
    float_row<FloatConvolution>("aten.conv1d.default"),
    integer_row<IntegerConvolution>("aten.conv2d.default"),
    float_row<FloatConvolution>("aten.conv2d.default"),
    integer_row<IntegerConvolution>("aten.conv_transpose2d.input"),
    float_row<FloatConvolution>("aten.conv_transpose2d.input"),
};

}  // namespace

Rows convolution_rows() { return kRows; }

}  // namespace quoin::kernels
