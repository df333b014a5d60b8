#include <cmath>

#include "import/pt2_ops.hpp"

namespace quoin::import::pt2 {

// mean(), sum(), max(), min() over all dims.
Result<Values> reduce_all(const Call& call) {
  QUOIN_TRY(const ValueId self, call.tensor("self"));
  const std::string target = out_of_place(call.node.target);
  const bool extreme = target == "aten.max.default" || target == "aten.min.default";
  Attrs attrs{{"dim", Shape{}}};
  if (!extreme && call.find("dtype")) {
    QUOIN_TRY(attrs["dtype"], call.text("dtype"));
  }
  const char* op = target == "aten.max.default"   ? "aten.amax.default"
                   : target == "aten.min.default" ? "aten.amin.default"
                   : target == "aten.sum.default" ? "aten.sum.dim_IntList"
                                                  : "aten.mean.dim";
  return call.builder.result(op, {self}, std::move(attrs));
}

// max.dim and min.dim: values and indices (indices of maxima only; using those of minima is an error where it happens).
Result<Values> reduce_with_index(const Call& call) {
  Builder& b = call.builder;
  QUOIN_TRY(const ValueId self, call.tensor("self"));
  QUOIN_TRY(const int64_t dim, call.integer("dim"));
  QUOIN_TRY(const bool keep, call.flag("keepdim", false));
  const bool max = out_of_place(call.node.target) == "aten.max.dim";
  Values out;
  QUOIN_TRY(out.emplace_back(),
            b.emit(max ? "aten.amax.default" : "aten.amin.default", {self}, {{"dim", Shape{dim}}, {"keepdim", keep}}));
  if (max) {
    QUOIN_TRY(out.emplace_back(), b.step("aten.argmax.default", {self}, {{"dim", dim}, {"keepdim", keep}}));
  }
  return out;
}

// sum((x - mean)^2) / (n - correction), and its root.
Result<Values> variance(const Call& call) {
  Builder& b = call.builder;
  QUOIN_TRY(const ValueId self, call.tensor("self"));
  QUOIN_TRY(const Shape dims, call.ints("dim", Shape{}));
  QUOIN_TRY(const bool keep, call.flag("keepdim", false));
  double correction = 1;
  if (call.find("unbiased")) {
    QUOIN_TRY(const bool unbiased, call.flag("unbiased"));
    correction = unbiased ? 1 : 0;
  } else {
    QUOIN_TRY(correction, call.number("correction", 1.0));
  }
  QUOIN_TRY(const ValueId mean, b.step("aten.mean.dim", {self}, {{"dim", dims}, {"keepdim", true}}));
  QUOIN_TRY(const ValueId centred, b.step("aten.sub.Tensor", {self, mean}));
  QUOIN_TRY(const ValueId squared, b.step("aten.mul.Tensor", {centred, centred}));
  QUOIN_TRY(const ValueId total, b.step("aten.sum.dim_IntList", {squared}, {{"dim", dims}, {"keepdim", keep}}));
  const int64_t results = numel(b.shape(mean));
  const double count = results ? static_cast<double>(numel(b.shape(self)) / results) - correction : 0;
  if (!(count > 0)) return fail(Code::unsupported, "variance of too few elements is not a number");
  const bool root = call.node.target.starts_with("aten.std.");
  if (!root) return b.result("aten.div.Scalar", {total}, {{"other", count}});
  QUOIN_TRY(const ValueId ratio, b.step("aten.div.Scalar", {total}, {{"other", count}}));
  return b.result("aten.sqrt.default", {ratio});
}

// norm(self, p, dim, keepdim)
Result<Values> vector_norm(const Call& call) {
  QUOIN_TRY(const ValueId self, call.tensor("self"));
  QUOIN_TRY(const double order, call.number("p", 2.0));
  QUOIN_TRY(const Shape dims, call.ints("dim", Shape{}));
  QUOIN_TRY(const bool keep, call.flag("keepdim", false));
  return call.builder.result("aten.linalg_vector_norm.default", {self},
                             {{"ord", order}, {"dim", dims}, {"keepdim", keep}});
}

}  // namespace quoin::import::pt2
