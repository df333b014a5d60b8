// Products with grouped low-bit weights (../grouped.hpp has formulas and layouts). A vector of codes holds, for each
// lane (output row), a "unit" of 4 consecutive k per byte field; codes are unpacked into vectors of one unit each.
#pragma once

#include "../grouped.hpp"
#include "../isa/common.hpp"

namespace quoin::cpu {
namespace {

constexpr int64_t kUnit = 4;             // k per unpacked vector
constexpr int64_t kGroupedTile = 128;    // tokens whose sums are kept near while weights stay in registers
constexpr int64_t kGroupedAhead = 2048;  // bytes that single tokens prefetch ahead of the codes
constexpr int64_t kTileAhead = 512;      // the same for tiles of tokens

QUOIN_INLINE void prefetch(const uint8_t* p, int64_t bytes) {
  for (int64_t i = 0; i < bytes; i += 64) __builtin_prefetch(p + i);
}

// Where the head and the codes of each group of a block are, in order.
class GroupCursor {
 public:
  QUOIN_INLINE GroupCursor(const GroupedLayout& layout, const uint8_t* block) : layout_(layout), section_(block) {
    codes_ = section_ + layout.heads_bytes;
  }
  QUOIN_INLINE const uint8_t* head() const { return section_ + at_ * layout_.head_bytes; }
  QUOIN_INLINE const uint8_t* codes() const { return codes_; }
  QUOIN_INLINE bool at_section() const { return at_ == 0; }
  QUOIN_INLINE void next() {
    codes_ += layout_.group_bytes;
    if (++at_ < layout_.section_groups) return;
    at_ = 0;
    section_ = codes_;
    codes_ += layout_.heads_bytes;
  }

 private:
  const GroupedLayout& layout_;
  const uint8_t *section_, *codes_;
  int64_t at_ = 0;
};

// What the lanes of vector `part` of a block's 16 rows need of a group.
template <class T>
struct Head {
  static QUOIN_INLINE typename T::F scale(const GroupedLayout& l, const uint8_t* head, int part) {
    const uint8_t* p = head + part * T::kLanes * scale_bytes(l.spec.scale);
    if (l.spec.scale == ScaleType::f16) return T::load_half(p);
    if (l.spec.scale == ScaleType::bf16) return T::load_bfloat(p);
    typename T::F scale;
    std::memcpy(&scale, p, sizeof scale);
    return scale;
  }
  // Zero points plus `offset`.
  static QUOIN_INLINE typename T::I zero(const GroupedLayout& l, const uint8_t* head, int part, int32_t offset) {
    const uint8_t* p = head + kGroupedBlock * scale_bytes(l.spec.scale) + part * T::kLanes;
    return T::add_int(T::load_u8(p), T::set1_int(offset - 128));
  }
};

// Units of codes [first lane of the part][unit], unsigned bytes. `codes`: of the part's first lane.
template <class T, int Bits, int Units>
QUOIN_INLINE void unpack(const uint8_t* codes, typename T::I (&w)[Units]) {
  constexpr int kFields = 8 / Bits;
  const typename T::I mask = T::set1_int(static_cast<int32_t>(0x01010101u * ((1u << Bits) - 1)));
  QUOIN_UNROLL
  for (int u = 0; u < Units; ++u) {
    const typename T::I raw = T::load_bytes(codes + u / kFields * 64);
    const int shift = u % kFields * Bits;
    w[u] = Bits == 8 ? raw : T::and_int(shift == 0 ? raw : T::shift_right(raw, shift), mask);
  }
}

// acc[t][v] += dot products of Units units of token t and outputs v. Token t: x + t * kGroupedChunk.
template <class T, int Bits, int Units, int Tokens, int Vectors>
QUOIN_INLINE void dot_units(const typename T::I (&w)[Vectors][Units], const int8_t* x,
                            typename T::I (&acc)[Tokens][Vectors]) {
  using I = typename T::I;
  const auto token = [&](int t, int u) QUOIN_LAMBDA_INLINE {
    return T::set1_int(load32(reinterpret_cast<const uint8_t*>(x + t * kGroupedChunk + u * kUnit)));
  };
  if constexpr (T::kByteDots) {
    QUOIN_UNROLL
    for (int u = 0; u < Units; ++u) {
      QUOIN_UNROLL
      for (int t = 0; t < Tokens; ++t) {
        const I codes = token(t, u);
        QUOIN_UNROLL
        for (int v = 0; v < Vectors; ++v) acc[t][v] = T::dot4(acc[t][v], w[v][u], codes);
      }
    }
  } else {
    // 16-bit sums of up to 16 products of codes below 16; bytes are two such codes.
    static_assert(Units <= 8);
    const I nibble = T::set1_int(0x0F0F0F0F);
    I low[Tokens][Vectors], high[Tokens][Vectors];
    QUOIN_UNROLL
    for (int u = 0; u < Units; ++u) {
      QUOIN_UNROLL
      for (int t = 0; t < Tokens; ++t) {
        const I codes = token(t, u);
        QUOIN_UNROLL
        for (int v = 0; v < Vectors; ++v) {
          const I dot = T::dot2(Bits == 8 ? T::and_int(w[v][u], nibble) : w[v][u], codes);
          low[t][v] = u == 0 ? dot : T::add_words(low[t][v], dot);
          if constexpr (Bits == 8) {
            const I upper = T::dot2(T::and_int(T::shift_right(w[v][u], 4), nibble), codes);
            high[t][v] = u == 0 ? upper : T::add_words(high[t][v], upper);
          }
        }
      }
    }
    QUOIN_UNROLL
    for (int t = 0; t < Tokens; ++t) {
      QUOIN_UNROLL
      for (int v = 0; v < Vectors; ++v) {
        acc[t][v] = T::widen(acc[t][v], low[t][v], 1);
        if constexpr (Bits == 8) acc[t][v] = T::widen(acc[t][v], high[t][v], 16);
      }
    }
  }
}

// y of one token and one vector of outputs, from the sums over all groups.
template <class T>
QUOIN_INLINE void finish_grouped(const GemmGrouped& g, int64_t row, int64_t column, typename T::F acc) {
  using F = typename T::F;
  const int64_t n = smaller(g.layout->spec.n - column, T::kLanes);
  if (n <= 0) return;
  const F zero = T::set1(static_cast<float>(g.zero_point[row]));
  F y = (acc - zero * T::load(g.corr + column)) * T::set1(g.scale[row]);
  if (g.bias) y = y + T::load_n(g.bias + column, n);
  T::store_n(g.y + row * g.y_stride + column, T::min(T::set1(g.high), T::max(T::set1(g.low), y)), n);
}

// Few tokens: a block's codes are read once, all sums stay in registers.
template <class T, int Bits, int Tokens>
struct FewTokens {
  static constexpr int kParts = kGroupedBlock / T::kLanes;
  using I = typename T::I;
  using F = typename T::F;

