// Pools and means.
#include "builder.hpp"

namespace quoin::cpu {
namespace {

// The integer side of an average: x and y have their own scales.
void set_integer_parameters(const sdk::Value& x, const sdk::Value& y, Instruction& i) {
  if (!Builder::is_u8(x)) return;
  const Range range = u8_range(*y.qparams());
  i.zero_x = u8_zero(*x.qparams());
  i.zero_y = range.zero;
  i.low = range.low;
  i.high = range.high;
  i.ratio = x.qparams()->scale[0] / y.qparams()->scale[0];
}

Instruction pool(Builder& b, const sdk::Node& node, Op integer, Op real, const Geometry& window) {
  const sdk::Value x = b.graph.input(node, 0), y = b.graph.output(node);
  Instruction i = b.make(Builder::is_u8(x) ? integer : real, node);
  i.window = window;
  i.batch = x.dims()[0];
  i.n = i.x_stride = i.y_stride = x.dims()[1];
  set_integer_parameters(x, y, i);
  i.x = b.read(x, Layout::nhwc);
  i.y = b.write(y, Layout::nhwc);
  return i;
}

Geometry window_of(const sdk::Node& node, const sdk::Value& x, const sdk::Value& y) {
  const auto pair = [&](const char* name, size_t i, int64_t missing) {
    if (!node.attrs().has(name)) return static_cast<int32_t>(missing);
    return static_cast<int32_t>(node.attrs().integers(name)[i]);
  };
  const auto narrow = [](int64_t v) { return static_cast<int32_t>(v); };
  return {narrow(x.dims()[2]),       narrow(x.dims()[3]),       narrow(y.dims()[2]),   narrow(y.dims()[3]),
          pair("kernel_size", 0, 1), pair("kernel_size", 1, 1), pair("stride", 0, 1),  pair("stride", 1, 1),
          pair("dilation", 0, 1),    pair("dilation", 1, 1),    pair("padding", 0, 0), pair("padding", 1, 0)};
}

void emit_max_pool(Builder& b, const sdk::Node& node) {
  const Geometry w = window_of(node, b.graph.input(node, 0), b.graph.output(node));
  b.emit(pool(b, node, Op::max_pool_u8, Op::max_pool_f32, w));
}

// Divides by the whole window where padding counts or there is none, else by the elements inside the image.
void emit_avg_pool(Builder& b, const sdk::Node& node) {
  const Geometry w = window_of(node, b.graph.input(node, 0), b.graph.output(node));
  Instruction i = pool(b, node, Op::avg_pool_u8, Op::avg_pool_f32, w);
  i.divisor = node.attrs().boolean("count_include_pad", true) ? w.kernel_h * w.kernel_w : 0;
  i.divisor = static_cast<int32_t>(node.attrs().integer("divisor_override", i.divisor));
  b.emit(i);
}

// The mean over `pixels` consecutive rows of `channels` elements.
void emit_mean(Builder& b, const sdk::Node& node, Layout layout, int64_t images, int64_t pixels) {
  const sdk::Value x = b.graph.input(node, 0), y = b.graph.output(node);
  Instruction i = b.make(Builder::is_u8(x) ? Op::mean_u8 : Op::mean_f32, node);
  i.batch = images;
  i.rows = pixels;
  i.n = i.x_stride = y.numel() / images;
  i.y_stride = i.n;
  set_integer_parameters(x, y, i);
  i.x = b.read(x, layout);
  i.y = b.write(y, Layout::plain);
  b.emit(i);
}

void emit_adaptive_avg_pool(Builder& b, const sdk::Node& node) {
  const sdk::Value x = b.graph.input(node, 0), y = b.graph.output(node);
  const auto d = x.dims();
  if (y.dims()[2] * y.dims()[3] == 1) return emit_mean(b, node, Layout::nhwc, d[0], d[2] * d[3]);
  Geometry w{static_cast<int32_t>(d[2]), static_cast<int32_t>(d[3]), static_cast<int32_t>(y.dims()[2]),
             static_cast<int32_t>(y.dims()[3])};
  w.kernel_h = w.stride_h = w.in_h / w.out_h;
  w.kernel_w = w.stride_w = w.in_w / w.out_w;
  Instruction i = pool(b, node, Op::avg_pool_u8, Op::avg_pool_f32, w);
  i.divisor = w.kernel_h * w.kernel_w;
  b.emit(i);
}

// Dims next to each other, or height and width of an image.
void emit_mean_dim(Builder& b, const sdk::Node& node) {
  const sdk::Value x = b.graph.input(node, 0);
  const auto d = x.dims();
  Dims dims;
  for (const int64_t dim : node.attrs().integers("dim")) dims.push_back(wrap(dim, d.size()));
  std::sort(dims.begin(), dims.end());
  const auto first = static_cast<size_t>(dims.front()), count = dims.size();
  if (d.size() == 4 && first == 2 && count == 2) return emit_mean(b, node, Layout::nhwc, d[0], d[2] * d[3]);
  emit_mean(b, node, Layout::plain, product(d.first(first)), product(d.subspan(first, count)));
}

constexpr Emitter kEmitters[] = {
    {"aten.max_pool2d.default", emit_max_pool},
    {"aten.avg_pool2d.default", emit_avg_pool},
    {"aten.adaptive_avg_pool2d.default", emit_adaptive_avg_pool},
    {"aten.mean.dim", emit_mean_dim},
};

}  // namespace

std::span<const Emitter> pooling_emitters() { return kEmitters; }

}  // namespace quoin::cpu
