// Products of u8 and s8: which kernel takes which.
#pragma once

#include "gemm_row.hpp"
#include "gemm_wide.hpp"

namespace quoin::cpu {
namespace {

template <class T, class Store>
void multiply(const typename Store::Call& call) {
  if (call.rows == 1 && call.window.runs == 1) return RowKernel<T, Store>::run(call);
  const typename Store::Args& g = call;
  if constexpr (!T::kByteDots) {
    if (multiply_wide<T, Store>(g)) return;
  }
  walk<DotKernel<T, Store>>(g, g.a_stride);
}

template <class T>
void gemm_u8(const GemmU8& g) {
  multiply<T, StoreU8<T>>(g);
}

template <class T>
void gemm_u8_f32(const GemmU8F32& g) {
  multiply<T, StoreF32<T>>(g);
}

}  // namespace
}  // namespace quoin::cpu
