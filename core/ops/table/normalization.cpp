// Normalisations and softmax.
#include "ops/table/build.hpp"

namespace quoin::table {
namespace {

Types infer_batch_norm(Operands operands, const Attrs& attrs) {
  const Shape& x = operands[0]->shape;
  if (x.size() < 2) return fail(Code::model, "input needs a channel dim, found {}", to_string(x));
  if (get_bool(attrs, "training"))
    return fail(Error{Code::unsupported, "training is true", {}, "export the model in eval mode"});
  for (size_t i = 1; i < 5; ++i)
    QUOIN_CHECK(expect_shape(operands[i], {x[1]},
                             i == 1   ? "weight"
                             : i == 2 ? "bias"
                             : i == 3 ? "running_mean"
                                      : "running_var"));
  if (operands[3] == nullptr || operands[4] == nullptr)
    return fail(Code::unsupported, "running_mean and running_var are needed: batch statistics are for training only");
  return same_as_first(operands, attrs);
}

Types infer_layer_norm(Operands operands, const Attrs& attrs) {
  const Shape& x = operands[0]->shape;
  const auto& normalized = get_ints(attrs, "normalized_shape");
  const Shape tail(normalized.begin(), normalized.end());
  if (tail.empty() || tail.size() > x.size() ||
      !std::equal(tail.begin(), tail.end(), x.end() - static_cast<ptrdiff_t>(tail.size())))
    return fail(Code::model, "normalized_shape {} is not the end of the input shape {}", to_string(tail), to_string(x));
  for (size_t i = 1; i < operands.size(); ++i) QUOIN_CHECK(expect_shape(operands[i], tail, i == 1 ? "weight" : "bias"));
  return same_as_first(operands, attrs);
}

Types infer_group_norm(Operands operands, const Attrs& attrs) {
  const Shape& x = operands[0]->shape;
  const int64_t groups = get_int(attrs, "num_groups");
  if (x.size() < 2 || groups < 1 || x[1] % groups != 0)
    return fail(Code::model, "{} groups do not divide the channels of {}", groups, to_string(x));
  for (size_t i = 1; i < 3; ++i) QUOIN_CHECK(expect_shape(operands[i], {x[1]}, i == 1 ? "weight" : "bias"));
  return same_as_first(operands, attrs);
}

Types infer_softmax(Operands operands, const Attrs& attrs) {
  QUOIN_CHECK(wrap_dim(get_int(attrs, "dim"), operands[0]->shape.size()));
  if (!has(attrs, "dtype")) return float_as_first(operands, attrs);
  QUOIN_TRY(const DType dtype, dtype_attr(attrs, "dtype"));
  return one(dtype, operands[0]->shape);
}

}  // namespace

Rows normalization() {
  return {
      op("aten.batch_norm.default", {in("input"), opt("weight"), opt("bias"), opt("running_mean"), opt("running_var")},
         {flag("training", false), number("momentum", 0.1), number("eps", 1e-5), flag("cudnn_enabled", true)},
         infer_batch_norm),
      op("aten.layer_norm.default", {in("input"), opt("weight"), opt("bias")},
         {ints("normalized_shape"), number("eps", 1e-5), flag("cudnn_enable", true)}, infer_layer_norm),
      op("aten.rms_norm.default", {in("input"), opt("weight")}, {ints("normalized_shape"), maybe(number("eps"))},
         infer_layer_norm),
      op("aten.group_norm.default", {in("input"), opt("weight"), opt("bias")},
         {integer("num_groups"), number("eps", 1e-5), flag("cudnn_enabled", true)}, infer_group_norm),
      op("aten.softmax.int", {in("self")}, {integer("dim"), maybe(text("dtype"))}, infer_softmax),
      op("aten.log_softmax.int", {in("self")}, {integer("dim"), maybe(text("dtype"))}, infer_softmax),
  };
}

}  // namespace quoin::table
