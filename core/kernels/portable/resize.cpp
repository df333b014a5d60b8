// upsample_nearest2d, upsample_bilinear2d. Source of the coordinate formulas: torch.nn.functional.interpolate.
#include <algorithm>

#include "kernels/portable/kernel.hpp"

namespace quoin::kernels {
namespace {

// Input step per output step: 1 / scale factor where factors are given, else in / out.
double step_of(const NodeView& view, size_t axis, int64_t in, int64_t out) {
  if (view.has("scale_factors") && !view.get_numbers("scale_factors").empty())
    return 1.0 / view.get_numbers("scale_factors")[axis];
  return static_cast<double>(in) / static_cast<double>(out);
}

// One spatial dim.
struct Axis {
  int64_t in = 0, out = 0;
  float step = 1;

  static Axis of(const NodeView& node, size_t axis) {
    const int64_t in = node.in_shape()[2 + axis], out = node.out_shape()[2 + axis];
    return {in, out, static_cast<float>(step_of(node, axis, in, out))};
  }
  // The nearest position of the input; neither is negative.
  int64_t nearest(int64_t o) const { return std::min(static_cast<int64_t>(static_cast<float>(o) * step), in - 1); }
};

struct Resize : Kernel {
  int64_t planes = 0;
  Axis rows, columns;
  Status prepare(const NodeView& node) override {
    planes = node.in_shape()[0] * node.in_shape()[1];
    rows = Axis::of(node, 0);
    columns = Axis::of(node, 1);
    return {};
  }
  int64_t lines() const { return planes * rows.out; }
};

struct Nearest : Resize {
  int64_t size = 0;  // bytes of an element

  static bool accepts(const NodeView& view) { return bits(view.out().dtype) >= 8; }
  Status prepare(const NodeView& node) override {
    size = bits(node.out().dtype) / 8;
    return Resize::prepare(node);
  }
  Status run(const Run& run) const override {
    parallel(run.host, lines(), 4 * columns.out, [&](int64_t begin, int64_t end, uint32_t) {
      for (int64_t line = begin; line < end; ++line) {
        const int64_t row = line / rows.out * rows.in + rows.nearest(line % rows.out);
        const std::byte* from = run.in<std::byte>(0) + row * columns.in * size;
        std::byte* to = run.out<std::byte>() + line * columns.out * size;
        for (int64_t o = 0; o < columns.out; ++o)
          std::memcpy(to + o * size, from + columns.nearest(o) * size, static_cast<size_t>(size));
      }
    });
    return {};
  }
};

struct Bilinear : Resize {
  // Between two neighbours: weight of the second.
  struct Tap {
    int64_t first, second;
    float weight;
  };
  bool corners = false;

  Status prepare(const NodeView& node) override {
    QUOIN_CHECK(Resize::prepare(node));
    corners = node.get_bool("align_corners");
    for (Axis* axis : {&rows, &columns})
      if (corners)
        axis->step = axis->out > 1
                         ? static_cast<float>(static_cast<double>(axis->in - 1) / static_cast<double>(axis->out - 1))
                         : 0.0f;
    return {};
  }
  Tap tap(const Axis& axis, int64_t o) const {
    const auto position = static_cast<float>(o);
    const float real = corners ? position * axis.step : std::max((position + 0.5f) * axis.step - 0.5f, 0.0f);
    const int64_t first = std::min(static_cast<int64_t>(real), axis.in - 1);
    return {first, std::min(first + 1, axis.in - 1), std::min(real - static_cast<float>(first), 1.0f)};
  }
  Status run(const Run& run) const override {
    parallel(run.host, lines(), 4 * columns.out, [&](int64_t begin, int64_t end, uint32_t) {
      for (int64_t line = begin; line < end; ++line) {
        const Tap row = tap(rows, line % rows.out);
        const float* plane = run.in<float>(0) + line / rows.out * rows.in * columns.in;
        const float *top = plane + row.first * columns.in, *bottom = plane + row.second * columns.in;
        float* to = run.out<float>() + line * columns.out;
        for (int64_t o = 0; o < columns.out; ++o) {
          const Tap column = tap(columns, o);
          const float above = top[column.first] * (1 - column.weight) + top[column.second] * column.weight;
          const float below = bottom[column.first] * (1 - column.weight) + bottom[column.second] * column.weight;
          to[o] = above * (1 - row.weight) + below * row.weight;
        }
      }
    });
    return {};
  }
};

constexpr Row kRows[] = {move_row<Nearest>("aten.upsample_nearest2d.vec"),
                         float_row<Bilinear>("aten.upsample_bilinear2d.vec")};

}  // namespace

Rows resize_rows() { return kRows; }

}  // namespace quoin::kernels
