// rms_norm_f32: rows of n; weights gamma.
// rope_table: for each of rows positions, the cosines of n angles and then their sines, times ratio; weights the
//   frequencies. rope_f32: rows tokens of n heads of k elements; x2 the table of `groups` pairs.
// kv_update_*: rows tokens x2 into a cache x -> y of k rows, n heads, `batch` elements; codes have scales and zero
//   points x3 -> y2. Caches may be one buffer.
// attention_*: rows tokens of n heads of k elements; caches x2 and x3 of `batch` rows and `groups` heads; y_stride:
//   elements of a value; x_stride: the window; ratio: the scale; multiplier and sums: scales and zero points of codes.
// silu_mul_f32: n elements.
#include "kernels/language.hpp"

#include <quoin/numerics.hpp>

#include <algorithm>
#include <cmath>

#include "operations.hpp"
#include "tiles.hpp"

namespace quoin::cpu {
namespace {

constexpr int64_t kGrain = 16384;  // elements worth waking a thread for

// Positions of tokens are only known while running. Returns the largest.
int64_t check_positions(const Instruction& i, const Context& c, int64_t cache_rows) {
  const auto* positions = c.at<const int64_t>(i.positions);
  for (int64_t t = 0; t < i.rows; ++t)
    if (positions[t] < 0 || positions[t] >= cache_rows)
      throw sdk::Failure(QUOIN_INVALID, "position " + std::to_string(positions[t]) + " of token " + std::to_string(t) +
                                            " is outside the cache of " + std::to_string(cache_rows) + " rows");
  return *std::max_element(positions, positions + i.rows);
}

// They come from outside, so nothing that the instructions write can change them after they were checked.
void check_outside(const Instruction& i, const Checker& c) {
  c.require(i.positions.space == Space::input, "positions are no input");
  c.reads<int64_t>(i.positions, i.rows);
}

void check_rms_norm(const Instruction& i, const Checker& c) {
  c.size(i.rows, "rows");
  c.size(i.n, "n");
  c.reads<float>(i.x, c.mul(i.rows, i.n));
  c.writes<float>(i.y, c.mul(i.rows, i.n));
  if (i.weights.space != Space::none) c.parameters<float>(i.weights, i.n);
}
void run_rms_norm(const Instruction& i, const Context& c) {
  c.parallel(i.rows, std::max<int64_t>(1, kGrain / i.n), [&](uint64_t begin, uint64_t end, uint32_t) noexcept {
    const auto first = static_cast<int64_t>(begin);
    RmsNormF32 g;
    g.x = c.at<const float>(i.x, first * i.n);
    g.y = c.at<float>(i.y, first * i.n);
    if (i.weights.space != Space::none) g.gamma = c.at<const float>(i.weights);
    g.rows = static_cast<int64_t>(end - begin);
    g.cols = g.x_stride = g.y_stride = i.n;
    g.eps = i.eps;
    c.kernels.rms_norm_f32(g);
  });
}

// -- rotary positions

void check_rope_table(const Instruction& i, const Checker& c) {
  c.size(i.rows, "rows");
  c.size(i.n, "n");
  c.reads<int64_t>(i.positions, i.rows);
  c.parameters<float>(i.weights, i.n);
  c.writes<float>(i.y, c.mul(c.mul(i.rows, i.n), 2));
}
// The library's functions of one f32 product, as in the portable kernel, on every instruction set.
void run_rope_table(const Instruction& i, const Context& c) {
  const auto* frequencies = c.at<const float>(i.weights);
  c.parallel(i.rows, std::max<int64_t>(1, kGrain / (32 * i.n)), [&](uint64_t begin, uint64_t end, uint32_t) noexcept {
    for (auto t = static_cast<int64_t>(begin); t < static_cast<int64_t>(end); ++t) {
      const auto position = static_cast<float>(c.at<const int64_t>(i.positions)[t]);
      float* y = c.at<float>(i.y, 2 * t * i.n);
      for (int64_t n = 0; n < i.n; ++n) {
        const float angle = position * frequencies[n];
        y[n] = std::cos(angle) * i.ratio;
        y[i.n + n] = std::sin(angle) * i.ratio;
      }
    }
  });
}

void check_rope(const Instruction& i, const Checker& c) {
  c.size(i.rows, "rows");
  c.size(i.n, "n");
  c.size(i.k, "k");
  c.size(i.groups, "groups");
  c.require(c.mul(i.groups, 2) <= i.k, "pairs leave a head");
  const int64_t count = c.mul(c.mul(i.rows, i.n), i.k);
  c.reads<float>(i.x, count);
  c.reads<float>(i.x2, c.mul(c.mul(i.rows, i.groups), 2));
  c.writes<float>(i.y, count);
}
void run_rope(const Instruction& i, const Context& c) {
  const int64_t line = i.n * i.k;
  c.parallel(i.rows, std::max<int64_t>(1, kGrain / line), [&](uint64_t begin, uint64_t end, uint32_t) noexcept {
    for (auto t = static_cast<int64_t>(begin); t < static_cast<int64_t>(end); ++t) {
      const auto* table = c.at<const float>(i.x2, 2 * t * i.groups);
      c.kernels.rope_f32({c.at<const float>(i.x, t * line), c.at<float>(i.y, t * line), table, table + i.groups, i.n,
                          i.k, i.groups, (i.flags & kInterleaved) != 0});
    }
  });
}

// -- caches

// Elements of the cache.
int64_t check_update(const Instruction& i, const Checker& c) {
  for (const int64_t size : {i.rows, i.n, i.k, i.batch}) c.size(size, "a size of the cache");
  c.reads<float>(i.x2, c.mul(c.mul(i.rows, i.n), i.batch));
  check_outside(i, c);
  return c.mul(c.mul(i.k, i.n), i.batch);
}

template <class T>
void carry_over(const Context& c, const Ref& from, const Ref& to, int64_t count) {
  const auto* x = c.at<const T>(from);
  auto* y = c.at<T>(to);
  if (x != y) std::memmove(y, x, static_cast<size_t>(count) * sizeof(T));
}

void check_kv_update_f32(const Instruction& i, const Checker& c) {
  const int64_t count = check_update(i, c);
  c.reads<float>(i.x, count);
  c.writes<float>(i.y, count);
}
void run_kv_update_f32(const Instruction& i, const Context& c) {
  check_positions(i, c, i.k);
  const int64_t line = i.n * i.batch;
  carry_over<float>(c, i.x, i.y, i.k * line);
  const auto* positions = c.at<const int64_t>(i.positions);
  for (int64_t t = 0; t < i.rows; ++t)
    std::copy_n(c.at<const float>(i.x2, t * line), line, c.at<float>(i.y, positions[t] * line));
}

void check_kv_update_s8(const Instruction& i, const Checker& c) {
  const int64_t count = check_update(i, c), pairs = c.mul(c.mul(i.k, i.n), 2);
  c.reads<int8_t>(i.x, count, 0);
  c.writes<int8_t>(i.y, count);
  c.reads<float>(i.x3, pairs);
  c.writes<float>(i.y2, pairs);
  c.worker(static_cast<uint64_t>(c.add(i.batch, kReadPadding)));
}
RowParams choose_row(const QuantizeRows& g, float min, float max) {
  const numerics::Affine q = numerics::choose_dynamic(numerics::Dynamic::token, min, max, -128, 127, g.eps);
  return {q.scale, q.zero_point, true};
}
// One row of one head; u8 in between, as the kernels have it.
void quantize_row(const Context& c, const float* x, int64_t count, uint8_t* room, int8_t* codes, float* affine) {
  int32_t zero = 0;
  QuantizeRows q;
  q.x = x;
  q.y = room;
  q.scale = affine;
  q.zero_point = &zero;
  q.rows = 1;
  q.cols = q.x_stride = q.y_stride = count;
  q.choose = choose_row;
  q.eps = numerics::kDefaultEps;
  c.kernels.quantize_rows(q);
  affine[1] = static_cast<float>(zero - 128);
  for (int64_t d = 0; d < count; ++d) codes[d] = static_cast<int8_t>(room[d] ^ 0x80);
}
void run_kv_update_s8(const Instruction& i, const Context& c) {
  check_positions(i, c, i.k);
  carry_over<int8_t>(c, i.x, i.y, i.k * i.n * i.batch);
  carry_over<float>(c, i.x3, i.y2, i.k * i.n * 2);
  const auto* positions = c.at<const int64_t>(i.positions);
  // By heads: a position that comes twice has the last of its rows, whatever thread writes it.
  c.parallel(i.n, std::max<int64_t>(1, kGrain / (4 * i.rows * i.batch)),
             [&](uint64_t begin, uint64_t end, uint32_t worker) noexcept {
               for (auto head = static_cast<int64_t>(begin); head < static_cast<int64_t>(end); ++head)
                 for (int64_t t = 0; t < i.rows; ++t) {
                   const int64_t at = positions[t] * i.n + head;
                   quantize_row(c, c.at<const float>(i.x2, (t * i.n + head) * i.batch), i.batch,
                                c.worker<uint8_t>(worker), c.at<int8_t>(i.y, at * i.batch), c.at<float>(i.y2, 2 * at));
                 }
             });
}

// -- attention

template <class T>
void check_attention(const Instruction& i, const Checker& c) {
  for (const int64_t size : {i.rows, i.n, i.k, i.groups, i.batch, i.y_stride}) c.size(size, "a size of the attention");
  c.size(i.x_stride, "window", 0);
  c.require(i.n % i.groups == 0, "heads of the cache do not divide those of the query");
  const int64_t cache = c.mul(i.batch, i.groups);
  c.reads<float>(i.x, c.mul(c.mul(i.rows, i.n), i.k));
  c.reads<T>(i.x2, c.mul(cache, i.k), 0);
  c.reads<T>(i.x3, c.mul(cache, i.y_stride), 0);
  if (sizeof(T) == 1) {
    c.reads<float>(i.multiplier, c.mul(cache, 2));
    c.reads<float>(i.sums, c.mul(cache, 2));
  }
  check_outside(i, c);
  c.writes<float>(i.y, c.mul(c.mul(i.rows, i.n), i.y_stride));
  constexpr int64_t limit = 1 << 24;  // of what a worker's memory is computed from
  c.require(i.n <= limit && i.k <= limit && i.y_stride <= limit, "a head is too large");
  c.worker(attention_bytes(i.n / i.groups, i.k, i.y_stride));
}

template <class T>
CacheRows<T> cache_of(const Instruction& i, const Context& c, const Ref& data, const Ref& affine, int64_t length) {
  CacheRows<T> out;
  out.data = c.at<const T>(data);
  if (sizeof(T) == 1) out.affine = c.at<const float>(affine);
  out.stride = i.groups * length;
  out.affine_stride = 2 * i.groups;
  out.length = length;
  return out;
}

// Pieces: some tokens with the query heads that share one head of the cache.
template <class T>
void run_attention(const Instruction& i, const Context& c, void (*kernel)(const Attention<T>&)) {
  const int64_t seen = check_positions(i, c, i.batch) + 1;
  Attention<T> g;
  g.heads = i.n / i.groups;
  g.query_stride = i.n * i.k;
  g.y_stride = i.n * i.y_stride;
  g.keys = cache_of<T>(i, c, i.x2, i.multiplier, i.k);
  g.values = cache_of<T>(i, c, i.x3, i.sums, i.y_stride);
  g.window = i.x_stride;
  g.scale = i.ratio;
  const int64_t step = attention_tokens(g.heads), blocks = (i.rows + step - 1) / step;
  const int64_t cost = std::min(step, i.rows) * g.heads * seen * (i.k + i.y_stride);
  c.parallel(blocks * i.groups, std::max<int64_t>(1, 8 * kGrain / cost),
             [&](uint64_t begin, uint64_t end, uint32_t worker) noexcept {
               for (auto piece = static_cast<int64_t>(begin); piece < static_cast<int64_t>(end); ++piece) {
                 const int64_t head = piece % i.groups, token = piece / i.groups * step;
                 Attention<T> part = g;
                 part.tokens = std::min(step, i.rows - token);
                 part.query = c.at<const float>(i.x, token * g.query_stride + head * g.heads * i.k);
                 part.y = c.at<float>(i.y, token * g.y_stride + head * g.heads * i.y_stride);
                 part.positions = c.at<const int64_t>(i.positions, token);
                 part.keys.data += head * i.k;
                 part.values.data += head * i.y_stride;
                 if (sizeof(T) == 1) {
                   part.keys.affine += 2 * head;
                   part.values.affine += 2 * head;
                 }
                 part.scratch = c.worker<float>(worker);
                 kernel(part);
               }
             });
}
void run_attention_f32(const Instruction& i, const Context& c) { run_attention(i, c, c.kernels.attention_f32); }
void run_attention_s8(const Instruction& i, const Context& c) { run_attention(i, c, c.kernels.attention_s8); }

void check_silu_mul(const Instruction& i, const Checker& c) {
  c.size(i.n, "n");
  c.reads<float>(i.x, i.n);
  c.reads<float>(i.x2, i.n);
  c.writes<float>(i.y, i.n);
}
void run_silu_mul(const Instruction& i, const Context& c) {
  c.parallel(i.n, kGrain / 4, [&](uint64_t begin, uint64_t end, uint32_t) noexcept {
    const auto first = static_cast<int64_t>(begin);
    c.kernels.silu_mul_f32(c.at<const float>(i.x, first), c.at<const float>(i.x2, first), c.at<float>(i.y, first),
                           static_cast<int64_t>(end - begin));
  });
}

constexpr Operation kOperations[] = {
    {Op::rms_norm_f32, "rms_norm_f32", check_rms_norm, run_rms_norm},
    {Op::rope_table, "rope_table", check_rope_table, run_rope_table},
    {Op::rope_f32, "rope_f32", check_rope, run_rope},
    {Op::kv_update_f32, "kv_update_f32", check_kv_update_f32, run_kv_update_f32},
    {Op::kv_update_s8, "kv_update_s8", check_kv_update_s8, run_kv_update_s8},
    {Op::attention_f32, "attention_f32", check_attention<float>, run_attention_f32},
    {Op::attention_s8, "attention_s8", check_attention<int8_t>, run_attention_s8},
    {Op::silu_mul_f32, "silu_mul_f32", check_silu_mul, run_silu_mul},
};

}  // namespace

std::span<const Operation> language_operations() { return kOperations; }

}  // namespace quoin::cpu
