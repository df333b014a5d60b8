// Element types. Values equal the QUOIN_* codes of the plugin ABI and of program files.
#pragma once

#include <quoin/abi.h>

#include <cstdint>
#include <optional>
#include <string_view>

namespace quoin {

enum class DType : uint32_t {
  f32 = QUOIN_F32,
  f16 = QUOIN_F16,
  bf16 = QUOIN_BF16,
  f64 = QUOIN_F64,
  s8 = QUOIN_S8,
  u8 = QUOIN_U8,
  s16 = QUOIN_S16,
  u16 = QUOIN_U16,
  s32 = QUOIN_S32,
  s64 = QUOIN_S64,
  boolean = QUOIN_BOOL,
  s4 = QUOIN_S4,
  u4 = QUOIN_U4,
  s2 = QUOIN_S2,
};

// "f32", "s8", "bool" ...; the spelling of printed graphs, recipes and messages.
std::string_view name(DType dtype);
std::optional<DType> parse_dtype(std::string_view text);
std::optional<DType> dtype_from_code(uint32_t code);
uint32_t bits(DType dtype);  // of one element
bool is_floating(DType dtype);
bool is_integer(DType dtype);  // bool is not

}  // namespace quoin
