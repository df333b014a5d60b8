// Float kernels of language models; the conventions of kernels.hpp hold.
#pragma once

#include <cstdint>

namespace quoin::cpu {

// x / sqrt(mean(x^2) + eps) * gamma.
struct RmsNormF32 {
  const float* x = nullptr;
  const float* gamma = nullptr;  // [cols]; null: 1
  float* y = nullptr;
  int64_t rows = 0, cols = 0, x_stride = 0, y_stride = 0;
  float eps = 1e-6f;
};

// One token: turns pair i of every head by the angle whose cosine and sine are given; pairs are (i, i + pairs), or
// (2i, 2i + 1) if interleaved. Elements behind 2 * pairs are copied. May run in place.
struct RopeF32 {
  const float* x = nullptr;  // [heads][length]
  float* y = nullptr;
  const float* cosines = nullptr;  // [pairs]
  const float* sines = nullptr;
  int64_t heads = 0, length = 0, pairs = 0;
  bool interleaved = false;
};

// Rows of one key/value head: floats, or s8 codes with (code - affine[1]) * affine[0].
template <class T>
struct CacheRows {
  const T* data = nullptr;
  const float* affine = nullptr;  // codes only
  int64_t stride = 0;             // elements between rows
  int64_t affine_stride = 0;
  int64_t length = 0;  // elements of a row
};

// softmax(scale * q . k) . v for `tokens` tokens and the `heads` query heads that share one key/value head. Token t
// sees the rows 0 .. positions[t], of which the last `window` count if that is not 0. Rows are taken in blocks with a
// running maximum, so the memory does not grow with the cache.
// Scores differ from the portable kernel's by the order of a sum of keys.length products; results by at most
// 2e-6 * (1 + largest |value|) * (1 + largest |score|).
template <class T>
struct Attention {
  const float* query = nullptr;  // [tokens][query_stride], heads dense behind each other
  int64_t query_stride = 0;
  int64_t tokens = 0, heads = 0;
  CacheRows<T> keys, values;
  const int64_t* positions = nullptr;  // rows of the cache: checked by the caller
  int64_t window = 0;
  float scale = 1;
  float* y = nullptr;  // [tokens][y_stride], heads dense behind each other
  int64_t y_stride = 0;
  float* scratch = nullptr;  // attention_floats(tokens * heads, keys.length, values.length), aligned to 64 bytes
};

inline constexpr int64_t kAttentionKeys = 64;  // rows of a block

// Scratch of attention over `rows` pairs of a token and a head.
inline constexpr int64_t attention_floats(int64_t rows, int64_t length, int64_t value_length) {
  const int64_t state = rows * (length + kAttentionKeys + value_length + 2);
  const int64_t block = kAttentionKeys * (2 * length + value_length);  // a block as floats, and its keys packed
  return (state + 15) / 16 * 16 + block;
}

}  // namespace quoin::cpu
