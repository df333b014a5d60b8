// linear, dynamically quantized linear, matrix products, softmax and layer norm.
#include <quoin/numerics.hpp>

#include "builder.hpp"
#include "grouped_weights.hpp"
#include "kernels/pack.hpp"
#include "tiles.hpp"

namespace quoin::cpu {
namespace {

Instruction matrix(Builder& b, Op op, const sdk::Node& node, const sdk::Value& x, int64_t n) {
  Instruction i = b.make(op, node);
  i.k = x.dims().back();
  i.n = n;
  i.rows = x.numel() / i.k;
  i.follows = b.follows(x, kFollowRows);
  i.x_stride = i.k;
  i.y_stride = n;
  return i;
}

Ref pack_rows(Builder& b, std::span<const int8_t> w, int64_t n, int64_t k) {
  const auto [at, to] = b.room<int8_t>(packed_gemm_s8(n, k));
  pack_gemm_s8(w.data(), n, k, to);
  return at;
}

void emit_linear(Builder& b, const sdk::Node& node) {
  const sdk::Value x = b.graph.input(node, 0), weight = b.graph.input(node, 1);
  if (!Builder::is_u8(x) && weight.qparams()) return emit_grouped_linear(b, node);
  Instruction i = matrix(b, Op::conv_u8, node, x, weight.dims()[0]);
  i.flags = kDirect;
  const auto [y, clamp] = b.through_clamp(node);
  i.x = b.read(x, Layout::plain);
  i.y = b.write(y, Layout::plain);
  if (Builder::is_u8(x)) {
    const Range range = u8_range(*y.qparams(), clamp);
    i.zero_y = range.zero;
    i.low = range.low;
    i.high = range.high;
    i.weights = pack_rows(b, integers(weight), i.n, i.k);
    fill_integer_parameters(b, node, weight, i);
  } else {
    i.op = Op::conv_f32;
    i.low_f = clamp.low;
    i.high_f = clamp.high;
    i.weights = b.named(
        weight, "f32", static_cast<uint64_t>(packed_gemm_f32(i.n, i.k)) * sizeof(float),
        [&](std::byte* to) { pack_gemm_f32(weight.constant<float>().data(), i.n, i.k, reinterpret_cast<float*>(to)); });
    fill_float_bias(b, node, i);
  }
  b.emit(i);
}

// Rows of x as integers with their own scale and zero point; made once for all readers (query, key, value).
Builder::Rows quantized_rows(Builder& b, const sdk::Node& node, const sdk::Value& x) {
  const auto scheme = static_cast<uint32_t>(*numerics::dynamic_scheme(node.attrs().text("scheme", "affine")));
  const auto eps = static_cast<float>(node.attrs().number("eps", double{numerics::kDefaultEps}));
  const Builder::RowsKey key(x.id(), scheme, eps, 0, 0, 0);
  if (const auto found = b.quantized_rows.find(key); found != b.quantized_rows.end()) return found->second;
  Instruction i = matrix(b, Op::quantize_rows, node, x, 0);
  i.flags = scheme;
  i.eps = eps;
  i.n = i.k;
  i.x = b.read(x, Layout::plain);
  const auto rows = static_cast<uint64_t>(i.rows);
  i.y = b.temporary(static_cast<uint64_t>(x.numel()) + kReadPadding);
  i.multiplier = b.temporary(rows * sizeof(float));
  i.sums = b.temporary(rows * sizeof(int32_t));
  b.emit(i);
  return b.quantized_rows[key] = {i.y, i.multiplier, i.sums, {}};
}

// y = (x_q . w_q - zero_row * sum(w_q)) * (scale_row * scale_w) + bias
void emit_linear_dynamic(Builder& b, const sdk::Node& node) {
  const sdk::Value x = b.graph.input(node, 0), weight = b.graph.input(node, 1);
  if (is_grouped(weight, false)) return emit_grouped_dynamic(b, node);
  const Builder::Rows rows = quantized_rows(b, node, x);
  Instruction i = matrix(b, Op::gemm_u8_f32, node, x, weight.dims()[0]);
  const auto [y, clamp] = b.through_clamp(node);
  i.low_f = clamp.low;
  i.high_f = clamp.high;
  i.x = rows.x;
  i.x2 = rows.scale;
  i.sums = rows.zero;
  i.y = b.write(y, Layout::plain);
  const std::vector<int8_t> w = integers(weight);
  i.weights = b.named(weight, "s8", static_cast<uint64_t>(packed_gemm_s8(i.n, i.k)),
                      [&](std::byte* to) { pack_gemm_s8(w.data(), i.n, i.k, reinterpret_cast<int8_t*>(to)); });
  // One array behind the other: scales of the weights, sums of the weights, bias.
  const int64_t padded = round_up(i.n, kChannelPadding);
  const auto [at, to] = b.room<float>(padded * 3);
  const std::span<const float> scale = weight.qparams()->scale;
  for (int64_t n = 0; n < i.n; ++n) to[n] = scale[scale.size() == 1 ? 0 : static_cast<size_t>(n)];
  column_sums(w.data(), i.n, i.k, reinterpret_cast<int32_t*>(to + padded));
  if (node.has_input(2)) {
    const auto bias = b.graph.input(node, 2).constant<float>();
    std::copy(bias.begin(), bias.end(), to + 2 * padded);
  }
  i.multiplier = at;
  b.emit(i);
}

// A multiplication by one number that alone reads the product moves into it.
std::pair<sdk::Value, float> through_scale(Builder& b, const sdk::Node& node) {
  const sdk::Value out = b.graph.output(node);
  const auto next = b.graph.single_user(out);
  if (!next || next->op() != "aten.mul.Tensor") return {out, 1.0f};
  const uint32_t other = next->inputs()[0] == out.id() ? 1 : 0;
  const sdk::Value factor = b.graph.input(*next, other);
  if (!factor.is_constant() || factor.numel() != 1 || b.graph.output(*next).raw.rank != out.raw.rank)
    return {out, 1.0f};
  b.mark_done(*next);
  return {b.graph.output(*next), factor.constant<float>()[0]};
}

void emit_matmul(Builder& b, const sdk::Node& node) {
  if (const auto found = b.attentions.find(node.id()); found != b.attentions.end())
    return emit_sdpa(b, node, found->second);
  const sdk::Value x = b.graph.input(node, 0);
  sdk::Value x2 = b.graph.input(node, 1);
  Instruction i = matrix(b, Op::matmul_f32, node, x, x2.dims().back());
  if (x2.raw.rank > 2) {
    i.batch = x.numel() / (x.dims()[x.raw.rank - 2] * i.k);
    i.rows /= i.batch;
  }
  if (const auto found = b.transposed.find(x2.id()); found != b.transposed.end()) {
    x2 = b.graph.value(found->second);
    i.flags |= kRowsOperand;
    b.need_worker(static_cast<uint64_t>(packed_gemm_f32(i.n, i.k)) * sizeof(float));
  }
  const auto [y, scale] = through_scale(b, node);
  i.ratio = scale;
  i.x = b.read(x, Layout::plain);
  i.x2 = b.read(x2, Layout::plain);
  i.y = b.write(y, Layout::plain);
  b.emit(i);
}

void emit_softmax(Builder& b, const sdk::Node& node) {
  const sdk::Value x = b.graph.input(node, 0);
  Instruction i = matrix(b, Op::softmax_f32, node, x, x.dims().back());
  i.x = b.read(x, Layout::plain);
  i.y = b.write(b.graph.output(node), Layout::plain);
  b.emit(i);
}

void emit_layer_norm(Builder& b, const sdk::Node& node) {
  const sdk::Value x = b.graph.input(node, 0);
  const int64_t n = product(node.attrs().integers("normalized_shape"));
  Instruction i = b.make(Op::layer_norm_f32, node);
  i.n = n;
  i.rows = x.numel() / n;
  i.follows = b.follows(x, kFollowRows);
  i.eps = static_cast<float>(node.attrs().number("eps", 1e-5));
  if (node.has_input(1)) i.weights = b.channels(b.graph.input(node, 1).constant<float>());
  if (node.has_input(2)) i.bias = b.channels(b.graph.input(node, 2).constant<float>());
  i.x = b.read(x, Layout::plain);
  i.y = b.write(b.graph.output(node), Layout::plain);
  b.emit(i);
}

constexpr Emitter kEmitters[] = {
    {"aten.linear.default", emit_linear},
    {"quoin.linear_dynamic.default", emit_linear_dynamic},
    {"aten.matmul.default", emit_matmul},
    {"aten.bmm.default", emit_matmul},
    {"aten.mm.default", emit_matmul},
    {"aten.softmax.int", emit_softmax},
    {"aten.layer_norm.default", emit_layer_norm},
};

}  // namespace

std::span<const Emitter> matrix_emitters() { return kEmitters; }

}  // namespace quoin::cpu
