#include "ops/dtype.hpp"

namespace quoin {
namespace {

struct Row {
  DType dtype;
  char name[5];
  uint8_t bits;
};
constexpr Row kRows[] = {
    {DType::f32, "f32", 32}, {DType::f16, "f16", 16}, {DType::bf16, "bf16", 16},   {DType::f64, "f64", 64},
    {DType::s8, "s8", 8},    {DType::u8, "u8", 8},    {DType::s16, "s16", 16},     {DType::u16, "u16", 16},
    {DType::s32, "s32", 32}, {DType::s64, "s64", 64}, {DType::boolean, "bool", 8}, {DType::s4, "s4", 4},
    {DType::u4, "u4", 4},    {DType::s2, "s2", 2},
};

}  // namespace

std::string_view name(DType dtype) {
  for (const Row& row : kRows)
    if (row.dtype == dtype) return row.name;
  return "?";
}

std::optional<DType> parse_dtype(std::string_view text) {
  for (const Row& row : kRows)
    if (row.name == text) return row.dtype;
  return std::nullopt;
}

std::optional<DType> dtype_from_code(uint32_t code) {
  for (const Row& row : kRows)
    if (static_cast<uint32_t>(row.dtype) == code) return row.dtype;
  return std::nullopt;
}

uint32_t bits(DType dtype) {
  for (const Row& row : kRows)
    if (row.dtype == dtype) return row.bits;
  return 0;
}

bool is_floating(DType dtype) {
  return dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16 || dtype == DType::f64;
}

bool is_integer(DType dtype) { return !is_floating(dtype) && dtype != DType::boolean; }

}  // namespace quoin