  template <int Units>
  static QUOIN_INLINE void step(const uint8_t* codes, const int8_t* x, I (&dot)[kParts][Tokens][1]) {
    QUOIN_UNROLL
    for (int part = 0; part < kParts; ++part) {
      I w[1][Units];
      unpack<T, Bits, Units>(codes + part * T::kLanes * kUnit, w[0]);
      dot_units<T, Bits, Units, Tokens, 1>(w, x, dot[part]);
    }
  }

  static void run(const GemmGrouped& g, int64_t row, int64_t block) {
    const GroupedLayout& l = *g.layout;
    const int64_t chunks = l.stored_group / kGroupedChunk, rest = l.stored_group % kGroupedChunk;
    const int64_t chunk_codes = kGroupedBlock * kGroupedChunk * Bits / 8;
    const int8_t* x = g.codes + row * kGroupedChunk;
    F acc[kParts][Tokens];
    QUOIN_UNROLL
    for (int i = 0; i < kParts * Tokens; ++i) acc[i / Tokens][i % Tokens] = T::set1(0);
    GroupCursor at(l, g.weights + block * l.block_bytes);
    for (int64_t group = 0; group < l.groups; ++group, at.next()) {
      if (at.at_section()) prefetch(at.head() + kGroupedAhead, l.heads_bytes);
      const uint8_t* codes = at.codes();
      I dot[kParts][Tokens][1];
      QUOIN_UNROLL
      for (int part = 0; part < kParts; ++part) {
        QUOIN_UNROLL
        for (int t = 0; t < Tokens; ++t) {
          const I sum = T::set1_int(g.sums[group * g.rows + row + t]);
          dot[part][t][0] = l.spec.zeros ? T::mul_int(sum, Head<T>::zero(l, at.head(), part, l.offset())) : sum;
        }
      }
      for (int64_t c = 0; c < chunks; ++c, codes += chunk_codes, x += g.rows * kGroupedChunk) {
        prefetch(codes + kGroupedAhead, chunk_codes);
        step<8>(codes, x, dot);
      }
      if (rest != 0) {
        if (rest > 8 || Bits == 2) {
          step<4>(codes, x, dot);
        } else if constexpr (Bits != 2) {
          step<2>(codes, x, dot);
        }
        x += g.rows * kGroupedChunk;
      }
      QUOIN_UNROLL
      for (int part = 0; part < kParts; ++part) {
        const F scale = Head<T>::scale(l, at.head(), part);
        QUOIN_UNROLL
        for (int t = 0; t < Tokens; ++t) acc[part][t] = acc[part][t] + T::to_float(dot[part][t][0]) * scale;
      }
    }
    QUOIN_UNROLL
    for (int i = 0; i < kParts * Tokens; ++i)
      finish_grouped<T>(g, row + i % Tokens, block * kGroupedBlock + i / Tokens * T::kLanes,
                        acc[i / Tokens][i % Tokens]);
  }
};

// Many tokens: unpacked codes of one chunk stay in registers while all tokens of a tile pass; sums of the tile are in
// memory, near.
template <class T, int Bits, int Vectors>
class TokenTile {
  static constexpr int kTokens = T::kGroupedTokens, kWidth = Vectors * T::kLanes;
  static constexpr int kParts = kGroupedBlock / T::kLanes;
  using I = typename T::I;
  using F = typename T::F;

