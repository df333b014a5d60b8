#include "kernels/portable/products.hpp"

namespace quoin::kernels {

bool small_integers(const TensorType& type) { return type.qparams && bits(type.dtype) <= 8; }
bool real_f32(const TensorType& type) { return !type.qparams && type.dtype == DType::f32; }
bool tensor_quantized(const TensorType& type) {
  return type.qparams && type.qparams->scale.size() == 1 && bits(type.dtype) >= 8 && bits(type.dtype) <= 16;
}

void store_integer(DType dtype, void* out, int64_t index, int32_t value) {
  switch (dtype) {
    case DType::s8:
      static_cast<int8_t*>(out)[index] = static_cast<int8_t>(value);
      break;
    case DType::u8:
      static_cast<uint8_t*>(out)[index] = static_cast<uint8_t>(value);
      break;
    case DType::s16:
      static_cast<int16_t*>(out)[index] = static_cast<int16_t>(value);
      break;
    case DType::u16:
      static_cast<uint16_t*>(out)[index] = static_cast<uint16_t>(value);
      break;
    default:
      static_cast<int32_t*>(out)[index] = value;
      break;
  }
}

PerTensor PerTensor::of(const TensorType& type) {
  const QParams& q = *type.qparams;
  return {type.dtype, q.scale[0], q.zero_point_at(0), q.qmin, q.qmax};
}

void PerTensor::write(int64_t sum, float multiplier, void* out, int64_t i) const {
  store_integer(dtype, out, i, numerics::requantize(sum, multiplier, zero_point, qmin, qmax));
}

Status Centered::prepare(const TensorType& tensor) {
  type = &tensor;
  QUOIN_TRY(layout, check_scales(*tensor.qparams, tensor.shape));
  return {};
}

void Centered::pieces(const void* data, int64_t begin, int64_t end, Pieces f) const {
  constexpr int64_t kBlock = 256;
  int64_t block[kBlock];
  for (int64_t first = begin; first < end; first += kBlock) {
    const int64_t size = std::min(kBlock, end - first);
    read_integers(Block::of(*type), data, first, size, block);
    scale_runs(layout, first, first + size, [&](int64_t scale, int64_t from, int64_t run) {
      f(static_cast<size_t>(scale), from, run, block + (from - first));
    });
  }
}

template <class T>
void Centered::read_as(const quoin_host& host, const void* data, T* out) const {
  parallel(host, count(), 8, [&](int64_t begin, int64_t end, uint32_t) {
    pieces(data, begin, end, [&](size_t scale, int64_t first, int64_t run, const int64_t* codes) {
      const int32_t zero = type->qparams->zero_point_at(scale);
      for (int64_t i = 0; i < run; ++i) out[first + i] = static_cast<T>(codes[i] - zero);
    });
  });
}

void Centered::read(const quoin_host& host, const void* data, Word* out) const { read_as(host, data, out); }
void Centered::read(const quoin_host& host, const void* data, int16_t* out) const { read_as(host, data, out); }

void Centered::dequantize(const void* data, int64_t begin, int64_t end, float* out) const {
  pieces(data, begin, end, [&](size_t scale, int64_t first, int64_t run, const int64_t* codes) {
    const float step = type->qparams->scale[scale];
    const int32_t zero = type->qparams->zero_point_at(scale);
    for (int64_t i = 0; i < run; ++i)
      out[first - begin + i] = numerics::dequantize(static_cast<int32_t>(codes[i]), step, zero);
  });
}

numerics::Affine DynamicRow::choose(float start, const float* x, int64_t count) const {
  float low = start, high = start;
  for (int64_t i = 0; i < count; ++i) {
    low = std::min(low, x[i]);
    high = std::max(high, x[i]);
  }
  return numerics::choose_dynamic(scheme, low, high, qmin, qmax, eps);
}

int32_t DynamicRow::quantize(float x, const numerics::Affine& q) const {
  return numerics::quantize_dynamic(scheme, x, q, qmin, qmax);
}

bool ProductOutput::accepts(const NodeView& view, int32_t weight_axis) {
  const TensorType &x = view.in(0), &w = view.in(1), &y = view.out();
  const auto fits = [](const TensorType& type) { return type.qparams && bits(type.dtype) <= 16; };
  if (!fits(x) || x.qparams->scale.size() != 1 || !fits(w)) return false;
  if (w.qparams->scale.size() != 1 && (w.qparams->scheme != Scheme::per_channel || w.qparams->axis != weight_axis))
    return false;
  if (!tensor_quantized(y) && !real_f32(y)) return false;
  if (!view.has_in(2) || real_f32(view.in(2))) return true;
  const TensorType& bias = view.in(2);  // integer: its scale must be the product's
  if (!bias.qparams || bias.dtype != DType::s32) return false;
  const QParams &qb = *bias.qparams, &qw = *w.qparams;
  for (size_t c = 0; c < std::max(qb.scale.size(), qw.scale.size()); ++c) {
    const float product = x.qparams->scale[0] * qw.scale[c % qw.scale.size()];
    if (qb.scale[c % qb.scale.size()] != product || qb.zero_point_at(c % qb.scale.size()) != 0) return false;
  }
  return true;
}

void ProductOutput::prepare(const NodeView& node, int64_t channels) {
  const TensorType& y = node.out();
  const std::vector<float>& scale_w = node.in(1).qparams->scale;
  scale_x_ = node.in(0).qparams->scale[0];
  if (node.has_in(2)) bias_ = node.in(2).dtype;
  quantized_ = y.qparams != nullptr;
  if (quantized_) out_ = PerTensor::of(y);
  scales_.resize(static_cast<size_t>(channels));
  for (size_t c = 0; c < scales_.size(); ++c) {
    const float w = scale_w[c % scale_w.size()];
    scales_[c] = {w, numerics::requantize_multiplier(scale_x_, w, out_.scale)};
  }
}

void ProductOutput::store(Word sum, int64_t channel, const void* bias, void* out, int64_t index) const {
  const auto c = static_cast<size_t>(channel);
  if (bias != nullptr && bias_ == DType::s32) {
    sum += static_cast<Word>(static_cast<const int32_t*>(bias)[c]);
  } else if (bias != nullptr && quantized_) {
    sum += static_cast<Word>(numerics::quantize_bias(static_cast<const float*>(bias)[c], scale_x_, scales_[c].w));
  }
  const auto total = static_cast<int32_t>(sum);
  if (quantized_) return store(int64_t{total}, channel, out, index);
  float real = numerics::dequantize_product(total, scale_x_, scales_[c].w);
  if (bias != nullptr && bias_ == DType::f32) real += static_cast<const float*>(bias)[c];
  static_cast<float*>(out)[index] = real;
}

void ProductOutput::store(int64_t sum, int64_t channel, void* out, int64_t index) const {
  const Scale& scale = scales_[static_cast<size_t>(channel)];
  if (quantized_)
    out_.write(sum, scale.multiplier, out, index);
  else
    static_cast<float*>(out)[index] = numerics::dequantize_product(sum, scale_x_, scale.w);
}

}  // namespace quoin::kernels
