// Block formats: ggml's block_q4_0, block_q5_0, block_q8_0, block_q4_K, block_q5_K and block_q6_K. d and m are f16.
#include "checkpoint/encoding.hpp"

#include <array>
#include <cstring>

#include "ops/half.hpp"

namespace quoin::checkpoint {
namespace {

constexpr int64_t kSmall = 32, kSuper = 256;  // elements of a block and of a super-block

template <class T>
T read(const std::byte* in) {
  T value;
  std::memcpy(&value, in, sizeof value);
  return value;
}
uint32_t byte_at(const std::byte* in, size_t i) { return std::to_integer<uint32_t>(in[i]); }
float half_at(const std::byte* in) { return half_to_float(read<uint16_t>(in)); }

void decode_f32(const std::byte* in, int64_t count, float* out) {
  std::memcpy(out, in, static_cast<size_t>(count) * sizeof(float));
}

template <float (*convert)(uint16_t)>
void decode_16(const std::byte* in, int64_t count, float* out) {
  for (int64_t i = 0; i < count; ++i) out[i] = convert(read<uint16_t>(in + 2 * i));
}

// d, 16 bytes: element i is low nibble i, element 16 + i the high one; less 8.
float codes_q4_0(const std::byte* in, int8_t* out) {
  for (size_t i = 0; i < 16; ++i) {
    const uint32_t pair = byte_at(in, 2 + i);
    out[i] = static_cast<int8_t>(static_cast<int>(pair & 15) - 8);
    out[i + 16] = static_cast<int8_t>(static_cast<int>(pair >> 4) - 8);
  }
  return half_at(in);
}

// d, 32 fifth bits, 16 bytes of nibbles as in q4_0; less 16.
float codes_q5_0(const std::byte* in, int8_t* out) {
  const auto fifth = read<uint32_t>(in + 2);
  for (size_t i = 0; i < 16; ++i) {
    const uint32_t pair = byte_at(in, 6 + i);
    out[i] = static_cast<int8_t>(static_cast<int>((pair & 15) | ((fifth >> i & 1) << 4)) - 16);
    out[i + 16] = static_cast<int8_t>(static_cast<int>((pair >> 4) | ((fifth >> (i + 16) & 1) << 4)) - 16);
  }
  return half_at(in);
}

// d, 32 bytes.
float codes_q8_0(const std::byte* in, int8_t* out) {
  std::memcpy(out, in + 2, static_cast<size_t>(kSmall));
  return half_at(in);
}

template <float (*codes)(const std::byte*, int8_t*), size_t bytes>
void decode_codes(const std::byte* in, int64_t count, float* out) {
  std::array<int8_t, kSmall> block;
  for (int64_t b = 0; b < count; ++b, in += bytes, out += kSmall) {
    const float d = codes(in, block.data());
    for (size_t i = 0; i < block.size(); ++i) out[i] = static_cast<float>(block[i]) * d;
  }
}

// The 6-bit scale and minimum of each of 8 blocks of 32, from 12 bytes.
struct ScaleMin {
  uint32_t scale, min;
};
ScaleMin scale_min(const std::byte* in, size_t j) {
  if (j < 4) return {byte_at(in, j) & 63, byte_at(in, j + 4) & 63};
  return {(byte_at(in, j + 4) & 15) | ((byte_at(in, j - 4) >> 6) << 4),
          (byte_at(in, j + 4) >> 4) | ((byte_at(in, j) >> 6) << 4)};
}

// d, m, scales and minima, [32 bytes of fifth bits,] 128 bytes: of every 64 elements the low nibbles, then the high
// ones. x = d * scale * q - m * min.
template <bool five>
void decode_k(const std::byte* in, int64_t count, float* out) {
  constexpr size_t kFifth = five ? 32 : 0, kHeader = 16;
  for (int64_t b = 0; b < count; ++b, in += kHeader + kFifth + 128) {
    const float d = half_at(in), m = half_at(in + 2);
    for (size_t j = 0; j < 8; ++j) {
      const ScaleMin block = scale_min(in + 4, j);
      const float scale = d * static_cast<float>(block.scale), min = m * static_cast<float>(block.min);
      for (size_t i = 0; i < 32; ++i) {
        uint32_t q = byte_at(in, kHeader + kFifth + j / 2 * 32 + i) >> (j % 2 * 4) & 15;
        if constexpr (five) q |= (byte_at(in, kHeader + i) >> j & 1) << 4;
        *out++ = scale * static_cast<float>(q) - min;
      }
    }
  }
}

// 128 bytes of low nibbles, 64 bytes of upper bit pairs, 16 s8 scales, d; codes less 32. Every half of 128 elements is
// four rows of 32: nibbles low, low of the next 32 bytes, high, high of the next 32 bytes.
void decode_q6_k(const std::byte* in, int64_t count, float* out) {
  for (int64_t b = 0; b < count; ++b, in += 210, out += kSuper) {
    const float d = half_at(in + 208);
    for (size_t i = 0; i < kSuper; ++i) {
      const size_t half = i / 128, row = i % 128 / 32, column = i % 32;
      const uint32_t low = byte_at(in, half * 64 + row % 2 * 32 + column) >> (row / 2 * 4) & 15;
      const uint32_t high = byte_at(in, 128 + half * 32 + column) >> (row * 2) & 3;
      const auto scale = static_cast<float>(read<int8_t>(in + 192 + i / 16));
      out[i] = d * scale * static_cast<float>(static_cast<int>(low | high << 4) - 32);
    }
  }
}

constexpr Encoding kF32{"F32", 1, 4, decode_f32}, kF16{"F16", 1, 2, decode_16<half_to_float>},
    kBF16{"BF16", 1, 2, decode_16<bfloat_to_float>};

struct GgufType {
  uint32_t type;
  Encoding encoding;  // no bytes: not supported
};
constexpr std::array kGgufTypes = {
    GgufType{0, kF32},
    GgufType{1, kF16},
    GgufType{2, {"Q4_0", kSmall, 18, decode_codes<codes_q4_0, 18>, codes_q4_0, 4}},
    GgufType{3, {"Q4_1"}},
    GgufType{6, {"Q5_0", kSmall, 22, decode_codes<codes_q5_0, 22>}},
    GgufType{7, {"Q5_1"}},
    GgufType{8, {"Q8_0", kSmall, 34, decode_codes<codes_q8_0, 34>, codes_q8_0, 8}},
    GgufType{9, {"Q8_1"}},
    GgufType{10, {"Q2_K"}},
    GgufType{11, {"Q3_K"}},
    GgufType{12, {"Q4_K", kSuper, 144, decode_k<false>}},
    GgufType{13, {"Q5_K", kSuper, 176, decode_k<true>}},
    GgufType{14, {"Q6_K", kSuper, 210, decode_q6_k}},
    GgufType{15, {"Q8_K"}},
    GgufType{16, {"IQ2_XXS"}},
    GgufType{17, {"IQ2_XS"}},
    GgufType{18, {"IQ3_XXS"}},
    GgufType{19, {"IQ1_S"}},
    GgufType{20, {"IQ4_NL"}},
    GgufType{21, {"IQ3_S"}},
    GgufType{22, {"IQ2_S"}},
    GgufType{23, {"IQ4_XS"}},
    GgufType{24, {"I8"}},
    GgufType{25, {"I16"}},
    GgufType{26, {"I32"}},
    GgufType{27, {"I64"}},
    GgufType{28, {"F64"}},
    GgufType{29, {"IQ1_M"}},
    GgufType{30, kBF16},
    GgufType{34, {"TQ1_0"}},
    GgufType{35, {"TQ2_0"}},
    GgufType{39, {"MXFP4"}},
};

const Encoding* find_gguf(uint32_t type) {
  for (const GgufType& row : kGgufTypes)
    if (row.type == type) return &row.encoding;
  return nullptr;
}

}  // namespace

const Encoding* safetensors_encoding(DType dtype) {
  if (dtype == DType::f32) return &kF32;
  if (dtype == DType::f16) return &kF16;
  return dtype == DType::bf16 ? &kBF16 : nullptr;
}

const Encoding* gguf_encoding(uint32_t type) {
  const Encoding* found = find_gguf(type);
  return found != nullptr && found->bytes != 0 ? found : nullptr;
}

std::string_view gguf_type_name(uint32_t type) {
  const Encoding* found = find_gguf(type);
  return found != nullptr ? found->name : "?";
}

}  // namespace quoin::checkpoint
