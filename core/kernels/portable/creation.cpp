// Tensors made from attributes.
#include "kernels/portable/kernel.hpp"

namespace quoin::kernels {
namespace {

// first + i * step, written as the result's type. Numbers are binary64: exact for integers up to 2^53.
struct Sequence : Kernel {
  Block out{};
  int64_t count = 0;
  double first = 0, step = 0;

  Status prepare(const NodeView& node) override {
    const bool full = node.is("aten.full.default");
    out = Block::of(node.out());
    count = numel(node.out_shape());
    first = node.get_number(full ? "fill_value" : "start");
    if (!full) step = node.get_number("step");
    return {};
  }
  Status run(const Run& run) const override {
    for (int64_t i = 0; i < count; ++i) {
      const double value = step == 0 ? first : first + static_cast<double>(i) * step;
      write_numbers(out, run.out(), i, 1, &value);
    }
    return {};
  }
};

constexpr Row kRows[] = {exact_row<Sequence>("aten.arange.start_step"), exact_row<Sequence>("aten.full.default")};

}  // namespace

Rows creation_rows() { return kRows; }

}  // namespace quoin::kernels
