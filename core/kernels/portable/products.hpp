// What convolutions and matrix products share: dot products in float and in wrapping int32, and how int32 sums become
// results (numerics.hpp).
#pragma once

#include <quoin/numerics.hpp>

#include "kernels/portable/kernel.hpp"

namespace quoin::kernels {

// Sums of integer products wrap modulo 2^32, which is exact wherever the true sum fits int32.
using Word = uint32_t;

// sum of a[k] * b[k]. Sixteen interleaved partial sums, added in order at the end: the compiler may use vector
// registers of any width without changing the result.
template <class T>
T dot(const T* a, const T* b, int64_t count) {
  constexpr int64_t kLanes = 16;
  T lanes[kLanes] = {};
  int64_t k = 0;
  for (; k + kLanes <= count; k += kLanes)
    for (int64_t lane = 0; lane < kLanes; ++lane) lanes[lane] += a[k + lane] * b[k + lane];
  T sum{};
  for (const T lane : lanes) sum += lane;
  for (; k < count; ++k) sum += a[k] * b[k];
  return sum;
}

// The same of integers around zero points of 8-bit types, which fit 16 bits: compilers multiply them several at a time
// even on the oldest instruction sets.
inline Word dot(const int16_t* a, const int16_t* b, int64_t count) {
  Word sum = 0;
  for (int64_t k = 0; k < count; ++k) sum += static_cast<Word>(int32_t{a[k]} * int32_t{b[k]});
  return sum;
}

// The numbers of a type that tensor_quantized() holds for.
struct PerTensor {
  DType dtype = DType::s8;
  float scale = 1;
  int32_t zero_point = 0, qmin = 0, qmax = 0;
  static PerTensor of(const TensorType& type);
  // q - zero point of element i.
  int64_t read(const void* data, int64_t i) const { return integer_at(dtype, data, i) - zero_point; }
  // numerics::requantize as element i.
  void write(int64_t sum, float multiplier, void* out, int64_t i) const;
};

// A quantized tensor, read as numbers around its zero points.
struct Centered {
  const TensorType* type = nullptr;
  ScaleLayout layout;
  Status prepare(const TensorType& tensor);  // which outlives this
  int64_t count() const { return numel(type->shape); }
  // out[i] = q - zero point, as T: Word, or int16_t for types of at most 8 bits.
  void read(const quoin_host& host, const void* data, Word* out) const;
  void read(const quoin_host& host, const void* data, int16_t* out) const;
  // Elements [begin, end): out[i - begin] = numerics::dequantize.
  void dequantize(const void* data, int64_t begin, int64_t end, float* out) const;

 private:
  // f(scale index, first, count, codes) over the elements [begin, end) in pieces with one scale each.
  using Pieces = Callback<size_t, int64_t, int64_t, const int64_t*>;
  void pieces(const void* data, int64_t begin, int64_t end, Pieces f) const;
  template <class T>
  void read_as(const quoin_host& host, const void* data, T* out) const;
};

// Turns the sum of output channel c into element i of the result. Scales: s[c] = scale_x * scale_w[c].
//   quantized result: numerics::requantize(sum + int32 bias, ...)
//   float result:     numerics::dequantize_product(sum + int32 bias, ...) + float bias
class ProductOutput {
 public:
  // `channels`: of the output (a group of a transposed convolution has fewer scales: they repeat). Bias is slot 2 if
  // the operator has one.
  void prepare(const NodeView& node, int64_t channels);
  // The types of x, weight, bias and result that integer products are defined for. `weight_axis`: the dim of a
  // per-channel weight that counts output channels.
  static bool accepts(const NodeView& view, int32_t weight_axis);

  void store(Word sum, int64_t channel, const void* bias, void* out, int64_t index) const;
  // A sum without bias that int32 need not hold.
  void store(int64_t sum, int64_t channel, void* out, int64_t index) const;

 private:
  struct Scale {
    float w, multiplier;  // multiplier: of quantized results
  };
  float scale_x_ = 1;
  std::vector<Scale> scales_;  // per channel
  bool quantized_ = false;
  DType bias_ = DType::f32;
  PerTensor out_;
};

// A row that is quantized with its own range.
struct DynamicRow {
  numerics::Dynamic scheme = numerics::Dynamic::token;
  int32_t qmin = -128, qmax = 127;
  float eps = numerics::kDefaultEps;
  // Of the range of x and `start`.
  numerics::Affine choose(float start, const float* x, int64_t count) const;
  int32_t quantize(float x, const numerics::Affine& q) const;
};

// Quantized, at most 8 bits.
bool small_integers(const TensorType& type);
bool real_f32(const TensorType& type);
// Per-tensor quantized, 8 to 16 bits.
bool tensor_quantized(const TensorType& type);
void store_integer(DType dtype, void* out, int64_t index, int32_t value);

}  // namespace quoin::kernels
