// The rows of the operator grid.
#include "conform/grid.hpp"

namespace quoin::conform {
namespace {

using Ints = std::vector<int64_t>;
using ir::kNone;
using ir::ValueId;
using Values = std::vector<ValueId>;

// -- what the rows build

Ints times(size_t count, int64_t value) { return Ints(count, value); }

// o: output channels, k: kernel, w: kernel width where it differs, s: stride, p: padding, d: dilation, g: groups.
template <size_t Spatial>
ValueId convolve(GridBuilder& b, std::string_view op, const Variant& v) {
  const int64_t groups = v.number("g", 1), channels = v.number("o", 4), kernel = v.number("k", 3);
  Shape weight{channels, v.dim(1) / groups, kernel};
  if (Spatial == 2) weight.push_back(v.number("w", kernel));
  const ValueId bias = v.has("nobias") ? kNone : b.constant({channels});
  const ValueId x = b.input(v.shape());
  return b.add(op, {x, b.constant(weight), bias},
               {{"stride", times(Spatial, v.number("s", 1))},
                {"padding", times(Spatial, v.number("p", 0))},
                {"dilation", times(Spatial, v.number("d", 1))},
                {"groups", groups}});
}
template <size_t Spatial>
Values convolution(GridBuilder& b, const Family& f, const Variant& v) {
  return {convolve<Spatial>(b, f.op, v)};
}

Values transposed(GridBuilder& b, const Family& f, const Variant& v) {
  const int64_t groups = v.number("g", 1), channels = v.number("o", 4), kernel = v.number("k", 3);
  const ValueId x = b.input(v.shape());
  return {b.add(
      f.op,
      {x, b.constant({v.dim(1), channels / groups, kernel, kernel}), v.has("nobias") ? kNone : b.constant({channels})},
      {{"stride", times(2, v.number("s", 1))},
       {"padding", times(2, v.number("p", 0))},
       {"output_padding", times(2, v.number("e", 0))},
       {"dilation", times(2, v.number("d", 1))},
       {"groups", groups}})};
}

Values linear(GridBuilder& b, const Family& f, const Variant& v) {
  const int64_t out = v.number("o", 4);
  const ValueId x = b.input(v.shape());
  return {b.add(f.op, {x, b.constant({out, v.shape().back()}), v.has("nobias") ? kNone : b.constant({out})})};
}

// n: columns of the second operand, which is a constant with the word "weight".
Values product(GridBuilder& b, const Family& f, const Variant& v) {
  Shape other = v.shape();
  other[other.size() - 2] = v.shape().back();
  other.back() = v.number("n", 4);
  const ValueId x = b.input(v.shape());
  return {b.add(f.op, {x, v.has("weight") ? b.constant(other) : b.input(other)})};
}

// The second operand: another input; "const", "self"; "row": of the last dim only; "channel": of dim 1 only.
Values binary(GridBuilder& b, const Family& f, const Variant& v) {
  const ValueId x = b.input(v.shape());
  Shape other = v.shape();
  if (v.has("row")) other = {v.shape().back()};
  if (v.has("channel"))
    for (size_t axis = 0; axis < other.size(); ++axis) other[axis] = axis == 1 ? other[axis] : 1;
  const ValueId y = v.has("self") ? x : v.has("const") ? b.constant(other) : b.input(other);
  Attrs attrs;
  if (v.has("alpha")) attrs["alpha"] = 0.5;
  const ValueId sum = b.add(f.op, {x, y}, attrs);
  return {v.has("relu") ? b.add("aten.relu.default", {sum}) : sum};
}

Values unary(GridBuilder& b, const Family& f, const Variant& v) { return {b.add(f.op, {b.input(v.shape())})}; }

Values clamp(GridBuilder& b, const Family& f, const Variant& v) {
  Attrs attrs;
  if (!v.has("high")) attrs["min"] = -0.4;
  if (!v.has("low")) attrs["max"] = 0.7;
  return {b.add(f.op, {b.input(v.shape())}, attrs)};
}

Values hardtanh(GridBuilder& b, const Family& f, const Variant& v) {
  const bool six = v.has("relu6");
  return {b.add(f.op, {b.input(v.shape())}, {{"min_val", six ? 0.0 : -0.7}, {"max_val", six ? 6.0 : 0.9}})};
}

// A convolution and what is usually fused with it.
Values fused(GridBuilder& b, const Family& f, const Variant& v) {
  ValueId y = convolve<2>(b, f.op, v);
  if (v.has("bn")) {
    const Shape channels{v.number("o", 4)};
    y = b.add("aten.batch_norm.default", {y, b.constant(channels, 0.5f, 1.5f), b.constant(channels),
                                          b.constant(channels), b.constant(channels, 0.5f, 1.5f)});
  }
  if (v.has("relu")) y = b.add("aten.relu.default", {y});
  if (v.has("relu6")) y = b.add("aten.relu6.default", {y});
  if (v.has("hardswish")) y = b.add("aten.hardswish.default", {y});
  return {y};
}

Values fused_linear(GridBuilder& b, const Family& f, const Variant& v) {
  return {b.add("aten.relu.default", {linear(b, f, v)[0]})};
}

Values pool(GridBuilder& b, const Family& f, const Variant& v) {
  Attrs attrs{{"kernel_size", times(2, v.number("k", 2))},
              {"stride", times(2, v.number("s", v.number("k", 2)))},
              {"padding", times(2, v.number("p", 0))},
              {"ceil_mode", v.has("ceil")}};
  if (v.has("inside")) attrs["count_include_pad"] = false;
  if (v.number("d", 1) != 1) attrs["dilation"] = times(2, v.number("d", 1));
  return {b.add(f.op, {b.input(v.shape())}, attrs)};
}

Values adaptive(GridBuilder& b, const Family& f, const Variant& v) {
  return {b.add(f.op, {b.input(v.shape())}, {{"output_size", times(2, v.number("o", 1))}})};
}

// a, b: first and last dim that is reduced.
Values reduce(GridBuilder& b, const Family& f, const Variant& v) {
  Ints dims;
  for (int64_t dim = v.number("a", 0); dim <= v.number("b", v.number("a", 0)); ++dim) dims.push_back(dim);
  return {b.add(f.op, {b.input(v.shape())}, {{"dim", dims}, {"keepdim", v.has("keep")}})};
}

Values over_dim(GridBuilder& b, const Family& f, const Variant& v) {
  return {b.add(f.op, {b.input(v.shape())}, {{"dim", v.number("a", -1)}})};
}

Values layer_norm(GridBuilder& b, const Family& f, const Variant& v) {
  const Shape last{v.shape().back()};
  const ValueId x = b.input(v.shape());
  return {b.add(f.op, {x, b.constant(last, 0.5f, 1.5f), b.constant(last)}, {{"normalized_shape", Ints(last)}})};
}

// c: how many operands, a: the axis.
Values cat(GridBuilder& b, const Family& f, const Variant& v) {
  Values operands;
  for (int64_t i = 0; i < v.number("c", 2); ++i) operands.push_back(b.input(v.shape()));
  if (v.has("self")) operands.push_back(operands[0]);
  return {b.add(f.op, operands, {{"dim", v.number("a", 1)}})};
}

Values view(GridBuilder& b, const Family& f, const Variant& v) {
  return {b.add(f.op, {b.input(v.shape())}, {{"size", Ints{v.shape()[0], -1}}})};
}

Values flatten(GridBuilder& b, const Family& f, const Variant& v) {
  return {b.add(f.op, {b.input(v.shape())}, {{"start_dim", v.number("a", 1)}})};
}

// The dims in turned order: a b c d -> b c d a; "last": a b c d -> a c d b.
Values permute(GridBuilder& b, const Family& f, const Variant& v) {
  const auto rank = static_cast<int64_t>(v.shape().size()), fixed = v.has("last") ? int64_t{1} : int64_t{0};
  Ints dims;
  for (int64_t i = 0; i < rank; ++i) dims.push_back(i < fixed ? i : fixed + (i - fixed + 1) % (rank - fixed));
  return {b.add(f.op, {b.input(v.shape())}, {{"dims", dims}})};
}

Values transpose(GridBuilder& b, const Family& f, const Variant& v) {
  return {b.add(f.op, {b.input(v.shape())}, {{"dim0", v.number("a", -2)}, {"dim1", v.number("b", -1)}})};
}

Values slice(GridBuilder& b, const Family& f, const Variant& v) {
  return {b.add(
      f.op, {b.input(v.shape())},
      {{"dim", v.number("a", 1)}, {"start", v.number("f", 1)}, {"end", v.number("t", 3)}, {"step", v.number("s", 1)}})};
}

Values select(GridBuilder& b, const Family& f, const Variant& v) {
  return {b.add(f.op, {b.input(v.shape())}, {{"dim", v.number("a", 1)}, {"index", v.number("i", 0)}})};
}

Values pad(GridBuilder& b, const Family& f, const Variant& v) {
  const int64_t width = v.number("p", 1);
  return {b.add(f.op, {b.input(v.shape())}, {{"pad", Ints{width, width + 1, 0, width}}})};
}

Values expand(GridBuilder& b, const Family& f, const Variant& v) {
  Shape size = v.shape();
  for (int64_t& dim : size) dim = dim == 1 ? v.number("t", 3) : dim;
  return {b.add(f.op, {b.input(v.shape())}, {{"size", Ints(size)}})};
}

Values upsample(GridBuilder& b, const Family& f, const Variant& v) {
  Attrs attrs{{"output_size", Ints{v.dim(2) * 2, v.dim(3) * 2}}};
  if (v.has("align")) attrs["align_corners"] = true;
  return {b.add(f.op, {b.input(v.shape())}, attrs)};
}

// o: rows of the table; the operand holds indices.
Values embedding(GridBuilder& b, const Family& f, const Variant& v) {
  return {b.add(f.op, {b.constant({v.number("o", 4), v.number("n", 8)}), b.input(v.shape(), DType::s64)})};
}

// x -> convolution -> + x -> relu -> two readers.
Values residual(GridBuilder& b, const Family& f, const Variant& v) {
  const int64_t channels = v.dim(1);
  const ValueId x = b.input(v.shape());
  const ValueId y = b.add("aten.conv2d.default", {x, b.constant({channels, channels, 3, 3}), b.constant({channels})},
                          {{"padding", times(2, 1)}});
  const ValueId sum = b.add("aten.relu.default", {b.add(f.op, {y, x})});
  const ValueId mean = b.add("aten.mean.dim", {sum}, {{"dim", Ints{2, 3}}, {"keepdim", false}});
  return {sum, mean};
}

const std::vector<const char*> kElementwise{"1x8", "1", "3x5x7", "2x0x3"}, kMore{"1x3x17x19", "1x70001", "scalar"};

// Two kinds of node in turn and a value that passes by: whoever takes only one of the kinds has claims that others lie
// between.
Values turns(GridBuilder& b, const Family& f, const Variant& v) {
  const int64_t channels = v.dim(1);
  const auto layer = [&](ir::ValueId x) {
    return b.add("aten.conv2d.default", {x, b.constant({channels, channels, 1, 1}), b.constant({channels})});
  };
  const ValueId first = b.add(f.op, {b.input(v.shape())});
  const ValueId second = b.add(f.op, {layer(first)});
  const ValueId third = b.add(f.op, {layer(second)});
  return {b.add("aten.add.Tensor", {third, first})};
}

}  // namespace

// -- the table

std::span<const Family> families() {
  static const Family table[] = {
      {"conv2d",
       "aten.conv2d.default",
       {"1x3x7x7 k3 s2 p1", "1x8x8x8 o8 k1", "2x4x5x5 k3 p1 d2 nobias", "1x6x6x6 o6 k3 g3", "1x1x1x1 o1 k1",
        "1x5x9x4 o7 k3 w2 s3 p1", "1x32x28x28 o64 k3 p1"},
       {"1x3x64x64 o32 k3 s2 p1", "1x64x14x14 o128 k1 nobias", "1x2x33x5 o3 k5 p2", "3x16x16x16 o16 k3 p1 s2",
        "1x256x7x7 o255 k1", "1x4x5x5 o4 k5", "0x3x7x7 k3", "1x64x56x56 o64 k3 p1", "1x2x3x3 o2 k3 p2 d3"},
       convolution<2>},
      {"depthwise",
       "aten.conv2d.default",
       {"1x8x9x9 o8 k3 p1 g8", "1x4x8x8 o8 k3 s2 p1 g4", "2x3x5x5 o3 k1 g3 nobias", "2x17x6x6 o17 k5 p2 g17"},
       {"1x64x28x28 o64 k3 p1 g64", "1x33x14x14 o33 k3 s2 p1 g33", "1x32x17x17 o32 k5 p2 g32 d2"},
       convolution<2>},
      {"conv1d",
       "aten.conv1d.default",
       {"1x3x9 k3 p1", "2x4x16 o5 k5 s2 nobias", "1x6x8 o6 k3 g6 p1", "1x1x1 o1 k1"},
       {"1x16x200 o32 k7 p3", "1x4x31 k3 d4"},
       convolution<1>},
      {"conv_transpose2d",
       "aten.conv_transpose2d.input",
       {"1x3x5x5 k3 s2 p1 e1", "1x4x4x4 k2 s2 nobias", "1x4x3x3 k3 g2", "1x1x1x1 o1 k1"},
       {"1x16x14x14 o8 k4 s2 p1", "2x3x5x4 k3 d2"},
       transposed},
      {"conv2d_fused",
       "aten.conv2d.default",
       {"1x3x8x8 k3 p1 relu", "1x4x6x6 k1 bn relu6", "1x4x6x6 o4 k3 p1 g4 bn", "1x4x5x5 k1 hardswish"},
       {"1x16x14x14 o24 k3 s2 p1 bn relu6", "1x8x8x8 o8 k3 p1 g8 relu6 nobias"},
       fused},
      {"linear",
       "aten.linear.default",
       {"1x16 o8", "3x5 o7 nobias", "2x3x8 o4", "1x1 o1", "17x33 o31", "0x8 o4", "1x1024 o1024"},
       {"64x64 o64", "1x65 o10", "128x768 o768", "5x4096 o1000", "7x2x3x8 o9"},
       linear},
      {"linear_fused", "aten.linear.default", {"2x16 o8", "3x5 o7 nobias"}, {"16x64 o100"}, fused_linear},
      {"matmul",
       "aten.matmul.default",
       {"3x5 n4", "2x3x8 n8", "1x2x4x8 n4", "5x7 n3 weight", "1x1 n1"},
       {"12x64x64 n64", "1x17x33 n31", "2x8x128 n128"},
       product},
      {"bmm", "aten.bmm.default", {"2x3x5 n4", "1x1x1 n1"}, {"12x32x64 n48"}, product},
      {"mm", "aten.mm.default", {"3x5 n4", "8x16 n8 weight"}, {"33x65 n31"}, product},
      {"add",
       "aten.add.Tensor",
       {"1x8", "3x5x7", "1x4x5x5 channel", "2x6 row", "1x4x4x4 const", "2x5 self", "1x8x6x6 relu", "2x5 alpha",
        "2x0x3"},
       {"1x24x28x28", "1x4x5x5 channel const", "1x70001", "3x5x7 row const"},
       binary},
      {"sub", "aten.sub.Tensor", {"1x8", "3x5x7", "2x6 row", "2x5 self"}, {"1x24x14x14"}, binary},
      {"mul",
       "aten.mul.Tensor",
       {"1x8", "3x5x7", "1x4x5x5 channel", "2x6 row const", "2x5 self"},
       {"1x24x28x28", "1x70001"},
       binary},
      {"relu", "aten.relu.default", kElementwise, kMore, unary},
      {"relu6", "aten.relu6.default", {"1x8", "3x5x7"}, kMore, unary},
      {"hardtanh", "aten.hardtanh.default", {"1x8", "3x5x7 relu6"}, kMore, hardtanh},
      {"clamp", "aten.clamp.default", {"1x8", "3x5x7 low", "3x5x7 high"}, kMore, clamp},
      {"leaky_relu", "aten.leaky_relu.default", {"1x8", "3x5x7"}, kMore, unary},
      {"elu", "aten.elu.default", {"3x5x7"}, kMore, unary},
      {"hardswish", "aten.hardswish.default", {"1x8", "3x5x7"}, kMore, unary},
      {"hardsigmoid", "aten.hardsigmoid.default", {"1x8", "3x5x7"}, kMore, unary},
      {"sigmoid", "aten.sigmoid.default", {"1x8", "3x5x7"}, kMore, unary},
      {"tanh", "aten.tanh.default", {"1x8", "3x5x7"}, kMore, unary},
      {"silu", "aten.silu.default", {"1x8", "3x5x7"}, kMore, unary},
      {"gelu", "aten.gelu.default", {"1x8", "3x5x7"}, kMore, unary},
      {"exp", "aten.exp.default", {"1x8", "3x5x7"}, kMore, unary},
      {"abs", "aten.abs.default", {"3x5x7"}, kMore, unary},
      {"neg", "aten.neg.default", {"3x5x7"}, kMore, unary},
      {"max_pool2d",
       "aten.max_pool2d.default",
       {"1x4x8x8 k2", "1x3x7x7 k3 s2 p1", "1x2x5x5 k3 s2 ceil", "2x3x6x6 k2 s1 d2"},
       {"1x64x28x28 k3 s2 p1"},
       pool},
      {"avg_pool2d",
       "aten.avg_pool2d.default",
       {"1x4x8x8 k2", "1x3x7x7 k3 s2 p1", "1x2x5x5 k3 s2 ceil", "1x3x7x7 k3 s2 p1 inside"},
       {"1x64x28x28 k3 s2 p1"},
       pool},
      {"adaptive_avg_pool2d",
       "aten.adaptive_avg_pool2d.default",
       {"1x4x7x7", "2x3x8x6 o2", "1x3x5x7 o3"},
       {"1x320x7x7"},
       adaptive},
      {"mean",
       "aten.mean.dim",
       {"1x4x7x7 a2 b3", "1x4x7x7 a2 b3 keep", "3x5x7 a2", "3x5x7 a0 b2", "2x3x4 a1 keep"},
       {"1x1280x7x7 a2 b3", "1x2x100x100 a2 b3"},
       reduce},
      {"softmax", "aten.softmax.int", {"1x8", "3x5x7", "3x5x7 a1", "2x1"}, {"1x1000", "12x64x64"}, over_dim},
      {"layer_norm", "aten.layer_norm.default", {"3x8", "2x3x16"}, {"64x768"}, layer_norm},
      {"cat",
       "aten.cat.default",
       {"1x3x4x4", "2x5 c3", "1x3x4x4 self", "2x3x4 a2 c4", "3x2 a0", "1x2 c9"},
       {"1x64x14x14 c3"},
       cat},
      {"view", "aten.view.default", {"1x4x3x3", "2x8"}, {"1x320x7x7"}, view},
      {"flatten", "aten.flatten.using_ints", {"1x4x3x3", "2x3x4 a0"}, {"1x320x7x7"}, flatten},
      {"permute", "aten.permute.default", {"1x4x3x5", "1x4x3x5 last", "2x3x4"}, {"1x64x28x28 last"}, permute},
      {"transpose", "aten.transpose.int", {"2x5", "2x3x4", "1x4x3x5 a1 b2"}, {"12x64x64"}, transpose},
      {"slice",
       "aten.slice.Tensor",
       {"2x5", "1x8x4x4 f2 t6", "3x9 f0 t9 s2", "2x5 f1 t1"},
       {"1x64x14x14 f1 t40"},
       slice},
      {"select", "aten.select.int", {"2x5", "1x8x4x4 i3"}, {"12x197x64"}, select},
      {"pad", "aten.pad.default", {"1x3x5x5", "1x2x4x4 p2"}, {"1x16x28x28"}, pad},
      {"expand", "aten.expand.default", {"1x5", "2x1x4"}, {"1x1x64"}, expand},
      {"upsample_nearest2d", "aten.upsample_nearest2d.vec", {"1x2x4x4", "1x3x5x3"}, {"1x16x14x14"}, upsample},
      {"upsample_bilinear2d", "aten.upsample_bilinear2d.vec", {"1x2x4x4", "1x3x5x3 align"}, {"1x16x14x14"}, upsample},
      {"embedding", "aten.embedding.default", {"5", "2x3 o7 n16", "0"}, {"64 o1000 n128"}, embedding},
      {"turns", "aten.relu.default", {"1x4x5x5"}, {"2x16x9x9"}, turns},
      {"residual", "aten.add.Tensor", {"1x4x6x6", "1x8x5x5"}, {"2x16x14x14"}, residual},
  };
  return table;
}

}  // namespace quoin::conform