 public:
  // Tokens [row, row + count) and the vectors of outputs from `vector` on, counted in lanes of T.
  QUOIN_INLINE TokenTile(const GemmGrouped& g, int64_t row, int64_t count, int64_t vector)
      : g_(g), l_(*g.layout), row_(row), count_(count), vector_(vector) {}

  QUOIN_INLINE void run() {
    const int64_t chunks = l_.stored_group / kGroupedChunk, rest = l_.stored_group % kGroupedChunk;
    const int64_t chunk_codes = kGroupedBlock * kGroupedChunk * Bits / 8, chunk_x = g_.rows * kGroupedChunk;
    const uint8_t* first = g_.weights + vector_ / kParts * l_.block_bytes;
    GroupCursor at(l_, first);
    x_ = g_.codes + row_ * kGroupedChunk;
    for (int64_t i = 0; i < count_ * kWidth; i += T::kLanes) T::store(acc_ + i, T::set1(0));
    for (int64_t group = 0; group < l_.groups; ++group, at.next()) {
      sums_ = g_.sums + group * g_.rows + row_;
      head_ = at.head();
      codes_ = at.codes();
      if (l_.spec.zeros) start_from_zeros();
      for (int64_t c = 0; c < chunks; ++c, codes_ += chunk_codes, x_ += chunk_x)
        step<8>(c == 0, c + 1 == chunks && rest == 0);
      if (rest == 0) continue;
      if (rest > 8 || Bits == 2) {
        step<4>(chunks == 0, true);
      } else if constexpr (Bits != 2) {
        step<2>(chunks == 0, true);
      }
      x_ += chunk_x;
    }
    for (int64_t t = 0; t < count_; ++t)
      for (int v = 0; v < Vectors; ++v)
        finish_grouped<T>(g_, row_ + t, (vector_ + v) * T::kLanes, load(acc_ + t * kWidth + v * T::kLanes));
  }

 private:
  static QUOIN_INLINE F load(const float* p) { return T::load(p); }
  QUOIN_INLINE int64_t block_offset(int v) const { return v / kParts * l_.block_bytes; }
  QUOIN_INLINE int part(int v) const { return static_cast<int>((vector_ + v) % kParts); }

  QUOIN_INLINE void start_from_zeros() {
    for (int v = 0; v < Vectors; ++v) {
      const I zero = Head<T>::zero(l_, head_ + block_offset(v), part(v), l_.offset());
      for (int64_t t = 0; t < count_; ++t)
        put(T::mul_int(T::set1_int(sums_[t]), zero), dots_ + t * kWidth + v * T::kLanes);
    }
  }
  static QUOIN_INLINE void put(I a, int32_t* p) { std::memcpy(p, &a, sizeof a); }

