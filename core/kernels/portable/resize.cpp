// upsample_nearest2d, upsample_bilinear2d. Source of the coordinate formulas: torch.nn.functional.interpolate.
#include <cmath>

#include "kernels/portable/kernel.hpp"

namespace quoin::kernels {
namespace {

// Input step per output step: 1 / scale factor where factors are given, else in / out.
double step_of(const NodeView& view, size_t axis, int64_t in, int64_t out) {
  if (has(view.attrs, "scale_factors") && !get_numbers(view.attrs, "scale_factors").empty())
    return 1.0 / get_numbers(view.attrs, "scale_factors")[axis];
  return static_cast<double>(in) / static_cast<double>(out);
}

struct Nearest : KernelBase {
  int64_t planes = 0, in_h = 0, in_w = 0;
  std::vector<int64_t> rows, columns;  // source of each output row and column
  int64_t size = 0;                    // bytes of an element

  static std::vector<int64_t> sources(const NodeView& view, size_t axis) {
    const int64_t in = view.in_shape()[2 + axis], out = view.out_shape()[2 + axis];
    const auto step = static_cast<float>(step_of(view, axis, in, out));
    std::vector<int64_t> at;
    for (int64_t o = 0; o < out; ++o)
      at.push_back(std::min(static_cast<int64_t>(std::floor(static_cast<float>(o) * step)), in - 1));
    return at;
  }
  static bool accepts(const NodeView& view) { return bits(view.out().dtype) >= 8; }
  static Result<Nearest> make(const NodeView& view) {
    const Shape& x = view.in_shape();
    return Nearest{{}, x[0] * x[1], x[2], x[3], sources(view, 0), sources(view, 1), bits(view.out().dtype) / 8};
  }
  Status run(const Run& run) const {
    const auto out_h = static_cast<int64_t>(rows.size()), out_w = static_cast<int64_t>(columns.size());
    parallel(run.host, planes * out_h, 4 * out_w, [&](int64_t begin, int64_t end, uint32_t) {
      for (int64_t line = begin; line < end; ++line) {
        const int64_t row = rows[static_cast<size_t>(line % out_h)];
        const std::byte* from = run.in<std::byte>(0) + (line / out_h * in_h + row) * in_w * size;
        std::byte* to = run.out<std::byte>() + line * out_w * size;
        for (int64_t o = 0; o < out_w; ++o)
          std::memcpy(to + o * size, from + columns[static_cast<size_t>(o)] * size, static_cast<size_t>(size));
      }
    });
    return {};
  }
};

struct Bilinear : KernelBase {
  // Between two neighbours: weight of the second.
  struct Tap {
    int64_t first, second;
    float weight;
  };
  int64_t planes = 0, in_h = 0, in_w = 0;
  std::vector<Tap> rows, columns;

  static std::vector<Tap> taps(const NodeView& view, size_t axis) {
    const int64_t in = view.in_shape()[2 + axis], out = view.out_shape()[2 + axis];
    const bool corners = get_bool(view.attrs, "align_corners");
    const double step = !corners  ? step_of(view, axis, in, out)
                        : out > 1 ? static_cast<double>(in - 1) / static_cast<double>(out - 1)
                                  : 0.0;
    std::vector<Tap> list;
    for (int64_t o = 0; o < out; ++o) {
      const auto scale = static_cast<float>(step), position = static_cast<float>(o);
      const float real = corners ? position * scale : std::max((position + 0.5f) * scale - 0.5f, 0.0f);
      const int64_t first = std::min(static_cast<int64_t>(real), in - 1);
      list.push_back({first, std::min(first + 1, in - 1), std::min(real - static_cast<float>(first), 1.0f)});
    }
    return list;
  }
  static Result<Bilinear> make(const NodeView& view) {
    const Shape& x = view.in_shape();
    return Bilinear{{}, x[0] * x[1], x[2], x[3], taps(view, 0), taps(view, 1)};
  }
  Status run(const Run& run) const {
    const auto out_h = static_cast<int64_t>(rows.size()), out_w = static_cast<int64_t>(columns.size());
    parallel(run.host, planes * out_h, 4 * out_w, [&](int64_t begin, int64_t end, uint32_t) {
      for (int64_t line = begin; line < end; ++line) {
        const Tap& row = rows[static_cast<size_t>(line % out_h)];
        const float* plane = run.in<float>(0) + line / out_h * in_h * in_w;
        const float *top = plane + row.first * in_w, *bottom = plane + row.second * in_w;
        float* to = run.out<float>() + line * out_w;
        for (int64_t o = 0; o < out_w; ++o) {
          const Tap& column = columns[static_cast<size_t>(o)];
          const float above = top[column.first] * (1 - column.weight) + top[column.second] * column.weight;
          const float below = bottom[column.first] * (1 - column.weight) + bottom[column.second] * column.weight;
          to[o] = above * (1 - row.weight) + below * row.weight;
        }
      }
    });
    return {};
  }
};

}  // namespace

Rows resize_rows() {
  return {move_row<Nearest>("aten.upsample_nearest2d.vec"), float_row<Bilinear>("aten.upsample_bilinear2d.vec")};
}

}  // namespace quoin::kernels
