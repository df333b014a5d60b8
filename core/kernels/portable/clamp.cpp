// relu, relu6, hardtanh and clamp*.
#include <algorithm>
#include <cmath>

#include "kernels/portable/products.hpp"

namespace quoin::kernels {
namespace {

// The bounds of relu, relu6, hardtanh and clamp*, by operator.
struct Bounds {
  double low = -INFINITY, high = INFINITY;
  static Bounds of(const NodeView& view) {
    Bounds out;
    if (view.is("aten.relu.default") || view.is("aten.relu6.default")) out.low = 0;
    if (view.is("aten.relu6.default")) out.high = 6;
    const auto take = [&](const char* name, double& bound) {
      if (view.has(name)) bound = view.get_number(name);
    };
    take("min", out.low);
    take("min_val", out.low);
    take("max", out.high);
    take("max_val", out.high);
    return out;
  }
};

// On f32, s64 and NaN: min(max(x, low), high); NaN stays NaN.
struct Clamp : Kernel {
  Bounds bounds;
  int64_t count = 0;
  bool integers = false;
  Status prepare(const NodeView& node) override {
    bounds = Bounds::of(node);
    count = numel(node.out_shape());
    integers = node.in(0).dtype == DType::s64;
    return {};
  }
  Status run(const Run& run) const override {
    if (integers) {
      constexpr double kLimit = 0x1p63;
      const int64_t low = bounds.low < -kLimit ? INT64_MIN : static_cast<int64_t>(bounds.low);
      const int64_t high = bounds.high >= kLimit ? INT64_MAX : static_cast<int64_t>(bounds.high);
      for (int64_t i = 0; i < count; ++i) run.out<int64_t>()[i] = std::min(std::max(run.in<int64_t>(0)[i], low), high);
      return {};
    }
    const auto low = static_cast<float>(bounds.low), high = static_cast<float>(bounds.high);
    const float* x = run.in<float>(0);
    float* y = run.out<float>();
    for (int64_t i = 0; i < count; ++i) {
      const float raised = x[i] < low ? low : x[i];
      y[i] = raised > high ? high : raised;
    }
    return {};
  }
};

// Per-tensor quantized in and out: rescale, limited to the integer images of the bounds in the result's qparams.
struct IntegerClamp : Kernel {
  PerTensor from, to;
  Block in{}, out{};
  int64_t count = 0;
  int32_t low = 0, high = 0;

  static bool accepts(const NodeView& view) {
    const auto fits = [](const TensorType& type) {
      return type.qparams && type.qparams->scale.size() == 1 && bits(type.dtype) >= 8;
    };
    return fits(view.in(0)) && fits(view.out());
  }
  Status prepare(const NodeView& node) override {
    const Bounds bounds = Bounds::of(node);
    from = PerTensor::of(node.in(0));
    to = PerTensor::of(node.out());
    in = Block::of(node.in(0));
    out = Block::of(node.out());
    count = numel(node.out_shape());
    const auto image = [&](double bound) {
      return numerics::clamp_bound(static_cast<float>(bound), to.scale, to.zero_point, to.qmin, to.qmax);
    };
    low = image(bounds.low);
    high = image(bounds.high);
    return {};
  }
  Status run(const Run& run) const override {
    const float ratio = from.scale / to.scale;
    parallel(run.host, count, 16, [&](int64_t begin, int64_t end, uint32_t) {
      int64_t block[256];
      for (int64_t first = begin; first < end; first += 256) {
        const int64_t size = std::min<int64_t>(256, end - first);
        read_integers(in, run.inputs[0], first, size, block);
        for (int64_t i = 0; i < size; ++i) {
          const int32_t q = numerics::rescale(static_cast<int32_t>(block[i]), from.zero_point, ratio, to.zero_point,
                                              to.qmin, to.qmax);
          block[i] = std::min(std::max(q, low), high);
        }
        write_integers(out, run.out(), first, size, block);
      }
    });
    return {};
  }
};

constexpr Row kRows[] = {
    integer_row<IntegerClamp>("aten.relu.default"),      number_row<Clamp>("aten.relu.default"),
    integer_row<IntegerClamp>("aten.relu6.default"),     number_row<Clamp>("aten.relu6.default"),
    integer_row<IntegerClamp>("aten.hardtanh.default"),  number_row<Clamp>("aten.hardtanh.default"),
    integer_row<IntegerClamp>("aten.clamp.default"),     number_row<Clamp>("aten.clamp.default"),
    integer_row<IntegerClamp>("aten.clamp_min.default"), number_row<Clamp>("aten.clamp_min.default"),
    integer_row<IntegerClamp>("aten.clamp_max.default"), number_row<Clamp>("aten.clamp_max.default"),
};

}  // namespace

Rows clamp_rows() { return kRows; }

}  // namespace quoin::kernels
