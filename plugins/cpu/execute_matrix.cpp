// quantize_rows: rows of n floats -> y u8, multiplier scale per row, sums zero point per row; flags numerics::Dynamic,
// eps the smallest scale.
// gemm_u8_f32: x with x2 row scales and sums row zero points; multiplier: weight scales, weight sums, bias, each
// padded. matmul_f32: batch products [rows][k] x [k][n] (or [n][k] with kRowsOperand), times ratio. softmax_f32,
// layer_norm_f32: rows of n; weights gamma, bias beta.
#include <quoin/numerics.hpp>

#include <cmath>

#include "kernels/pack.hpp"
#include "pieces.hpp"

namespace quoin::cpu {
namespace {

constexpr int64_t kMaxDepth = 65000;  // products of u8 and s8 that an int32 can sum
int64_t padded(int64_t channels) { return round_up(channels, kChannelPadding); }

void check_matrix(const Instruction& i, const Checker& c) {
  c.size(i.rows, "rows");
  c.size(i.n, "n");
  c.size(i.k, "k");
  c.mul(c.mul(i.rows, i.k), 4);
}

void check_quantize_rows(const Instruction& i, const Checker& c) {
  c.size(i.rows, "rows");
  c.size(i.n, "n");
  c.reads<float>(i.x, c.mul(i.rows, i.n));
  c.writes<uint8_t>(i.y, c.mul(i.rows, i.n));
  c.writes<float>(i.multiplier, i.rows);
  c.writes<int32_t>(i.sums, i.rows);
  c.require(i.flags <= static_cast<uint32_t>(numerics::Dynamic::token_symmetric), "unknown scheme");
  c.require(i.eps > 0 && std::isfinite(i.eps), "the smallest scale is not positive");
}
RowParams choose(const QuantizeRows& g, float min, float max) {
  const auto scheme = static_cast<numerics::Dynamic>(g.scheme);
  const numerics::Affine q = numerics::choose_dynamic(scheme, min, max, -128, 127, g.eps);
  return {q.scale, q.zero_point, scheme == numerics::Dynamic::token};
}
void run_quantize_rows(const Instruction& i, const Context& c) {
  c.parallel(i.rows, 16, [&](uint64_t begin, uint64_t end, uint32_t) noexcept {
    const auto first = static_cast<int64_t>(begin);
    QuantizeRows q;
    q.x = c.at<const float>(i.x, first * i.n);
    q.y = c.at<uint8_t>(i.y, first * i.n);
    q.x_stride = q.y_stride = q.cols = i.n;
    q.scale = c.at<float>(i.multiplier, first);
    q.zero_point = c.at<int32_t>(i.sums, first);
    q.rows = static_cast<int64_t>(end - begin);
    q.choose = choose;
    q.scheme = i.flags;
    q.eps = i.eps;
    c.kernels.quantize_rows(q);
  });
}

void check_gemm_u8_f32(const Instruction& i, const Checker& c) {
  check_matrix(i, c);
  c.require(i.k <= kMaxDepth, "too many products for int32");
  c.require(i.x_stride == i.k && i.y_stride == i.n, "rows are not dense");
  c.reads<uint8_t>(i.x, c.mul(i.rows, i.k));
  c.reads<float>(i.x2, i.rows);
  c.reads<int32_t>(i.sums, i.rows);
  c.writes<float>(i.y, c.mul(i.rows, i.n));
  c.parameters<int8_t>(i.weights, packed_gemm_s8(i.n, i.k));
  c.parameters<float>(i.multiplier, 3 * padded(i.n));
}
void run_gemm_u8_f32(const Instruction& i, const Context& c) {
  GemmU8F32 g;
  g.b = c.at<const int8_t>(i.weights);
  g.multiplier = c.at<const float>(i.multiplier);
  g.sums = c.at<const int32_t>(i.multiplier, padded(i.n));
  g.float_bias = g.multiplier + 2 * padded(i.n);
  g.low = i.low_f;
  g.high = i.high_f;
  g.a_stride = i.k;
  g.y_stride = i.n;
  g.k = i.k;
  const auto call = [&](int64_t row, int64_t rows, int64_t n0, int64_t n) noexcept {
    GemmU8F32 part = g;
    part.a = c.at<const uint8_t>(i.x, row * i.k);
    part.row_scale = c.at<const float>(i.x2, row);
    part.row_zero = c.at<const int32_t>(i.sums, row);
    part.y = c.at<float>(i.y, row * i.n + n0);
    part.b += n0 * round_up(i.k, 4);
    part.multiplier += n0;
    part.sums += n0;
    part.float_bias += n0;
    part.rows = rows;
    part.n = n;
    c.kernels.gemm_u8_f32(part);
  };
  share_out(c, i.rows, i.n, i.k, call);
}

void check_matmul(const Instruction& i, const Checker& c) {
  check_matrix(i, c);
  c.size(i.batch, "batch");
  c.reads<float>(i.x, c.mul(i.batch, c.mul(i.rows, i.k)));
  c.reads<float>(i.x2, c.mul(i.batch, c.mul(i.k, i.n)));
  c.writes<float>(i.y, c.mul(i.batch, c.mul(i.rows, i.n)));
  if (i.flags & kRowsOperand) c.worker(static_cast<uint64_t>(c.mul(c.mul(round_up(i.n, 16), i.k), sizeof(float))));
}
void run_matmul(const Instruction& i, const Context& c) {
  // Shares out batches, or the rows of a single one; each worker packs the second operand for itself.
  const bool by_batch = i.batch > 1;
  c.parallel(by_batch ? i.batch : i.rows, by_batch ? 1 : 16,
             [&](uint64_t begin, uint64_t end, uint32_t worker) noexcept {
               const auto first = static_cast<int64_t>(begin), last = static_cast<int64_t>(end);
               for (int64_t m = by_batch ? first : 0; m < (by_batch ? last : 1); ++m) {
                 const int64_t row = by_batch ? 0 : first;
                 GemmF32 g;
                 g.a = c.at<const float>(i.x, (m * i.rows + row) * i.k);
                 g.y = c.at<float>(i.y, (m * i.rows + row) * i.n);
                 g.b = c.at<const float>(i.x2, m * i.k * i.n);
                 g.b_block_stride = 16;
                 g.b_row_stride = i.n;
                 if (i.flags & kRowsOperand) {
                   float* packed = c.worker<float>(worker);
                   c.kernels.pack_rows_f32({g.b, i.k, i.n, i.k, packed});
                   g.b = packed;
                   g.b_block_stride = 16 * i.k;
                   g.b_row_stride = 16;
                 }
                 g.a_stride = i.k;
                 g.y_stride = i.n;
                 g.rows = by_batch ? i.rows : last - first;
                 g.n = i.n;
                 g.k = i.k;
                 g.scale = i.ratio;
                 c.kernels.gemm_f32(g);
               }
             });
}

void check_rows(const Instruction& i, const Checker& c) {
  c.size(i.rows, "rows");
  c.size(i.n, "n");
  c.reads<float>(i.x, c.mul(i.rows, i.n));
  c.writes<float>(i.y, c.mul(i.rows, i.n));
}
void run_softmax(const Instruction& i, const Context& c) {
  c.parallel(i.rows, 16, [&](uint64_t begin, uint64_t end, uint32_t) noexcept {
    const auto first = static_cast<int64_t>(begin);
    SoftmaxF32 s;
    s.x = c.at<const float>(i.x, first * i.n);
    s.y = c.at<float>(i.y, first * i.n);
    s.rows = static_cast<int64_t>(end - begin);
    s.cols = s.x_stride = s.y_stride = i.n;
    c.kernels.softmax_f32(s);
  });
}

void check_layer_norm(const Instruction& i, const Checker& c) {
  check_rows(i, c);
  if (i.weights.space != Space::none) c.parameters<float>(i.weights, i.n);
  if (i.bias.space != Space::none) c.parameters<float>(i.bias, i.n);
}
void run_layer_norm(const Instruction& i, const Context& c) {
  c.parallel(i.rows, 16, [&](uint64_t begin, uint64_t end, uint32_t) noexcept {
    const auto first = static_cast<int64_t>(begin);
    LayerNormF32 l;
    l.x = c.at<const float>(i.x, first * i.n);
    l.y = c.at<float>(i.y, first * i.n);
    if (i.weights.space != Space::none) l.gamma = c.at<const float>(i.weights);
    if (i.bias.space != Space::none) l.beta = c.at<const float>(i.bias);
    l.rows = static_cast<int64_t>(end - begin);
    l.cols = l.x_stride = l.y_stride = i.n;
    l.eps = i.eps;
    c.kernels.layer_norm_f32(l);
  });
}

constexpr Operation kOperations[] = {
    {Op::quantize_rows, "quantize_rows", check_quantize_rows, run_quantize_rows},
    {Op::gemm_u8_f32, "gemm_u8_f32", check_gemm_u8_f32, run_gemm_u8_f32},
    {Op::matmul_f32, "matmul_f32", check_matmul, run_matmul},
    {Op::softmax_f32, "softmax_f32", check_rows, run_softmax},
    {Op::layer_norm_f32, "layer_norm_f32", check_layer_norm, run_layer_norm},
};

}  // namespace

std::span<const Operation> matrix_operations() { return kOperations; }

}  // namespace quoin::cpu
