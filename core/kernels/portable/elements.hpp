// Reading, writing and converting tensor elements of every storage type. Blocks of elements travel through small stack
// buffers; nothing allocates except Converter's construction.
#pragma once

#include <quoin/abi.h>

#include "ops/scale_layout.hpp"

namespace quoin::kernels {

// Elements [first, first + count) as integers; floating types are truncated, out of range saturates, NaN is 0.
// `columns`: the last dim, which places the elements of sub-byte types.
struct Block {
  DType dtype;
  int64_t columns;
  static Block of(const TensorType& type) { return {type.dtype, type.shape.empty() ? 1 : type.shape.back()}; }
};
void read_integers(const Block& block, const void* data, int64_t first, int64_t count, int64_t* out);
void read_numbers(const Block& block, const void* data, int64_t first, int64_t count, double* out);
void write_integers(const Block& block, void* data, int64_t first, int64_t count, const int64_t* from);
void write_numbers(const Block& block, void* data, int64_t first, int64_t count, const double* from);
// One element; for small tensors and indices.
int64_t integer_at(DType dtype, const void* data, int64_t index);
double number_at(DType dtype, const void* data, int64_t index);
// The nearest value of a floating type (half to even; f16 and bf16 through f32); other types: the value itself.
double rounded(DType dtype, double value);

// Makes elements of type `to` from elements of type `from`; the shapes have equal sizes.
//   equal types                  bytes are copied
//   quantized -> real            numerics::dequantize
//   real -> quantized            numerics::quantize with 1.0f / scale
//   quantized -> quantized       per tensor: numerics::rescale; otherwise dequantize, then quantize
//   real -> real                 integers exactly (wrapping), others through binary64; bool is != 0
class Converter {
 public:
  // Borrows the qparams of both types.
  static Result<Converter> make(const TensorType& from, const TensorType& to);
  void run(const quoin_host& host, const void* from, void* to) const;
  bool copies() const { return path_ == Path::copy; }

 private:
  enum class Path { copy, integers, numbers, rescale, scaled };
  struct Side {
    Block block{};
    const QParams* qparams = nullptr;
    ScaleLayout scales;
  };
  static Status describe(const TensorType& type, Side& out);
  void run_range(const void* from, void* to, int64_t begin, int64_t end) const;
  void rescale(const void* from, void* to, int64_t first, int64_t count) const;
  void scaled(const void* from, void* to, int64_t first, int64_t count) const;

  Path path_ = Path::copy;
  Side from_, to_;
  int64_t count_ = 0, bytes_ = 0;  // elements; bytes where they are copied
};

}  // namespace quoin::kernels
