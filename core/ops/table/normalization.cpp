// Normalisations and softmax.
#include "ops/table/build.hpp"

namespace quoin::table {
namespace {

Types infer_batch_norm(Operands operands, const Attrs& attrs) {
  const Shape& x = operands[0]->shape;
  if (x.size() < 2) return fail(Code::model, "input needs a channel dim, found {}", to_string(x));
  if (get_bool(attrs, "training"))
    return fail(Code::unsupported, "training is true").hint("export the model in eval mode");
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

constexpr Row kRows[] = {
    {"aten.batch_norm.default",
     "input, weight?, bias?, running_mean?, running_var?; "
     "training: bool = false, momentum: float = 0.1, eps: float = 1e-5, cudnn_enabled: bool = true",
     infer_batch_norm},
    {"aten.layer_norm.default",
     "input, weight?, bias?; normalized_shape: int[], eps: float = 1e-5, cudnn_enable: bool = true", infer_layer_norm},
    {"aten.rms_norm.default", "input, weight?; normalized_shape: int[], eps: float?", infer_layer_norm},
    {"aten.group_norm.default", "input, weight?, bias?; num_groups: int, eps: float = 1e-5, cudnn_enabled: bool = true",
     infer_group_norm},
    {"aten.softmax.int", "self; dim: int, dtype: str?", infer_softmax},
    {"aten.log_softmax.int", "self; dim: int, dtype: str?", infer_softmax},
};

}  // namespace

Rows normalization() { return kRows; }

}  // namespace quoin::table
