// How rows of the operator table are written. A file of the table has an array of rows, and one function that returns
// it; all.cpp sorts them once.
#pragma once

#include "ops/schema.hpp"
#include "ops/shape.hpp"

namespace quoin::table {

using Types = Result<std::vector<TensorType>>;
using Operands = std::span<const TensorType* const>;

// Plain data: code that builds schemas would be most of the table's bytes.
struct Row {
  const char* name;
  const char* signature;  // operands, attributes and results: see signature.hpp
  Infer infer;
  Traits traits{};
};
using Rows = std::span<const Row>;

inline constexpr Traits kElementwise{.elementwise = true};
inline constexpr Traits kClamp{.clamps = true, .elementwise = true};
inline constexpr Traits kMoves{.moves_data = true};
inline constexpr Traits kView{.moves_data = true, .view = true};
inline constexpr Traits kIdentity{.moves_data = true, .elementwise = true, .view = true};

// -- inference helpers
Types one(DType dtype, const Shape& shape);
Types one(DType dtype, std::initializer_list<int64_t> shape);
Types two(DType first, const Shape& first_shape, DType second, const Shape& second_shape);
Types same_as_first(Operands operands, const Attrs& attrs);
Types float_as_first(Operands operands, const Attrs& attrs);  // integers become f32 (exp, softmax, ...)

Result<DType> dtype_attr(const Attrs& attrs, std::string_view name);
Status expect_rank(const TensorType& type, size_t rank, std::string_view what);
Status expect_shape(const TensorType* type, const Shape& shape, std::string_view what);  // null passes
Status expect_shape(const TensorType* type, std::initializer_list<int64_t> shape, std::string_view what);
Status expect_integer(const TensorType& type, std::string_view what);  // s32 or s64: indices
Status expect_real(const TensorType& type, std::string_view what);     // f32, f16 or bf16
Status expect_storage(DType dtype);                                    // of quantized numbers
// quant_min and quant_max, where given, lie in what `storage` holds. Error (model).
Status expect_limits(const Attrs& attrs, DType storage);

// One spatial dim of a convolution or pooling window.
struct Window {
  int64_t size, kernel, stride, pad, dilation;
  bool ceil = false;  // the last window may start inside and end outside (never starts in the right padding)
};
Result<int64_t> window_count(const Window& window);
// Every element in [low, 2^31). Error names the attribute.
Status expect_range(const Attrs& attrs, std::string_view name, int64_t low);

// -- the files of the table
Rows convolution();
Rows matrix();
Rows normalization();
Rows unary();
Rows binary();
Rows pooling();
Rows reduction();
Rows reshaping();
Rows moving();
Rows indexing();
Rows creation();
Rows quantization();
Rows affine();
Rows language();

}  // namespace quoin::table
