// How rows of the operator table are written. A row is op(name, slots, attributes, inference, traits); a file of the
// table is one function that returns its rows; all.cpp sorts them once.
#pragma once

#include "ops/schema.hpp"
#include "ops/shape.hpp"

namespace quoin::table {

using Types = Result<std::vector<TensorType>>;
using Operands = std::span<const TensorType* const>;
using Rows = std::vector<OpSchema>;

// -- slots and attributes. Names are plain pointers, and nothing here is inline: rows are many, and code to make
// strings of them in place would be most of the table's bytes.
struct SlotRow {
  const char* name;
  bool optional;
};
constexpr SlotRow in(const char* name) { return {name, false}; }
constexpr SlotRow opt(const char* name) { return {name, true}; }
using Slots = std::initializer_list<SlotRow>;

// A value after the name is the default; without one the attribute is required.
AttrSpec flag(const char* name, std::optional<bool> fallback = {});
AttrSpec integer(const char* name, std::optional<int64_t> fallback = {});
AttrSpec number(const char* name, std::optional<double> fallback = {});
AttrSpec text(const char* name, const char* fallback = nullptr);
AttrSpec ints(const char* name, std::optional<std::vector<int64_t>> fallback = {}, uint32_t length = 0);
AttrSpec numbers(const char* name);
AttrSpec maybe(AttrSpec spec);                     // may be absent without a default
AttrSpec like(AttrSpec spec, const char* source);  // absent or empty: equal to attribute `source`

OpSchema op(const char* name, Slots inputs, std::vector<AttrSpec> attrs, Infer infer, Traits traits = {});
OpSchema variadic(OpSchema row);  // the last slot repeats
OpSchema results(uint32_t count, OpSchema row);

inline constexpr Traits kElementwise{.elementwise = true};
inline constexpr Traits kClamp{.clamps = true, .elementwise = true};
inline constexpr Traits kMoves{.moves_data = true};
inline constexpr Traits kView{.moves_data = true, .view = true};
inline constexpr Traits kIdentity{.moves_data = true, .elementwise = true, .view = true};

// -- inference helpers
inline Types one(DType dtype, Shape shape) { return std::vector<TensorType>{{dtype, std::move(shape), nullptr}}; }
Types same_as_first(Operands operands, const Attrs& attrs);
Types float_as_first(Operands operands, const Attrs& attrs);  // integers become f32 (exp, softmax, ...)

Result<DType> dtype_attr(const Attrs& attrs, std::string_view name);
Status expect_rank(const TensorType& type, size_t rank, std::string_view what);
Status expect_shape(const TensorType* type, const Shape& shape, std::string_view what);  // null passes
Status expect_integer(const TensorType& type, std::string_view what);                    // s32 or s64: indices
Status expect_real(const TensorType& type, std::string_view what);                       // f32, f16 or bf16
Status expect_storage(DType dtype);                                                      // of quantized numbers
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
