#include "kernels/portable/elements.hpp"

#include <quoin/numerics.hpp>

#include <algorithm>
#include <cstring>

#include "kernels/portable/kernel.hpp"
#include "ops/half.hpp"

namespace quoin::kernels {
namespace {

constexpr int64_t kBlock = 256;  // elements per stack buffer

// How types that C++ has not are stored.
struct Half {
  uint16_t bits;
  explicit Half(double value) : bits(float_to_half(static_cast<float>(value))) {}
  operator double() const { return static_cast<double>(half_to_float(bits)); }
};
struct BFloat {
  uint16_t bits;
  explicit BFloat(double value) : bits(float_to_bfloat(static_cast<float>(value))) {}
  operator double() const { return static_cast<double>(bfloat_to_float(bits)); }
};
struct Bool {
  uint8_t bits;
  explicit Bool(int64_t value) : bits(value != 0) {}
  operator int64_t() const { return bits != 0; }
};

// Truncates; saturates; NaN is 0. The bounds are powers of two, exact in binary64.
int64_t to_int64(double value) {
  if (!(value == value)) return 0;
  if (value >= 0x1p63) return INT64_MAX;
  return value < -0x1p63 ? INT64_MIN : static_cast<int64_t>(value);
}

// Calls f with a null pointer of the C++ type that stores a floating `dtype`; false for others.
template <class F>
bool visit_floating(DType dtype, const F& f) {
  switch (dtype) {
    case DType::f32:
      f(static_cast<float*>(nullptr));
      return true;
    case DType::f64:
      f(static_cast<double*>(nullptr));
      return true;
    case DType::f16:
      f(static_cast<Half*>(nullptr));
      return true;
    case DType::bf16:
      f(static_cast<BFloat*>(nullptr));
      return true;
    default:
      return false;
  }
}
// The same of bool and integers of whole bytes.
template <class F>
bool visit_integer(DType dtype, const F& f) {
  switch (dtype) {
    case DType::s8:
      f(static_cast<int8_t*>(nullptr));
      return true;
    case DType::u8:
      f(static_cast<uint8_t*>(nullptr));
      return true;
    case DType::s16:
      f(static_cast<int16_t*>(nullptr));
      return true;
    case DType::u16:
      f(static_cast<uint16_t*>(nullptr));
      return true;
    case DType::s32:
      f(static_cast<int32_t*>(nullptr));
      return true;
    case DType::s64:
      f(static_cast<int64_t*>(nullptr));
      return true;
    case DType::boolean:
      f(static_cast<Bool*>(nullptr));
      return true;
    default:
      return false;
  }
}

// Sub-byte element: row r of the last axis starts on a byte, element 0 in the low bits.
struct BitPlace {
  int64_t byte;
  uint32_t shift;
};
BitPlace place(const Block& block, int64_t index) {
  const int64_t width = bits(block.dtype), row_bytes = (block.columns * width + 7) / 8;
  const int64_t bit = (index % block.columns) * width;
  return {index / block.columns * row_bytes + bit / 8, static_cast<uint32_t>(bit % 8)};
}
int64_t read_bits(const Block& block, const void* data, int64_t index) {
  const BitPlace at = place(block, index);
  const uint32_t width = bits(block.dtype), mask = (1u << width) - 1;
  const uint32_t raw = (static_cast<const uint8_t*>(data)[at.byte] >> at.shift) & mask;
  const bool negative = block.dtype != DType::u4 && (raw >> (width - 1)) != 0;
  return static_cast<int64_t>(raw) - (negative ? int64_t{1} << width : 0);
}
void write_bits(const Block& block, void* data, int64_t index, int64_t value) {
  const BitPlace at = place(block, index);
  const uint32_t mask = (1u << bits(block.dtype)) - 1;
  uint8_t& byte = static_cast<uint8_t*>(data)[at.byte];
  byte = static_cast<uint8_t>((byte & ~(mask << at.shift)) | ((static_cast<uint32_t>(value) & mask) << at.shift));
}

// f(offset, size) over [0, count) in pieces of a stack buffer.
template <class F>
void in_blocks(int64_t count, const F& f) {
  for (int64_t at = 0; at < count; at += kBlock) f(at, std::min(kBlock, count - at));
}

}  // namespace

void read_integers(const Block& block, const void* data, int64_t first, int64_t count, int64_t* out) {
  if (is_floating(block.dtype)) {
    double numbers[kBlock];
    return in_blocks(count, [&](int64_t at, int64_t size) {
      read_numbers(block, data, first + at, size, numbers);
      std::transform(numbers, numbers + size, out + at, to_int64);
    });
  }
  const bool whole = visit_integer(block.dtype, [&]<class T>(T*) {
    const T* from = static_cast<const T*>(data) + first;
    for (int64_t i = 0; i < count; ++i) out[i] = static_cast<int64_t>(from[i]);
  });
  for (int64_t i = 0; !whole && i < count; ++i) out[i] = read_bits(block, data, first + i);
}

void read_numbers(const Block& block, const void* data, int64_t first, int64_t count, double* out) {
  const bool real = visit_floating(block.dtype, [&]<class T>(T*) {
    const T* from = static_cast<const T*>(data) + first;
    for (int64_t i = 0; i < count; ++i) out[i] = static_cast<double>(from[i]);
  });
  if (real) return;
  int64_t integers[kBlock];
  in_blocks(count, [&](int64_t at, int64_t size) {
    read_integers(block, data, first + at, size, integers);
    std::copy_n(integers, size, out + at);
  });
}

void write_integers(const Block& block, void* data, int64_t first, int64_t count, const int64_t* from) {
  if (is_floating(block.dtype)) {
    double numbers[kBlock];
    return in_blocks(count, [&](int64_t at, int64_t size) {
      std::copy_n(from + at, size, numbers);
      write_numbers(block, data, first + at, size, numbers);
    });
  }
  const bool whole = visit_integer(block.dtype, [&]<class T>(T*) {
    T* out = static_cast<T*>(data) + first;
    for (int64_t i = 0; i < count; ++i) out[i] = static_cast<T>(from[i]);
  });
  for (int64_t i = 0; !whole && i < count; ++i) write_bits(block, data, first + i, from[i]);
}

void write_numbers(const Block& block, void* data, int64_t first, int64_t count, const double* from) {
  const bool real = visit_floating(block.dtype, [&]<class T>(T*) {
    T* out = static_cast<T*>(data) + first;
    for (int64_t i = 0; i < count; ++i) out[i] = static_cast<T>(from[i]);
  });
  if (real) return;
  int64_t integers[kBlock];
  const bool truth = block.dtype == DType::boolean;
  in_blocks(count, [&](int64_t at, int64_t size) {
    for (int64_t i = 0; i < size; ++i) integers[i] = truth ? from[at + i] != 0 : to_int64(from[at + i]);
    write_integers(block, data, first + at, size, integers);
  });
}

int64_t integer_at(DType dtype, const void* data, int64_t index) {
  int64_t out = 0;
  read_integers({dtype, 1}, data, index, 1, &out);
  return out;
}

double number_at(DType dtype, const void* data, int64_t index) {
  double out = 0;
  read_numbers({dtype, 1}, data, index, 1, &out);
  return out;
}

double rounded(DType dtype, double value) {
  switch (dtype) {
    case DType::f32:
      return static_cast<double>(static_cast<float>(value));
    case DType::f16:
      return static_cast<double>(Half(value));
    case DType::bf16:
      return static_cast<double>(BFloat(value));
    default:
      return value;
  }
}

Status Converter::describe(const TensorType& type, Side& out) {
  out.block = Block::of(type);
  out.qparams = type.qparams.get();
  if (out.qparams == nullptr) return {};
  QUOIN_TRY(out.scales, check_scales(*type.qparams, type.shape));
  return {};
}

Result<Converter> Converter::make(const TensorType& from, const TensorType& to) {
  Converter out;
  out.count_ = numel(from.shape);
  out.bytes_ = byte_size(from.dtype, from.shape);
  const bool same_numbers = !from.qparams == !to.qparams && (!from.qparams || *from.qparams == *to.qparams);
  if (from.dtype == to.dtype && same_numbers) return out;
  QUOIN_CHECK(describe(from, out.from_));
  QUOIN_CHECK(describe(to, out.to_));
  if (from.qparams && to.qparams && from.qparams->scale.size() == 1 && to.qparams->scale.size() == 1)
    out.path_ = Path::rescale;
  else if (from.qparams || to.qparams)
    out.path_ = Path::scaled;
  else
    out.path_ = is_floating(from.dtype) || is_floating(to.dtype) ? Path::numbers : Path::integers;
  return out;
}

void Converter::rescale(const void* from, void* to, int64_t first, int64_t count) const {
  int64_t block[kBlock];
  const QParams &a = *from_.qparams, &b = *to_.qparams;
  const float ratio = a.scale[0] / b.scale[0];
  read_integers(from_.block, from, first, count, block);
  for (int64_t i = 0; i < count; ++i)
    block[i] = numerics::rescale(static_cast<int32_t>(block[i]), a.zero_point_at(0), ratio, b.zero_point_at(0), b.qmin,
                                 b.qmax);
  write_integers(to_.block, to, first, count, block);
}

void Converter::scaled(const void* from, void* to, int64_t first, int64_t count) const {
  double numbers[kBlock];
  int64_t integers[kBlock];
  if (from_.qparams != nullptr) {
    const QParams& q = *from_.qparams;
    read_integers(from_.block, from, first, count, integers);
    scale_runs(from_.scales, first, first + count, [&](int64_t scale, int64_t begin, int64_t size) {
      const float step = q.scale[static_cast<size_t>(scale)];
      const int32_t zero = q.zero_point_at(static_cast<size_t>(scale));
      for (int64_t i = begin - first; i < begin - first + size; ++i)
        numbers[i] = static_cast<double>(numerics::dequantize(static_cast<int32_t>(integers[i]), step, zero));
    });
  } else {
    read_numbers(from_.block, from, first, count, numbers);
  }
  if (to_.qparams == nullptr) return write_numbers(to_.block, to, first, count, numbers);
  const QParams& q = *to_.qparams;
  scale_runs(to_.scales, first, first + count, [&](int64_t scale, int64_t begin, int64_t size) {
    const float inverse = 1.0f / q.scale[static_cast<size_t>(scale)];
    const int32_t zero = q.zero_point_at(static_cast<size_t>(scale));
    for (int64_t i = begin - first; i < begin - first + size; ++i)
      integers[i] = numerics::quantize(static_cast<float>(numbers[i]), inverse, zero, q.qmin, q.qmax);
  });
  write_integers(to_.block, to, first, count, integers);
}

void Converter::run_range(const void* from, void* to, int64_t begin, int64_t end) const {
  for (int64_t first = begin; first < end; first += kBlock) {
    const int64_t count = std::min(kBlock, end - first);
    if (path_ == Path::rescale) {
      rescale(from, to, first, count);
    } else if (path_ == Path::scaled) {
      scaled(from, to, first, count);
    } else if (path_ == Path::integers) {
      int64_t block[kBlock];
      read_integers(from_.block, from, first, count, block);
      write_integers(to_.block, to, first, count, block);
    } else {
      double block[kBlock];
      read_numbers(from_.block, from, first, count, block);
      write_numbers(to_.block, to, first, count, block);
    }
  }
}

void Converter::run(const quoin_host& host, const void* from, void* to) const {
  if (count_ == 0) return;
  if (path_ == Path::copy) {
    if (from != to) std::memcpy(to, from, static_cast<size_t>(bytes_));
    return;
  }
  // Sub-byte neighbours share bytes: one thread writes them all.
  if (bits(to_.block.dtype) < 8) return run_range(from, to, 0, count_);
  parallel(host, count_, 8, [&](int64_t begin, int64_t end, uint32_t) { run_range(from, to, begin, end); });
}

}  // namespace quoin::kernels
