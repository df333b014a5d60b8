// conv2d, and the parts linear shares with it: packed weights, folded biases, multipliers.
#include <quoin/numerics.hpp>

#include "builder.hpp"
#include "kernels/pack.hpp"
#include "tiles.hpp"

namespace quoin::cpu {
namespace {

struct ConvShape {
  int64_t images, in_channels, out_channels, groups;
  Geometry window;
  bool depthwise() const { return groups == in_channels && groups == out_channels && groups > 1; }
  bool direct() const {
    const Geometry& w = window;
    return w.kernel_h == 1 && w.kernel_w == 1 && w.stride_h == 1 && w.stride_w == 1 && w.pad_top == 0 &&
           w.pad_left == 0 && w.in_h == w.out_h && w.in_w == w.out_w;
  }
  int64_t pixels() const { return int64_t{window.out_h} * window.out_w; }
  int64_t taps() const { return int64_t{window.kernel_h} * window.kernel_w; }
};

ConvShape shape_of(const sdk::Node& node, const sdk::Value& x, const sdk::Value& w, const sdk::Value& y,
                   const Padding& pad) {
  const auto at = [&](const char* name, size_t i) { return static_cast<int32_t>(node.attrs().integers(name)[i]); };
  const auto narrow = [](int64_t v) { return static_cast<int32_t>(v); };
  ConvShape s{x.dims()[0], x.dims()[1], w.dims()[0], node.attrs().integer("groups", 1), {}};
  s.window = {narrow(x.dims()[2]),
              narrow(x.dims()[3]),
              narrow(y.dims()[2]),
              narrow(y.dims()[3]),
              narrow(w.dims()[2]),
              narrow(w.dims()[3]),
              at("stride", 0),
              at("stride", 1),
              at("dilation", 0),
              at("dilation", 1),
              at("padding", 0) + pad.top,
              at("padding", 1) + pad.left};
  return s;
}

void set_geometry(Instruction& i, const ConvShape& s) {
  i.window = s.window;
  i.groups = s.groups;
  i.n = s.out_channels / s.groups;
  i.k = s.taps() * (s.in_channels / s.groups);
  i.x_stride = s.in_channels;
  i.y_stride = s.out_channels;
  i.batch = s.images;
  i.rows = s.pixels();
  if (!s.direct() || s.depthwise()) return;
  i.flags |= kDirect;
  i.rows *= i.batch;
  i.batch = 1;
}

// Groups lie behind each other, each packed on its own: pack(weights, channels, to).
template <class T, class Pack>
Ref pack_groups(Builder& b, const Instruction& i, const ConvShape& s, std::span<const T> w, int64_t packed,
                const Pack& pack) {
  const auto [at, to] = b.room<T>(packed * i.groups);
  for (int64_t g = 0; g < i.groups; ++g) pack(w.data() + g * i.n * i.k, i.k / s.taps(), to + g * packed);
  return at;
}

WindowPlan windows(Builder& b, const Instruction& i, const ConvShape& s, int64_t element_size) {
  const WindowPlan plan = plan_windows(i.window, i.k / s.taps(), i.x_stride, element_size);
  if ((i.flags & kDirect) == 0) b.need_worker(plan.worker_bytes());
  return plan;
}

void emit_integer(Builder& b, const sdk::Node& node, Instruction i, const ConvShape& s, const sdk::Value& w) {
  const std::vector<int8_t> weights = integers(w);
  if (s.depthwise()) {
    i.op = Op::depthwise_u8;
    const auto [at, to] = b.room<int8_t>(packed_depthwise_s8(s.out_channels, s.window.kernel_h, s.window.kernel_w));
    pack_depthwise_s8(weights.data(), s.out_channels, s.window.kernel_h, s.window.kernel_w, to);
    i.weights = at;
  } else {
    i.op = Op::conv_u8;
    const int64_t run = windows(b, i, s, 1).run;
    i.weights = pack_groups<int8_t>(b, i, s, weights, packed_conv_s8(i.n, i.k, run),
                                    [&](const int8_t* from, int64_t channels, int8_t* to) {
                                      pack_conv_s8(from, i.n, channels, s.window.kernel_h, s.window.kernel_w, run, to);
                                    });
  }
  fill_integer_parameters(b, node, w, i);
  b.emit(i);
}

void emit_float(Builder& b, const sdk::Node& node, Instruction i, const ConvShape& s, const sdk::Value& w) {
  const auto weights = w.constant<float>();
  if (s.depthwise()) {
    i.op = Op::depthwise_f32;
    const auto [at, to] = b.room<float>(packed_depthwise_f32(s.out_channels, s.window.kernel_h, s.window.kernel_w));
    pack_depthwise_f32(weights.data(), s.out_channels, s.window.kernel_h, s.window.kernel_w, to);
    i.weights = at;
  } else {
    i.op = Op::conv_f32;
    windows(b, i, s, sizeof(float));
    i.weights =
        pack_groups(b, i, s, weights, packed_gemm_f32(i.n, i.k), [&](const float* from, int64_t channels, float* to) {
          pack_conv_f32(from, i.n, channels, s.window.kernel_h, s.window.kernel_w, to);
        });
  }
  fill_float_bias(b, node, i);
  b.emit(i);
}

void emit_conv2d(Builder& b, const sdk::Node& node) {
  const sdk::Value weight = b.graph.input(node, 1), conv_out = b.graph.output(node);
  sdk::Value x = b.graph.input(node, 0);
  Padding pad;
  if (const auto found = b.paddings.find(x.id()); found != b.paddings.end()) {
    pad = found->second;
    x = b.graph.value(pad.source);
  }
  const ConvShape s = shape_of(node, x, weight, conv_out, pad);
  Instruction i = b.make(Op::conv_u8, node);
  set_geometry(i, s);
  const auto [y, clamp] = b.through_clamp(node);
  i.x = b.read(x, Layout::nhwc);
  i.y = b.write(y, Layout::nhwc);
  if (Builder::is_u8(x)) {
    const Range range = u8_range(*y.qparams(), clamp);
    i.zero_y = range.zero;
    i.low = range.low;
    i.high = range.high;
    emit_integer(b, node, i, s, weight);
  } else {
    i.low_f = clamp.low;
    i.high_f = clamp.high;
    emit_float(b, node, i, s, weight);
  }
}

constexpr Emitter kEmitters[] = {{"aten.conv2d.default", emit_conv2d}};

}  // namespace

std::span<const Emitter> convolution_emitters() { return kEmitters; }

void fill_integer_parameters(Builder& b, const sdk::Node& node, const sdk::Value& weight, Instruction& i) {
  const sdk::QParams x = *b.graph.input(node, 0).qparams(), w = *weight.qparams(), y = *b.graph.output(node).qparams();
  const auto weights = integers(weight);
  const bool depthwise = i.op == Op::depthwise_u8;
  const int64_t n = depthwise ? i.groups : i.n, groups = depthwise ? 1 : i.groups;
  const int64_t padded = round_up(n, kChannelPadding);
  std::span<const int32_t> bias;
  if (node.has_input(2)) bias = b.graph.input(node, 2).constant<int32_t>();
  i.zero_x = u8_zero(x);
  const auto [bias_at, folded] = b.room<int32_t>(padded * groups);
  for (int64_t g = 0; g < groups; ++g)
    if (!fold_bias(weights.data() + g * n * i.k, n, i.k, bias.empty() ? nullptr : bias.data() + g * n, i.zero_x,
                   folded + g * padded))
      throw sdk::Failure(QUOIN_UNSUPPORTED, "the folded bias of " + std::string(node.op()) + " does not fit int32");
  i.bias = bias_at;
  const auto [multiplier_at, multiplier] = b.room<float>(padded * groups);
  for (int64_t c = 0; c < n * groups; ++c)
    multiplier[c / n * padded + c % n] = numerics::requantize_multiplier(
        x.scale[0], w.scale[w.scale.size() == 1 ? 0 : static_cast<size_t>(c)], y.scale[0]);
  i.multiplier = multiplier_at;
}

void fill_float_bias(Builder& b, const sdk::Node& node, Instruction& i) {
  if (!node.has_input(2)) return;
  const auto bias = b.graph.input(node, 2).constant<float>();
  const bool depthwise = i.op == Op::depthwise_f32;
  const int64_t n = depthwise ? i.groups : i.n, groups = depthwise ? 1 : i.groups;
  const int64_t padded = round_up(n, kChannelPadding);
  const auto [at, to] = b.room<float>(padded * groups);
  for (int64_t c = 0; c < n * groups; ++c) to[c / n * padded + c % n] = bias[static_cast<size_t>(c)];
  i.bias = at;
}

}  // namespace quoin::cpu
