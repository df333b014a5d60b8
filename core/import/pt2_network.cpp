#include <algorithm>
#include <cmath>
#include <limits>

#include "import/pt2_ops.hpp"

namespace quoin::import::pt2 {
namespace {

struct Conv {
  ValueId input = kNone, weight = kNone, bias = kNone;
  size_t dims = 0;  // spatial
};

Result<Conv> read_conv(const Call& call) {
  Conv out;
  QUOIN_TRY(out.input, call.tensor("input"));
  QUOIN_TRY(out.weight, call.tensor("weight"));
  QUOIN_TRY(out.bias, call.tensor_or_none("bias"));
  const size_t rank = call.builder.rank(out.weight);
  if (rank < 3 || rank > 4)
    return fail(Code::unsupported, "convolution over {} dims; 1 and 2 are supported", rank < 2 ? 0 : rank - 2);
  out.dims = rank - 2;
  return out;
}

Values operands(const Conv& conv) {
  if (conv.bias == kNone) return {conv.input, conv.weight};
  return {conv.input, conv.weight, conv.bias};
}

// Batch statistics would make the result depend on the other samples.
Failure training() {
  return fail(Code::unsupported, "batch normalization in training mode is not supported")
      .hint("call model.eval() before exporting");
}

// [B, H, S, D] -> [B, H * times, S, D], each head `times` in a row.
Result<ValueId> repeat_heads(Builder& b, ValueId x, int64_t times) {
  const Shape shape = b.shape(x);
  Shape wide = shape, out = shape;
  wide.insert(wide.begin() + 2, times);
  out[1] *= times;
  QUOIN_TRY(const ValueId column, b.step("aten.unsqueeze.default", {x}, {{"dim", int64_t{2}}}));
  QUOIN_TRY(const ValueId stretched, b.step("aten.expand.default", {column}, {{"size", wide}}));
  return b.step("aten.reshape.default", {stretched}, {{"shape", out}});
}

// Lower triangle: query i sees keys 0..i.
Result<ValueId> causal_mask(Builder& b, int64_t queries, int64_t keys) {
  QUOIN_TRY(const int64_t count, checked_numel(Shape{queries, keys}));
  if (count > (int64_t{1} << 28)) return fail(Code::limit, "causal mask of {} x {}", queries, keys);
  Tensor mask(DType::boolean, {queries, keys});
  const auto cells = mask.as<uint8_t>();
  for (int64_t i = 0; i < queries; ++i)
    for (int64_t j = 0; j <= i && j < keys; ++j) cells[static_cast<size_t>(i * keys + j)] = 1;
  return b.constant("causal_mask", std::move(mask));
}

Result<ValueId> masked(Builder& b, ValueId scores, ValueId mask) {
  if (b.dtype(mask) != DType::boolean) return b.step("aten.add.Tensor", {scores, mask});
  return b.step("aten.where.ScalarOther", {mask, scores}, {{"other", -std::numeric_limits<double>::infinity()}});
}

}  // namespace

// convolution(input, weight, bias, stride, padding, dilation, transposed, output_padding, groups)
Result<Values> convolution(const Call& call) {
  QUOIN_TRY(const Conv conv, read_conv(call));
  QUOIN_TRY(const bool transposed, call.flag("transposed"));
  Attrs attrs;
  for (const char* list : {"stride", "padding", "dilation"}) {
    QUOIN_TRY(attrs[list], call.ints(list));
  }
  QUOIN_TRY(attrs["groups"], call.integer("groups"));
  if (!transposed)
    return call.builder.result(conv.dims == 1 ? "aten.conv1d.default" : "aten.conv2d.default", operands(conv), attrs);
  if (conv.dims != 2) return fail(Code::unsupported, "transposed convolution over {} dim; 2 are supported", conv.dims);
  QUOIN_TRY(attrs["output_padding"], call.ints("output_padding"));
  return call.builder.result("aten.conv_transpose2d.input", operands(conv), attrs);
}

// padding is "valid" or "same"; an uneven "same" needs a node of its own.
Result<Values> convolution_padding(const Call& call) {
  Builder& b = call.builder;
  QUOIN_TRY(Conv conv, read_conv(call));
  QUOIN_TRY(const std::string mode, call.text("padding", "valid"));
  Shape ones(conv.dims, 1);
  QUOIN_TRY(Shape stride, call.ints("stride", ones));
  QUOIN_TRY(Shape dilation, call.ints("dilation", ones));
  QUOIN_TRY(const int64_t groups, call.integer("groups", 1));
  stride.resize(conv.dims, stride.empty() ? 1 : stride[0]);
  dilation.resize(conv.dims, dilation.empty() ? 1 : dilation[0]);
  Shape padding(conv.dims, 0);
  if (mode == "same") {
    const Shape weight = b.shape(conv.weight), input = b.shape(conv.input);
    if (input.size() < conv.dims) return fail(Code::model, "input {} is too small", to_string(input));
    if (std::ranges::any_of(stride, [](int64_t s) { return s != 1; }))
      return fail(Code::model, "\"same\" padding needs stride 1");
    const auto bounded = [](int64_t v) { return v >= 0 && v < (int64_t{1} << 24); };
    if (!std::ranges::all_of(dilation, bounded) || !std::ranges::all_of(weight, bounded))
      return fail(Code::model, "dilation {} is out of range", to_string(dilation));
    const Padding same = same_padding({Shape(input.end() - static_cast<int64_t>(conv.dims), input.end()),
                                       Shape(weight.begin() + 2, weight.end()), stride, dilation},
                                      false);
    if (same.symmetric()) {
      padding = same.before;
    } else {
      QUOIN_TRY(conv.input, b.pad_last(conv.input, same.before, same.after, 0.0));
    }
  } else if (mode != "valid") {
    return fail(Code::model, "padding \"{}\" is neither same nor valid", mode);
  }
  return b.result(conv.dims == 1 ? "aten.conv1d.default" : "aten.conv2d.default", operands(conv),
                  {{"stride", stride}, {"padding", padding}, {"dilation", dilation}, {"groups", groups}});
}

Result<Values> batch_norm(const Call& call) {
  QUOIN_TRY(const bool train, call.flag("training", false));
  if (train || call.node.target == "aten._native_batch_norm_legit.no_stats") return training();
  Values inputs;
  for (const char* name : {"input", "weight", "bias", "running_mean", "running_var"}) {
    QUOIN_TRY(inputs.emplace_back(), call.tensor_or_none(name));
  }
  if (inputs[3] == kNone || inputs[4] == kNone) return training();
  Attrs attrs;
  QUOIN_TRY(attrs["momentum"], call.number("momentum", 0.1));
  QUOIN_TRY(attrs["eps"], call.number("eps", 1e-5));
  return call.builder.result("aten.batch_norm.default", std::move(inputs), std::move(attrs));
}

// With the input's own statistics this is group_norm with one channel per group.
Result<Values> instance_norm(const Call& call) {
  QUOIN_TRY(const bool own, call.flag("use_input_stats", true));
  if (!own) return batch_norm(call);
  QUOIN_TRY(const ValueId input, call.tensor("input"));
  QUOIN_TRY(const ValueId weight, call.tensor_or_none("weight"));
  QUOIN_TRY(const ValueId bias, call.tensor_or_none("bias"));
  QUOIN_TRY(const double eps, call.number("eps", 1e-5));
  if (call.builder.rank(input) < 2) return fail(Code::model, "input has no channels");
  return call.builder.result("aten.group_norm.default", {input, weight, bias},
                             {{"num_groups", call.builder.shape(input)[1]}, {"eps", eps}});
}

Result<Values> native_layer_norm(const Call& call) { return same_operator(call, "aten.layer_norm.default"); }

Result<Values> native_group_norm(const Call& call) {
  QUOIN_TRY(const ValueId input, call.tensor("input"));
  QUOIN_TRY(const ValueId weight, call.tensor_or_none("weight"));
  QUOIN_TRY(const ValueId bias, call.tensor_or_none("bias"));
  QUOIN_TRY(const int64_t groups, call.integer("group"));
  QUOIN_TRY(const double eps, call.number("eps"));
  return call.builder.result("aten.group_norm.default", {input, weight, bias}, {{"num_groups", groups}, {"eps", eps}});
}

// _softmax(self, dim, half_to_float) and its logarithm.
Result<Values> softmax(const Call& call) {
  QUOIN_TRY(const ValueId self, call.tensor("self"));
  QUOIN_TRY(const int64_t dim, call.integer("dim"));
  QUOIN_TRY(const bool widen, call.flag("half_to_float", false));
  Attrs attrs{{"dim", dim}};
  if (widen) attrs["dtype"] = std::string("f32");
  const bool logarithm = call.node.target == "aten._log_softmax.default";
  return call.builder.result(logarithm ? "aten.log_softmax.int" : "aten.softmax.int", {self}, std::move(attrs));
}

// softmax(query keyT * scale + mask) value, in the operators quantizers know.
Result<Values> attention(const Call& call) {
  Builder& b = call.builder;
  QUOIN_TRY(const ValueId query, call.tensor("query"));
  QUOIN_TRY(ValueId key, call.tensor("key"));
  QUOIN_TRY(ValueId value, call.tensor("value"));
  QUOIN_TRY(ValueId mask, call.tensor_or_none("attn_mask"));
  QUOIN_TRY(const double drop, call.number("dropout_p", 0.0));
  QUOIN_TRY(const bool causal, call.flag("is_causal", false));
  QUOIN_TRY(const bool grouped, call.flag("enable_gqa", false));
  if (drop != 0)
    return fail(Code::unsupported, "attention with dropout gives random results")
        .hint("call model.eval() before exporting");
  const Shape q = b.shape(query), k = b.shape(key);
  if (q.size() < 2 || k.size() < 2 || q.back() < 1)
    return fail(Code::model, "query {} or key {} is no matrix", to_string(q), to_string(k));
  QUOIN_TRY(const double scale, call.number("scale", 1.0 / std::sqrt(static_cast<double>(q.back()))));
  if (grouped && q.size() == 4 && k.size() == 4 && q[1] != k[1]) {
    if (k[1] < 1 || q[1] % k[1] != 0) return fail(Code::model, "{} query heads for {} key heads", q[1], k[1]);
    QUOIN_TRY(key, repeat_heads(b, key, q[1] / k[1]));
    QUOIN_TRY(value, repeat_heads(b, value, q[1] / k[1]));
  }
  QUOIN_TRY(const ValueId turned, b.step("aten.transpose.int", {key}, {{"dim0", int64_t{-2}}, {"dim1", int64_t{-1}}}));
  QUOIN_TRY(const ValueId product, b.step("aten.matmul.default", {query, turned}));
  QUOIN_TRY(ValueId scores, b.step("aten.mul.Scalar", {product}, {{"other", scale}}));
  if (causal) {
    if (mask != kNone) return fail(Code::model, "attention is causal and has a mask");
    QUOIN_TRY(mask, causal_mask(b, q[q.size() - 2], k[k.size() - 2]));
  }
  if (mask != kNone) {
    QUOIN_TRY(scores, masked(b, scores, mask));
  }
  QUOIN_TRY(const ValueId weights, b.step("aten.softmax.int", {scores}, {{"dim", int64_t{-1}}}));
  return b.result("aten.matmul.default", {weights, value});
}

// addmm: beta * self + alpha * (mat1 mat2); linear if mat2 is a transposed weight and self a bias. baddbmm in batches.
Result<Values> add_product(const Call& call) {
  Builder& b = call.builder;
  const bool batched = out_of_place(call.node.target) == "aten.baddbmm.default";
  QUOIN_TRY(ValueId self, call.tensor("self"));
  QUOIN_TRY(const ValueId left, call.tensor(batched ? "batch1" : "mat1"));
  QUOIN_TRY(const ValueId right, call.tensor(batched ? "batch2" : "mat2"));
  QUOIN_TRY(const double beta, call.number("beta", 1.0));
  QUOIN_TRY(const double alpha, call.number("alpha", 1.0));
  const ir::NodeId maker = b.graph.value(right).producer;
  const bool turned =
      maker != kNone && b.rank(right) == 2 &&
      (b.graph.node(maker).op() == "aten.t.default" || b.graph.node(maker).op() == "aten.transpose.int" ||
       b.graph.node(maker).op() == "aten.permute.default");
  const ValueId weight = turned ? b.graph.input(maker, 0) : kNone;
  const bool swaps =
      turned && b.shape(weight) == Shape{b.shape(right)[1], b.shape(right)[0]} &&
      (b.graph.node(maker).op() != "aten.permute.default" || get_ints(b.graph.node(maker).attrs, "dims")[0] != 0) &&
      (b.graph.node(maker).op() != "aten.transpose.int" ||
       get_int(b.graph.node(maker).attrs, "dim0") != get_int(b.graph.node(maker).attrs, "dim1"));
  if (swaps && beta == 1 && alpha == 1 && b.shape(self) == Shape{b.shape(right)[1]})
    return b.result("aten.linear.default", {left, weight, self});
  if (beta != 1) {
    QUOIN_TRY(self, b.step("aten.mul.Scalar", {self}, {{"other", beta}}));
  }
  QUOIN_TRY(const ValueId product, b.step(batched ? "aten.bmm.default" : "aten.mm.default", {left, right}));
  return b.result("aten.add.Tensor", {self, product}, {{"alpha", alpha}});
}

// Pooling along the last dim: a row of height 1. Also the two-dimensional adaptive form under its internal name.
Result<Values> pool_1d(const Call& call) {
  const std::string target = out_of_place(call.node.target);
  if (target == "aten._adaptive_avg_pool2d.default") return same_operator(call, "aten.adaptive_avg_pool2d.default");
  Builder& b = call.builder;
  QUOIN_TRY(const ValueId self, call.tensor("self"));
  const auto two = [&](const char* name, int64_t fill, std::optional<Shape> fallback) -> Result<Attr> {
    QUOIN_TRY(const Shape list, call.ints(name, std::move(fallback)));
    if (list.empty()) return Attr(Shape{});
    return Attr(Shape{fill, list[0]});
  };
  Attrs attrs;
  std::string op = "aten.adaptive_avg_pool2d.default";
  if (target == "aten.adaptive_avg_pool1d.default") {
    QUOIN_TRY(attrs["output_size"], two("output_size", 1, {}));
  } else {
    QUOIN_TRY(attrs["kernel_size"], two("kernel_size", 1, {}));
    QUOIN_TRY(attrs["stride"], two("stride", 1, Shape{}));
    QUOIN_TRY(attrs["padding"], two("padding", 0, Shape{0}));
    QUOIN_TRY(attrs["ceil_mode"], call.flag("ceil_mode", false));
    const bool max = target == "aten.max_pool1d.default";
    op = max ? "aten.max_pool2d.default" : "aten.avg_pool2d.default";
    if (max) {
      QUOIN_TRY(attrs["dilation"], two("dilation", 1, Shape{1}));
    } else {
      QUOIN_TRY(attrs["count_include_pad"], call.flag("count_include_pad", true));
    }
  }
  QUOIN_TRY(const ValueId row, b.step("aten.unsqueeze.default", {self}, {{"dim", int64_t{-2}}}));
  QUOIN_TRY(const ValueId pooled, b.step(op, {row}, std::move(attrs)));
  return b.result("aten.squeeze.dim", {pooled}, {{"dim", int64_t{-2}}});
}

// The indices (second result) have no counterpart; using them is an error where it happens.
Result<Values> max_pool_indices(const Call& call) { return same_operator(call, "aten.max_pool2d.default"); }

}  // namespace quoin::import::pt2
