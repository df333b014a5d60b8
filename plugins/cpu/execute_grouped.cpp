// Weights of few bits in groups; `grouped` and n, k say their layout (grouped.hpp).
// quantize_tokens: rows of k floats x -> y codes, y2 sums of groups, multiplier scales, sums zero points; flags
//   numerics::Dynamic, eps the smallest scale, divisor what the sums are multiplied by.
// gemm_grouped: x codes, x2 scales, sums zero points, x3 sums of groups. gemm_grouped_f32: x rows of k floats.
//   Both: weights packed with their corrections behind them, bias.
// embed_f32, embed_codes: rows indices x into a table of n rows of k; weights the rows, multiplier scales, sums zero
//   points.
#include <quoin/numerics.hpp>

#include <cmath>

#include "grouped_weights.hpp"
#include "kernels/pack.hpp"
#include "operations.hpp"

namespace quoin::cpu {
namespace {

constexpr int64_t kWork = 64 * 1024;  // bytes of weights, times rows, worth waking a thread for

GroupedLayout checked_layout(const Instruction& i, const Checker& c) {
  c.size(i.rows, "rows");
  c.size(i.n, "n");
  c.size(i.k, "k");
  const auto layout = groups_of(i);
  c.require(layout.has_value(), "no kernel has such groups");
  return *layout;
}

void check_quantize_tokens(const Instruction& i, const Checker& c) {
  const GroupedLayout layout = checked_layout(i, c);
  c.reads<float>(i.x, c.mul(i.rows, i.k));
  c.writes<int8_t>(i.y, c.mul(c.mul(i.rows, token_chunks(i.k, i.grouped.size)), kGroupedChunk));
  c.writes<int32_t>(i.y2, c.mul(i.rows, layout.groups));
  c.writes<float>(i.multiplier, i.rows);
  c.writes<int32_t>(i.sums, i.rows);
  c.require(i.flags <= static_cast<uint32_t>(numerics::Dynamic::token_symmetric), "unknown scheme");
  c.require(i.eps > 0 && std::isfinite(i.eps), "the smallest scale is not positive");
  c.require(i.divisor == layout.sum_factor(), "sums are not multiplied by the offset of codes");
}
void run_quantize_tokens(const Instruction& i, const Context& c) {
  QuantizeTokens q;
  q.x = c.at<const float>(i.x);
  q.x_stride = q.k = i.k;
  q.codes = c.at<int8_t>(i.y);
  q.sums = c.at<int32_t>(i.y2);
  q.scale = c.at<float>(i.multiplier);
  q.zero_point = c.at<int32_t>(i.sums);
  q.rows = i.rows;
  q.group = i.grouped.size;
  q.sum_factor = i.divisor;
  q.choose = choose_token;
  q.scheme = i.flags;
  q.eps = i.eps;
  c.parallel(i.rows, std::max<int64_t>(1, kWork / 4 / i.k), [&](uint64_t begin, uint64_t end, uint32_t) noexcept {
    QuantizeTokens part = q;
    part.row_begin = static_cast<int64_t>(begin);
    part.row_end = static_cast<int64_t>(end);
    c.kernels.quantize_tokens(part);
  });
}

// Weights and bias of a product.
GroupedLayout check_product(const Instruction& i, const Checker& c) {
  const GroupedLayout layout = checked_layout(i, c);
  c.parameters<uint8_t>(i.weights, c.add(layout.bytes, c.mul(layout.blocks, kGroupedBlock * int64_t{sizeof(float)})));
  if (i.bias.space != Space::none) c.parameters<float>(i.bias, i.n);
  c.writes<float>(i.y, c.mul(i.rows, i.n));
  return layout;
}

// Decoding reads every weight for one row, prefill for many: either way ranges of blocks are independent. Pieces of
// prefill are larger, since each walks over all codes of x.
template <class F>
void over_blocks(const Context& c, const GroupedLayout& layout, int64_t rows, const F& f) {
  const int64_t work = std::max<int64_t>(kWork / (layout.block_bytes * rows), 1);
  const int64_t share = layout.blocks / (int64_t{c.workers} * 8);
  c.parallel(layout.blocks, std::max(work, share), f);
}

void check_gemm_grouped(const Instruction& i, const Checker& c) {
  const GroupedLayout layout = check_product(i, c);
  c.reads<int8_t>(i.x, c.mul(c.mul(i.rows, token_chunks(i.k, i.grouped.size)), kGroupedChunk));
  c.reads<float>(i.x2, i.rows);
  c.reads<int32_t>(i.sums, i.rows);
  c.reads<int32_t>(i.x3, c.mul(i.rows, layout.groups));
}
void run_gemm_grouped(const Instruction& i, const Context& c) {
  const GroupedLayout layout = *groups_of(i);
  GemmGrouped g;
  g.layout = &layout;
  g.weights = c.at<const uint8_t>(i.weights);
  g.corr = reinterpret_cast<const float*>(g.weights + layout.bytes);
  g.codes = c.at<const int8_t>(i.x);
  g.sums = c.at<const int32_t>(i.x3);
  g.scale = c.at<const float>(i.x2);
  g.zero_point = c.at<const int32_t>(i.sums);
  if (i.bias.space != Space::none) g.bias = c.at<const float>(i.bias);
  g.y = c.at<float>(i.y);
  g.y_stride = i.n;
  g.rows = g.row_end = i.rows;
  g.low = i.low_f;
  g.high = i.high_f;
  over_blocks(c, layout, i.rows, [&](uint64_t begin, uint64_t end, uint32_t) noexcept {
    GemmGrouped part = g;
    part.block_begin = static_cast<int64_t>(begin);
    part.block_end = static_cast<int64_t>(end);
    c.kernels.gemm_grouped(part);
  });
}

void check_gemm_grouped_f32(const Instruction& i, const Checker& c) {
  const GroupedLayout layout = check_product(i, c);
  c.reads<float>(i.x, c.mul(i.rows, i.k));
  c.worker(static_cast<uint64_t>(c.mul(grouped_panel(layout), sizeof(float))));
}
void run_gemm_grouped_f32(const Instruction& i, const Context& c) {
  const GroupedLayout layout = *groups_of(i);
  GemmGroupedF32 g;
  g.layout = &layout;
  g.weights = c.at<const uint8_t>(i.weights);
  g.x = c.at<const float>(i.x);
  g.x_stride = i.k;
  if (i.bias.space != Space::none) g.bias = c.at<const float>(i.bias);
  g.y = c.at<float>(i.y);
  g.y_stride = i.n;
  g.rows = i.rows;
  g.low = i.low_f;
  g.high = i.high_f;
  over_blocks(c, layout, i.rows, [&](uint64_t begin, uint64_t end, uint32_t worker) noexcept {
    GemmGroupedF32 part = g;
    part.block_begin = static_cast<int64_t>(begin);
    part.block_end = static_cast<int64_t>(end);
    part.panel = c.worker<float>(worker);
    c.kernels.gemm_grouped_f32(part);
  });
}

// -- embedding

// The row of the table that index `n` names; negative ones count from the end.
int64_t row_of(const Instruction& i, const Context& c, int64_t n) {
  const int64_t index = c.at<const int64_t>(i.x)[n];
  if (index >= -i.n && index < i.n) return index < 0 ? index + i.n : index;
  throw sdk::Failure(QUOIN_INVALID, "index " + std::to_string(index) + " of token " + std::to_string(n) +
                                        " is outside the embedding of " + std::to_string(i.n) + " rows");
}

void check_embed(const Instruction& i, const Checker& c) {
  c.size(i.rows, "rows");
  c.size(i.n, "n");
  c.size(i.k, "k");
  c.reads<int64_t>(i.x, i.rows);
  c.writes<float>(i.y, c.mul(i.rows, i.k));
}
void check_embed_f32(const Instruction& i, const Checker& c) {
  check_embed(i, c);
  c.parameters<float>(i.weights, c.mul(i.n, i.k));
}
void run_embed_f32(const Instruction& i, const Context& c) {
  for (int64_t n = 0; n < i.rows; ++n)
    std::copy_n(c.at<const float>(i.weights, row_of(i, c, n) * i.k), i.k, c.at<float>(i.y, n * i.k));
}

void check_embed_codes(const Instruction& i, const Checker& c) {
  check_embed(i, c);
  const GroupedLayout layout = checked_layout(i, c);
  const int64_t groups = c.mul(i.n, layout.groups);
  c.parameters<uint8_t>(i.weights, c.mul(i.n, (c.mul(i.k, layout.spec.bits) + 7) / 8));
  c.parameters<uint8_t>(i.multiplier, c.mul(groups, scale_bytes(layout.spec.scale)));
  if (layout.spec.zeros) c.parameters<int8_t>(i.sums, groups);
}
void run_embed_codes(const Instruction& i, const Context& c) {
  EmbedGrouped e;
  e.spec = groups_of(i)->spec;
  e.codes = c.at<const uint8_t>(i.weights);
  e.scales = c.at<const std::byte>(i.multiplier);
  if (e.spec.zeros) e.zeros = c.at<const int8_t>(i.sums);
  e.count = 1;
  e.y_stride = i.k;
  for (int64_t n = 0; n < i.rows; ++n) {
    const int64_t row = row_of(i, c, n);
    e.indices = &row;
    e.y = c.at<float>(i.y, n * i.k);
    c.kernels.embed_grouped(e);
  }
}

constexpr Operation kOperations[] = {
    {Op::quantize_tokens, "quantize_tokens", check_quantize_tokens, run_quantize_tokens},
    {Op::gemm_grouped, "gemm_grouped", check_gemm_grouped, run_gemm_grouped},
    {Op::gemm_grouped_f32, "gemm_grouped_f32", check_gemm_grouped_f32, run_gemm_grouped_f32},
    {Op::embed_f32, "embed_f32", check_embed_f32, run_embed_f32},
    {Op::embed_codes, "embed_codes", check_embed_codes, run_embed_codes},
};

}  // namespace

std::span<const Operation> grouped_operations() { return kOperations; }

}  // namespace quoin::cpu
