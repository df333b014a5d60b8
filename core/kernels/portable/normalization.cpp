// Normalisations and softmax, in float. Statistics are summed in binary64.
#include <cmath>

#include <quoin/numerics.hpp>

#include "kernels/portable/kernel.hpp"
#include "ops/shape.hpp"

namespace quoin::kernels {
namespace {

// y = (x - mean) / sqrt(var + eps) * weight + bias, per channel.
struct BatchNorm : Kernel {
  int64_t batch = 0, channels = 0, inner = 1;
  double eps = 0;
  Status prepare(const NodeView& node) override {
    const Shape& x = node.in_shape();
    batch = x[0];
    channels = x[1];
    for (size_t i = 2; i < x.size(); ++i) inner *= x[i];
    eps = node.get_number("eps");
    return {};
  }
  Status run(const Run& run) const override {
    const float *weight = run.in<float>(1), *bias = run.in<float>(2), *mean = run.in<float>(3),
                *variance = run.in<float>(4);
    parallel(run.host, batch * channels, inner, [&](int64_t begin, int64_t end, uint32_t) {
      for (int64_t plane = begin; plane < end; ++plane) {
        const int64_t c = plane % channels;
        const float inverse = 1.0f / std::sqrt(variance[c] + static_cast<float>(eps));
        const float factor = weight == nullptr ? inverse : inverse * weight[c];
        const float shift = (bias == nullptr ? 0.0f : bias[c]) - mean[c] * factor;
        const float* x = run.in<float>(0) + plane * inner;
        float* y = run.out<float>() + plane * inner;
        for (int64_t i = 0; i < inner; ++i) y[i] = x[i] * factor + shift;
      }
    });
    return {};
  }
};

struct Moments {
  double mean = 0, variance = 0, square = 0;  // variance is biased; square: mean of x^2
  static Moments of(const float* x, int64_t count) {
    Moments out;
    for (int64_t i = 0; i < count; ++i) {
      out.mean += static_cast<double>(x[i]);
      out.square += static_cast<double>(x[i]) * static_cast<double>(x[i]);
    }
    out.mean /= static_cast<double>(count);
    out.square /= static_cast<double>(count);
    for (int64_t i = 0; i < count; ++i) out.variance += std::pow(static_cast<double>(x[i]) - out.mean, 2);
    out.variance /= static_cast<double>(count);
    return out;
  }
};

// layer_norm: (x - mean) / sqrt(variance + eps); rms_norm: x / sqrt(mean(x^2) + eps); per row of the normalised dims.
struct RowNorm : Kernel {
  int64_t rows = 0, count = 1;
  double eps = 0;
  bool root_mean_square = false;
  Status prepare(const NodeView& node) override {
    for (const int64_t dim : node.get_ints("normalized_shape")) count *= dim;
    rows = count == 0 ? 0 : numel(node.in_shape()) / count;
    root_mean_square = node.is("aten.rms_norm.default");
    eps = node.has("eps") ? node.get_number("eps") : static_cast<double>(numerics::kDefaultEps);
    return {};
  }
  Status run(const Run& run) const override {
    const float* weight = run.in<float>(1);
    const float* bias = root_mean_square ? nullptr : run.in<float>(2);
    parallel(run.host, rows, 4 * count, [&](int64_t begin, int64_t end, uint32_t) {
      for (int64_t row = begin; row < end; ++row) {
        const float* x = run.in<float>(0) + row * count;
        float* y = run.out<float>() + row * count;
        const Moments moments = Moments::of(x, count);
        const double spread = root_mean_square ? moments.square : moments.variance;
        const auto mean = static_cast<float>(root_mean_square ? 0.0 : moments.mean);
        const auto inverse = static_cast<float>(1 / std::sqrt(spread + eps));
        for (int64_t i = 0; i < count; ++i) {
          const float scaled = (x[i] - mean) * inverse * (weight == nullptr ? 1.0f : weight[i]);
          y[i] = bias == nullptr ? scaled : scaled + bias[i];
        }
      }
    });
    return {};
  }
};

struct GroupNorm : BatchNorm {
  int64_t groups = 1;
  Status prepare(const NodeView& node) override {
    groups = node.get_int("num_groups");
    return BatchNorm::prepare(node);
  }
  Status run(const Run& run) const override {
    const float *weight = run.in<float>(1), *bias = run.in<float>(2);
    const int64_t members = channels / groups, count = members * inner;
    parallel(run.host, count == 0 ? 0 : batch * groups, 4 * count, [&](int64_t begin, int64_t end, uint32_t) {
      for (int64_t group = begin; group < end; ++group) {
        const float* x = run.in<float>(0) + group * count;
        float* y = run.out<float>() + group * count;
        const Moments moments = Moments::of(x, count);
        const auto mean = static_cast<float>(moments.mean),
                   inverse = static_cast<float>(1 / std::sqrt(moments.variance + eps));
        for (int64_t i = 0; i < count; ++i) {
          const int64_t c = group % groups * members + i / inner;
          y[i] = (x[i] - mean) * inverse * (weight == nullptr ? 1.0f : weight[c]) + (bias == nullptr ? 0.0f : bias[c]);
        }
      }
    });
    return {};
  }
};

// exp(x - max) / sum, or x - max - log(sum), along dim.
struct Softmax : Kernel {
  int64_t outer = 1, count = 1, inner = 1;
  bool log = false;
  Status prepare(const NodeView& node) override {
    const Shape& x = node.in_shape();
    QUOIN_TRY(const int64_t dim, wrap_dim(node.get_int("dim"), x.size()));
    for (size_t i = 0; i < x.size(); ++i)
      (static_cast<int64_t>(i) < dim ? outer : static_cast<int64_t>(i) == dim ? count : inner) *= x[i];
    log = node.is("aten.log_softmax.int");
    return {};
  }
  Status run(const Run& run) const override {
    parallel(run.host, count == 0 ? 0 : outer * inner, 16 * count, [&](int64_t begin, int64_t end, uint32_t) {
      for (int64_t row = begin; row < end; ++row) {
        const int64_t first = row / inner * count * inner + row % inner;
        line(run.in<float>(0) + first, run.out<float>() + first);
      }
    });
    return {};
  }
  void line(const float* x, float* y) const {
    float largest = x[0];
    for (int64_t i = 1; i < count; ++i) largest = std::max(largest, x[i * inner]);
    double sum = 0;
    for (int64_t i = 0; i < count; ++i) {
      const float power = std::exp(x[i * inner] - largest);
      sum += static_cast<double>(power);
      if (!log) y[i * inner] = power;
    }
    const auto scale = static_cast<float>(log ? std::log(sum) : 1 / sum);
    for (int64_t i = 0; i < count; ++i) y[i * inner] = log ? x[i * inner] - largest - scale : y[i * inner] * scale;
  }
};

constexpr Row kRows[] = {
    float_row<BatchNorm>("aten.batch_norm.default"), float_row<RowNorm>("aten.layer_norm.default"),
    float_row<RowNorm>("aten.rms_norm.default"),     float_row<GroupNorm>("aten.group_norm.default"),
    float_row<Softmax>("aten.softmax.int"),          float_row<Softmax>("aten.log_softmax.int"),
};

}  // namespace

Rows normalization_rows() { return kRows; }

}  // namespace quoin::kernels