  template <int Units>
  QUOIN_INLINE void step(bool first, bool last) {
    for (int v = 0; v < Vectors; v += kParts) prefetch(codes_ + block_offset(v) + kTileAhead, 8 * Units * Bits + 64);
    I w[Vectors][Units];
    F scale[Vectors];
    QUOIN_UNROLL
    for (int v = 0; v < Vectors; ++v) {
      unpack<T, Bits, Units>(codes_ + block_offset(v) + part(v) * T::kLanes * kUnit, w[v]);
      scale[v] = Head<T>::scale(l_, head_ + block_offset(v), part(v));
    }
    const bool fresh = first && !l_.spec.zeros;
    int64_t t = 0;
    for (; t + kTokens <= count_; t += kTokens) tokens<Units, kTokens>(w, scale, t, fresh, last);
    if constexpr (kTokens > 1) {
      for (; t < count_; ++t) tokens<Units, 1>(w, scale, t, fresh, last);
    }
  }

  template <int Units, int Tokens>
  QUOIN_INLINE void tokens(const I (&w)[Vectors][Units], const F (&scale)[Vectors], int64_t token, bool fresh,
                           bool last) {
    I dot[Tokens][Vectors];
    QUOIN_UNROLL
    for (int t = 0; t < Tokens; ++t) {
      QUOIN_UNROLL
      for (int v = 0; v < Vectors; ++v)
        dot[t][v] = fresh ? T::set1_int(sums_[token + t]) : T::load_int(dots_ + (token + t) * kWidth + v * T::kLanes);
    }
    dot_units<T, Bits, Units, Tokens, Vectors>(w, x_ + token * kGroupedChunk, dot);
    QUOIN_UNROLL
    for (int t = 0; t < Tokens; ++t) {
      QUOIN_UNROLL
      for (int v = 0; v < Vectors; ++v) {
        const int64_t at = (token + t) * kWidth + v * T::kLanes;
        if (last) {
          T::store(acc_ + at, T::load(acc_ + at) + T::to_float(dot[t][v]) * scale[v]);
        } else {
          put(dot[t][v], dots_ + at);
        }
      }
    }
  }

  const GemmGrouped& g_;
  const GroupedLayout& l_;
  const int64_t row_, count_, vector_;
  const int8_t* x_ = nullptr;
  const int32_t* sums_ = nullptr;
  const uint8_t *head_ = nullptr, *codes_ = nullptr;
  alignas(64) float acc_[kGroupedTile * kWidth];
  alignas(64) int32_t dots_[kGroupedTile * kWidth];
};

template <class T, int Bits, int Vectors>
void token_tiles(const GemmGrouped& g, int64_t vector) {
  for (int64_t row = g.row_begin; row < g.row_end; row += kGroupedTile)
    TokenTile<T, Bits, Vectors>(g, row, smaller(kGroupedTile, g.row_end - row), vector).run();
}

template <class T, int Bits>
void gemm_grouped_bits(const GemmGrouped& g) {
  const int64_t rows = g.row_end - g.row_begin;
  if (rows <= 4) {
    for (int64_t block = g.block_begin; block < g.block_end; ++block) {
      if (rows >= 4) FewTokens<T, Bits, 4>::run(g, g.row_begin, block);
      if (rows == 2 || rows == 3) FewTokens<T, Bits, 2>::run(g, g.row_begin, block);
      if (rows % 2 == 1) FewTokens<T, Bits, 1>::run(g, g.row_end - 1, block);
    }
    return;
  }
  constexpr int64_t kParts = kGroupedBlock / T::kLanes;
  int64_t vector = g.block_begin * kParts;
  const int64_t end = g.block_end * kParts;
  for (; vector + T::kGroupedVectors <= end; vector += T::kGroupedVectors)
    token_tiles<T, Bits, T::kGroupedVectors>(g, vector);
  if constexpr (T::kGroupedVectors > 1) {
    for (; vector < end; ++vector) token_tiles<T, Bits, 1>(g, vector);
  }
}

template <class T>
void gemm_grouped(const GemmGrouped& g) {
  if (g.layout->spec.bits == 2) gemm_grouped_bits<T, 2>(g);
  if (g.layout->spec.bits == 4) gemm_grouped_bits<T, 4>(g);
  if (g.layout->spec.bits == 8) gemm_grouped_bits<T, 8>(g);
}

}  // namespace
}  // namespace quoin::cpu
