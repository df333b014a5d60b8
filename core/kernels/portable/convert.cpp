// Conversions between types: the plan's converter does them, on the types of the node.
#include "kernels/portable/kernel.hpp"

namespace quoin::kernels {
namespace {

struct Convert : Kernel {
  Converter converter;
  Status prepare(const NodeView& node) override {
    QUOIN_TRY(converter, Converter::make(node.in(0), node.out()));
    return {};
  }
  Status run(const Run& run) const override {
    converter.run(run.host, run.inputs[0], run.out());
    return {};
  }
};

constexpr Row kRows[] = {
    exact_row<Convert>("aten.to.dtype"),
    exact_row<Convert>("quantized_decomposed.convert_element_type.no_fuse"),
    exact_row<Convert>("quoin.quantize.default"),
    exact_row<Convert>("quoin.dequantize.default"),
    exact_row<Convert>("quoin.requantize.default"),
};

}  // namespace

Rows convert_rows() { return kRows; }

}  // namespace quoin::kernels
