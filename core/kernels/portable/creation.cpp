// Tensors made from attributes.
#include "kernels/portable/kernel.hpp"

namespace quoin::kernels {
namespace {

// first + i * step, written as the result's type. Numbers are binary64: exact for integers up to 2^53.
struct Sequence : KernelBase {
  TensorType out;
  double first = 0, step = 0;

  static Result<Sequence> make(const NodeView& view) {
    if (view.schema->name == "aten.full.default")
      return Sequence{{}, view.out(), get_number(view.attrs, "fill_value"), 0};
    return Sequence{{}, view.out(), get_number(view.attrs, "start"), get_number(view.attrs, "step")};
  }
  Status run(const Run& run) const {
    const int64_t count = numel(out.shape);
    for (int64_t i = 0; i < count; ++i) {
      const double value = step == 0 ? first : first + static_cast<double>(i) * step;
      write_numbers(Block::of(out), run.out(), i, 1, &value);
    }
    return {};
  }
};

}  // namespace

Rows creation_rows() {
  return {exact_row<Sequence>("aten.arange.start_step"), exact_row<Sequence>("aten.full.default")};
}

}  // namespace quoin::kernels
