// Puts the instantiations for trait T into a table.
#pragma once

#include "depthwise.hpp"
#include "depthwise_f32.hpp"
#include "elementwise_f32.hpp"
#include "elementwise_u8.hpp"
#include "gemm_u8.hpp"
#include "grouped.hpp"
#include "grouped_f32.hpp"
#include "grouped_tokens.hpp"
#include "language.hpp"
#include "window.hpp"

namespace quoin::cpu {
namespace {

// What the integer dot product touches.
template <class T>
void fill_dot(KernelTable& table) {
  table.gemm_u8 = gemm_u8<T>;
  table.gemm_u8_f32 = gemm_u8_f32<T>;
  table.depthwise_u8 = depthwise_u8<T>;
  table.gemm_grouped = gemm_grouped<T>;
}

template <class T>
void fill_rest(KernelTable& table) {
  table.add_u8 = add_u8<T>;
  table.mul_u8 = mul_u8<T>;
  table.lookup_u8 = lookup_u8<T>;
  table.mean_u8 = mean_u8<T>;
  table.avg_pool_u8 = avg_pool_u8<T>;
  table.max_pool_u8 = max_pool_u8<T>;
  table.quantize = quantize<T>;
  table.quantize_transposed = quantize_transposed<T>;
  table.quantize_rows = quantize_rows<T>;
  table.dequantize = dequantize<T>;
  table.dequantize_transposed = dequantize_transposed<T>;
  table.copy_u8 = copy_u8<T>;
  table.transpose_u8 = transpose_u8<T>;
  table.quantize_tokens = quantize_tokens<T>;
  table.gemm_grouped_f32 = gemm_grouped_f32<T>;
  table.embed_grouped = embed_grouped;
  table.gemm_f32 = gemm_f32<T>;
  table.pack_rows_f32 = pack_rows_f32<T>;
  table.depthwise_f32 = depthwise_f32<T>;
  table.depthwise_plane_f32 = depthwise_plane_f32<T>;
  table.add_f32 = add_f32<T>;
  table.sub_f32 = sub_f32<T>;
  table.mul_f32 = mul_f32<T>;
  table.div_f32 = div_f32<T>;
  table.clamp_f32 = clamp_f32<T>;
  table.mean_f32 = mean_f32<T>;
  table.avg_pool_f32 = avg_pool_f32<T>;
  table.max_pool_f32 = max_pool_f32<T>;
  table.softmax_f32 = softmax_f32<T>;
  table.layer_norm_f32 = layer_norm_f32<T>;
  table.transpose_f32 = transpose_f32<T>;
  table.rms_norm_f32 = rms_norm_f32<T>;
  table.rope_f32 = rope_f32<T>;
  table.attention_f32 = attention<T, float>;
  table.attention_s8 = attention<T, int8_t>;
  table.silu_mul_f32 = silu_mul_f32<T>;
  table.gelu_f32 = gelu_f32<T>;
  table.gelu_tanh_f32 = gelu_tanh_f32<T>;
  table.tanh_f32 = tanh_f32<T>;
  table.sigmoid_f32 = sigmoid_f32<T>;
  table.silu_f32 = silu_f32<T>;
  table.hardswish_f32 = hardswish_f32<T>;
  table.exp_f32 = exp_f32<T>;
}

}  // namespace
}  // namespace quoin::cpu
