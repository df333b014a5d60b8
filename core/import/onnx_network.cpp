#include <algorithm>

#include "base/checked.hpp"
#include "import/onnx_ops.hpp"
#include "import/onnx_window.hpp"

namespace quoin::import::onnx_format {
namespace {

// A constant matrix turned over; other values get a transpose node.
Result<ValueId> transposed(Builder& b, ValueId matrix) {
  const Tensor* known = b.known(matrix);
  if (!known || bits(known->dtype()) < 8) return b.step("aten.t.default", {matrix});
  const int64_t rows = known->shape()[0], columns = known->shape()[1];
  const size_t width = bits(known->dtype()) / 8;
  Tensor out(known->dtype(), {columns, rows});
  const auto* from = static_cast<const std::byte*>(known->data());
  auto* to = static_cast<std::byte*>(out.data());
  for (int64_t i = 0; i < columns; ++i)
    for (int64_t j = 0; j < rows; ++j, to += width)
      std::copy_n(from + static_cast<size_t>(j * columns + i) * width, width, to);
  const std::string name = b.graph.value(matrix).name + ".t";
  return b.graph.add_constant(name, std::move(out));
}

// C of Gemm as a bias of one dim, or kNone if it is no such thing.
Result<ValueId> row_bias(Builder& b, ValueId c, int64_t columns) {
  if (c == kNone || b.shape(c) == Shape{columns}) return c;
  if (b.shape(c) != Shape{1, columns}) return kNone;
  if (const Tensor* known = b.known(c))
    return b.graph.add_constant(b.graph.value(c).name + ".row", known->reshaped({columns}));
  return b.step("aten.view.default", {c}, {{"size", Shape{columns}}});
}

}  // namespace

Result<Values> conv(const Call& call) {
  Builder& b = call.builder;
  QUOIN_TRY(ValueId x, call.input(0));
  QUOIN_TRY(const ValueId weight, call.input(1));
  const ValueId bias = call.optional(2);
  const size_t rank = b.rank(weight);
  if (rank != 3 && rank != 4)
    return fail(Code::unsupported, "convolution with weight {}; 1 and 2 dims are supported",
                to_string(b.shape(weight)));
  QUOIN_TRY(const Window window, read_window(call, x, Shape(b.shape(weight).begin() + 2, b.shape(weight).end())));
  QUOIN_TRY(const int64_t groups, call.integer("group", 1));
  Shape padding = window.padding.before;
  if (!window.padding.symmetric()) {
    QUOIN_TRY(x, b.pad_last(x, window.padding.before, window.padding.after, 0.0));
    padding.assign(padding.size(), 0);
  }
  Values inputs{x, weight};
  if (bias != kNone) inputs.push_back(bias);
  return b.result(rank == 3 ? "aten.conv1d.default" : "aten.conv2d.default", std::move(inputs),
                  {{"stride", window.stride}, {"padding", padding}, {"dilation", window.dilation}, {"groups", groups}});
}

Result<Values> conv_transpose(const Call& call) {
  Builder& b = call.builder;
  QUOIN_TRY(const ValueId x, call.input(0));
  QUOIN_TRY(const ValueId weight, call.input(1));
  if (b.rank(weight) != 4)
    return fail(Code::unsupported, "transposed convolution with weight {}; 2 dims are supported",
                to_string(b.shape(weight)));
  QUOIN_TRY(const std::string mode, call.text("auto_pad", "NOTSET"));
  if (call.has_attr("output_shape") || (mode != "NOTSET" && mode != "VALID"))
    return fail(Code::unsupported, "transposed convolution with output_shape or automatic padding is not supported")
        .hint("export it with explicit pads and output_padding");
  QUOIN_TRY(const Window window, read_window(call, x, Shape(b.shape(weight).begin() + 2, b.shape(weight).end())));
  QUOIN_TRY(Shape extra, call.ints("output_padding", Shape(2, 0)));
  if (extra.size() != 2) return fail(Code::model, "output_padding {} must have 2 elements", to_string(extra));
  // Less padding behind than in front gives more output rows at the end, which is what output_padding does.
  for (size_t i = 0; i < 2; ++i) extra[i] += window.padding.before[i] - window.padding.after[i];
  if (extra[0] < 0 || extra[1] < 0)
    return fail(Code::unsupported, "transposed convolution with more padding behind than in front is not supported");
  QUOIN_TRY(const int64_t groups, call.integer("group", 1));
  Values inputs{x, weight};
  if (call.optional(2) != kNone) inputs.push_back(call.optional(2));
  return b.result("aten.conv_transpose2d.input", std::move(inputs),
                  {{"stride", window.stride},
                   {"padding", window.padding.before},
                   {"output_padding", extra},
                   {"groups", groups},
                   {"dilation", window.dilation}});
}

// alpha * A B + beta * C; linear if nothing but B's orientation stands in the way.
Result<Values> gemm(const Call& call) {
  Builder& b = call.builder;
  QUOIN_TRY(ValueId left, call.input(0));
  QUOIN_TRY(ValueId right, call.input(1));
  ValueId c = call.optional(2);
  QUOIN_TRY(const double alpha, call.number("alpha", 1.0));
  QUOIN_TRY(const double beta, call.number("beta", 1.0));
  QUOIN_TRY(const int64_t turn_left, call.integer("transA", 0));
  QUOIN_TRY(const int64_t turn_right, call.integer("transB", 0));
  if (b.rank(left) != 2 || b.rank(right) != 2)
    return fail(Code::model, "operands {} and {} must be matrices", to_string(b.shape(left)),
                to_string(b.shape(right)));
  if (turn_left) {
    QUOIN_TRY(left, transposed(b, left));
  }
  const int64_t columns = b.shape(right)[turn_right ? 0 : 1];
  const bool scaled = alpha != 1 || (c != kNone && beta != 1);
  QUOIN_TRY(const ValueId bias, scaled ? Result<ValueId>(kNone) : row_bias(b, c, columns));
  if (!turn_right) {
    QUOIN_TRY(right, transposed(b, right));
  }
  Values inputs{left, right};
  if (!scaled && (c == kNone || bias != kNone)) {
    if (bias != kNone) inputs.push_back(bias);
    return b.result("aten.linear.default", std::move(inputs));
  }
  QUOIN_TRY(ValueId product, b.step("aten.linear.default", std::move(inputs)));
  if (alpha != 1 && c == kNone) return b.result("aten.mul.Scalar", {product}, {{"other", alpha}});
  if (alpha != 1) {
    QUOIN_TRY(product, b.step("aten.mul.Scalar", {product}, {{"other", alpha}}));
  }
  return b.result("aten.add.Tensor", {product, c}, {{"alpha", beta}});
}

// A product with a constant matrix is a linear: that is what exporters make of one.
Result<Values> matmul(const Call& call) {
  Builder& b = call.builder;
  QUOIN_TRY(const ValueId left, call.input(0));
  QUOIN_TRY(const ValueId right, call.input(1));
  if (!b.known(right) || b.rank(right) != 2 || b.rank(left) < 2 || !is_floating(b.dtype(right)))
    return b.result("aten.matmul.default", {left, right});
  QUOIN_TRY(const ValueId weight, transposed(b, right));
  return b.result("aten.linear.default", {left, weight});
}

Result<Values> batch_normalization(const Call& call) {
  Values inputs;
  for (size_t i = 0; i < 5; ++i) {
    QUOIN_TRY(inputs.emplace_back(), call.input(i));
  }
  QUOIN_TRY(const int64_t training, call.integer("training_mode", 0));
  if (training)
    return fail(Code::unsupported, "batch normalization in training mode is not supported")
        .hint("export the model for inference");
  QUOIN_TRY(const double eps, call.number("epsilon", 9.999999747378752e-06));
  QUOIN_TRY(const double momentum, call.number("momentum", 0.9));
  return call.builder.result("aten.batch_norm.default", std::move(inputs), {{"eps", eps}, {"momentum", 1 - momentum}});
}

Result<Values> layer_normalization(const Call& call) {
  Builder& b = call.builder;
  QUOIN_TRY(const ValueId x, call.input(0));
  QUOIN_TRY(const ValueId scale, call.input(1));
  QUOIN_TRY(int64_t axis, call.integer("axis", -1));
  QUOIN_TRY(axis, b.wrap(axis, b.rank(x)));
  QUOIN_TRY(const double eps, call.number("epsilon", 9.999999747378752e-06));
  const Shape normalized(b.shape(x).begin() + std::min<int64_t>(axis, static_cast<int64_t>(b.rank(x))),
                         b.shape(x).end());
  Values inputs{x, scale};
  if (call.optional(2) != kNone) inputs.push_back(call.optional(2));
  return b.result("aten.layer_norm.default", std::move(inputs), {{"normalized_shape", normalized}, {"eps", eps}});
}

// One group per channel.
Result<Values> instance_normalization(const Call& call) {
  Builder& b = call.builder;
  Values inputs;
  for (size_t i = 0; i < 3; ++i) {
    QUOIN_TRY(inputs.emplace_back(), call.input(i));
  }
  QUOIN_TRY(const double eps, call.number("epsilon", 9.999999747378752e-06));
  if (b.rank(inputs[0]) < 2) return fail(Code::model, "input has no channels");
  const int64_t channels = b.shape(inputs[0])[1];
  return b.result("aten.group_norm.default", std::move(inputs), {{"num_groups", channels}, {"eps", eps}});
}

Result<Values> group_normalization(const Call& call) {
  Builder& b = call.builder;
  Values inputs;
  for (size_t i = 0; i < 3; ++i) {
    QUOIN_TRY(inputs.emplace_back(), call.input(i));
  }
  QUOIN_TRY(const double eps, call.number("epsilon", 9.999999747378752e-06));
  QUOIN_TRY(const int64_t groups, call.integer("num_groups"));
  // Before opset 21 there was one scale per group.
  if (b.rank(inputs[0]) < 2 || b.shape(inputs[1]) != Shape{b.shape(inputs[0])[1]})
    return fail(Code::unsupported, "GroupNormalization with scale {}; one per channel is supported (opset 21)",
                to_string(b.shape(inputs[1])));
  return b.result("aten.group_norm.default", std::move(inputs), {{"num_groups", groups}, {"eps", eps}});
}

Result<Values> softmax(const Call& call) {
  QUOIN_TRY(const ValueId x, call.input(0));
  QUOIN_TRY(const int64_t axis, call.integer("axis", -1));
  return call.builder.result(call.op() == "Softmax" ? "aten.softmax.int" : "aten.log_softmax.int", {x},
                             {{"dim", axis}});
}

}  // namespace quoin::import::onnx_format
