#include "nodes.hpp"

#include <quoin/layers.hpp>

#include <cmath>
#include <vector>

#include "geometry.hpp"

namespace quoin::npu {
namespace {

// A window along one axis, before it is known to fit.
struct Axis {
  int64_t in, out, kernel = 1, stride = 1, pad = 0, dilation = 1;
};
struct Window {
  Kind kind;
  Axis rows, columns;
  int64_t max_kernel;
};

int64_t at(const sdk::Node& node, const char* name, size_t axis, int64_t missing) {
  const sdk::Params attrs = node.attrs();
  return attrs.has(name) && attrs.integers(name).size() > axis ? attrs.integers(name)[axis] : missing;
}

Kind kind_of(const sdk::Graph& graph, const sdk::Node& node) {
  const std::string_view op = node.op();
  if (op == "aten.conv2d.default")
    return node.attrs().integer("groups", 1) == 1 ? Kind::convolve
           : graph.input(node, 1).dims()[1] == 1  ? Kind::depthwise
                                                  : Kind::count_;
  if (op == "aten.linear.default") return Kind::convolve;
  return op == "aten.max_pool2d.default" ? Kind::max_pool : Kind::average;
}

// Reads the attributes; means and adaptive pools become windows that cover the image evenly.
Window window_of(const sdk::Graph& graph, const sdk::Node& node) {
  const sdk::Value x = graph.input(node, 0), y = graph.output(node);
  const auto dim = [](const sdk::Value& v, size_t i) { return i < v.dims().size() ? v.dims()[i] : 1; };
  Window w{kind_of(graph, node), {dim(x, 2), dim(y, 2)}, {dim(x, 3), dim(y, 3)}, kMaxPoolWindow};
  const bool even = node.op() == "aten.mean.dim" || node.op() == "aten.adaptive_avg_pool2d.default";
  if (w.kind == Kind::convolve || w.kind == Kind::depthwise || w.kind == Kind::count_) w.max_kernel = kMaxKernel;
  for (size_t i = 0; i < 2; ++i) {
    Axis& axis = i == 0 ? w.rows : w.columns;
    if (node.op() == "aten.conv2d.default") axis.kernel = graph.input(node, 1).dims()[2 + i];
    if (node.op() == "aten.mean.dim") axis.out = 1;
    axis.kernel = even ? axis.in / axis.out : at(node, "kernel_size", i, axis.kernel);
    const bool pool = w.kind == Kind::max_pool || w.kind == Kind::average;
    axis.stride = axis.out == 1 ? 1 : at(node, "stride", i, pool ? axis.kernel : 1);
    axis.pad = at(node, "padding", i, 0);
    axis.dilation = at(node, "dilation", i, 1);
  }
  return w;
}

std::string check_axis(const Axis& a, int64_t max_kernel, const char* name) {
  const std::string of = std::string(" of its ") + name;
  if (a.dilation != 1) return "the dilation" + of + " is " + std::to_string(a.dilation) + ", the device has only 1";
  if (a.kernel < 1 || a.kernel > max_kernel)
    return "the window" + of + " is " + std::to_string(a.kernel) + ", the device takes 1 to " +
           std::to_string(max_kernel);
  if (a.stride < 1 || a.stride > kMaxStride)
    return "the stride" + of + " is " + std::to_string(a.stride) + ", the device takes 1 to " +
           std::to_string(kMaxStride);
  if (a.pad < 0 || a.pad >= a.kernel) return "the padding" + of + " is as large as the window";
  return "";
}

}  // namespace

std::optional<Shape> device_shape(std::span<const int64_t> dims) {
  if (dims.size() < 2 || dims.size() > kMaxRank || dims[0] != 1) return std::nullopt;
  const int64_t height = dims.size() > 2 ? dims[2] : 1, width = dims.size() > 3 ? dims[3] : 1;
  if (dims[1] < 1 || dims[1] > kMaxChannels || height < 1 || height > kMaxSide || width < 1 || width > kMaxSide)
    return std::nullopt;
  return Shape{static_cast<int32_t>(dims[1]), static_cast<int32_t>(height), static_cast<int32_t>(width)};
}

std::optional<int32_t> exponent_of(float scale) {
  int exponent = 0;
  if (std::frexp(scale, &exponent) != 0.5f) return std::nullopt;
  return exponent - 1;
}

uint32_t element_bytes(const sdk::Value& value) { return value.dtype() == QUOIN_S16 ? 2 : 1; }

int32_t exponent(const sdk::Value& value) { return *exponent_of(value.qparams()->scale[0]); }

std::optional<Bounds> clamp_bounds(const sdk::Node& node, const sdk::QParams& q) {
  const auto clamp = sdk::clamp_of(node);
  if (!clamp) return std::nullopt;
  const auto image = [&](float bound) {
    return numerics::clamp_bound(bound, q.scale[0], q.zero_point(), q.qmin, q.qmax);
  };
  return Bounds{std::min(image(clamp->low), image(clamp->high)), image(clamp->high)};
}

bool is_window(const sdk::Node& node) {
  constexpr std::string_view kOps[] = {"aten.conv2d.default",     "aten.linear.default",
                                       "aten.max_pool2d.default", "aten.avg_pool2d.default",
                                       "aten.mean.dim",           "aten.adaptive_avg_pool2d.default"};
  return std::find(std::begin(kOps), std::end(kOps), node.op()) != std::end(kOps);
}

std::string check_geometry(const sdk::Graph& graph, const sdk::Node& node) {
  const Window w = window_of(graph, node);
  if (w.kind == Kind::count_ ||
      (w.kind == Kind::depthwise && graph.input(node, 0).dims()[1] != graph.output(node).dims()[1]))
    return "its groups are neither 1 nor one per channel with one filter each";
  const std::string_view op = node.op();
  if (op == "aten.adaptive_avg_pool2d.default" && (w.rows.in % w.rows.out != 0 || w.columns.in % w.columns.out != 0))
    return "the image does not divide into windows of equal size";
  if (std::string no = check_axis(w.rows, w.max_kernel, "height"); !no.empty()) return no;
  return check_axis(w.columns, w.max_kernel, "width");
}

Command window_command(const sdk::Graph& graph, const sdk::Node& node) {
  const Window w = window_of(graph, node);
  const sdk::Value x = graph.input(node, 0), y = graph.output(node);
  Command c;
  c.kind = w.kind;
  c.x_bytes = element_bytes(x);
  c.y_bytes = element_bytes(y);
  c.debug_id = node.raw.debug_id;
  c.in = *device_shape(x.dims());
  c.out = *device_shape(y.dims());
  const auto narrow = [](int64_t value) { return static_cast<int32_t>(value); };
  c.kernel_h = narrow(w.rows.kernel), c.kernel_w = narrow(w.columns.kernel);
  c.stride_h = narrow(w.rows.stride), c.stride_w = narrow(w.columns.stride);
  c.pad_top = narrow(w.rows.pad), c.pad_left = narrow(w.columns.pad);
  return c;
}

std::optional<Padding> padding_of(const sdk::Node& node) {
  const auto pad = node.attrs().integers("pad");  // pairs, last dim first: left, right, top, bottom, ...
  int32_t counts[4] = {};
  for (size_t i = 0; i < pad.size(); ++i) {
    if (pad[i] < 0 || pad[i] > (i < 4 ? kMaxSide : 0)) return std::nullopt;
    if (i < 4) counts[i] = static_cast<int32_t>(pad[i]);
  }
  return Padding{counts[2], counts[0], counts[3], counts[1]};
}

Shifts shifts(int32_t from, int32_t to) { return {std::max(from - to, 0), std::max(to - from, 0)}; }

}  // namespace quoin::npu
