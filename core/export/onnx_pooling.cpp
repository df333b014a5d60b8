// Pooling, resizing, reductions.
#include <algorithm>
#include <cmath>

#include "export/onnx_ops.hpp"
#include "ops/shape.hpp"

namespace quoin::exporter {
namespace {

// A pooling window, with the padding behind that places exactly the windows torch places: in ceil mode the last one
// may reach over the padded end.
struct Pool {
  Attrs attrs;
  bool overhang = false;  // some window reaches over the padded end
  bool padded = false;
};

Pool pool_attrs(const Call& call) {
  const Attrs& from = call.attrs();
  const Shape &kernel = get_ints(from, "kernel_size"), &stride = get_ints(from, "stride");
  const Shape &padding = get_ints(from, "padding"), &out = call.out_type().shape;
  const Shape dilation = has(from, "dilation") ? get_ints(from, "dilation") : Shape{1, 1};
  Pool pool;
  Shape pads = padding;
  for (size_t i = 0; i < 2; ++i) {
    const int64_t size = call.shape(0)[call.rank(0) - 2 + i], count = out[out.size() - 2 + i];
    const int64_t reach = (kernel[i] - 1) * dilation[i] + 1;
    const int64_t behind = (count - 1) * stride[i] + reach - size - padding[i];
    pool.overhang = pool.overhang || behind > padding[i];
    pool.padded = pool.padded || padding[i] != 0;
    pads.push_back(std::max(behind, padding[i]));
  }
  pool.attrs = {{"kernel_shape", kernel}, {"strides", stride}, {"pads", pads}};
  if (has(from, "dilation")) pool.attrs["dilations"] = dilation;
  return pool;
}

// The node; images without a batch get one on the way.
Status emit_pool(const Call& call, const std::string& op, const Attrs& attrs) {
  QUOIN_TRY(const std::string x, call.in(0));
  if (call.rank(0) == 4) return call.result(op, {x}, attrs);
  const std::string axes = call.integers("axes", {0});
  return call.result("Squeeze", {call.step(op, {call.step("Unsqueeze", {x, axes})}, attrs), axes});
}

// Axes are an attribute before opset 18 (13 for ReduceSum) and an operand since.
struct Reduction {
  Names inputs;
  Attrs attrs;
};
Reduction over(const Call& call, const std::string& op, const std::string& x, const Shape& axes, bool keep) {
  if (op == "ReduceSum" || call.opset() >= 18) return {{x, call.integers("axes", axes)}, {{"keepdims", keep}}};
  return {{x}, {{"axes", axes}, {"keepdims", keep}}};
}

// The reduction that the node's attributes describe, of `x`; its result is `dtype`.
Status emit_reduction(const Call& call, const std::string& op, const std::string& x, DType dtype) {
  QUOIN_TRY(const Shape axes, reduced_dims(call.attrs(), "dim", call.rank(0)));
  const auto [inputs, attrs] = over(call, op, x, axes, get_bool(call.attrs(), "keepdim"));
  const DType wanted = call.out_type().dtype;
  if (dtype == wanted) return call.result(op, inputs, attrs);
  return call.result("Cast", {call.step(op, inputs, attrs)}, {{"to", int64_t{*onnx_type(wanted)}}});
}

}  // namespace

Status max_pool(const Call& call) { return emit_pool(call, "MaxPool", pool_attrs(call).attrs); }

Status avg_pool(const Call& call) {
  Pool pool = pool_attrs(call);
  const bool counted = get_bool(call.attrs(), "count_include_pad");
  if (has(call.attrs(), "divisor_override"))
    return fail(Code::unsupported, "an average pool with divisor_override has no ONNX form");
  if (counted && pool.padded && pool.overhang)
    return fail(Code::unsupported,
                "an average pool that counts its padding and, by ceil_mode, reaches over it has no exact ONNX form");
  pool.attrs["count_include_pad"] = counted && pool.padded;
  return emit_pool(call, "AveragePool", pool.attrs);
}

Status adaptive_avg_pool(const Call& call) {
  const Shape &x = call.shape(0), &size = get_ints(call.attrs(), "output_size");
  const int64_t height = x[x.size() - 2], width = x.back();
  if (size == Shape{1, 1}) return emit_pool(call, "GlobalAveragePool", {});
  if (height % size[0] != 0 || width % size[1] != 0)
    return fail(Code::unsupported, "an adaptive pool from {} x {} to {} x {} has windows of different sizes", height,
                width, size[0], size[1]);
  const Shape window{height / size[0], width / size[1]};
  return emit_pool(call, "AveragePool", {{"kernel_shape", window}, {"strides", window}});
}

// By sizes or by scales, as the node says: the other one would round differently.
Status upsample(const Call& call) {
  QUOIN_TRY(const std::string x, call.in(0));
  const bool nearest = call.node().op() == "aten.upsample_nearest2d.vec";
  const bool corners = !nearest && get_bool(call.attrs(), "align_corners");
  Attrs attrs{{"mode", std::string(nearest ? "nearest" : "linear")},
              {"coordinate_transformation_mode", std::string(nearest   ? "asymmetric"
                                                             : corners ? "align_corners"
                                                                       : "half_pixel")}};
  if (nearest) attrs["nearest_mode"] = std::string("floor");
  if (!has(call.attrs(), "scale_factors") || get_numbers(call.attrs(), "scale_factors").empty())
    return call.result("Resize", {x, "", "", call.integers("sizes", call.out_type().shape)}, attrs);
  std::vector<float> scales{1, 1};
  for (const double scale : get_numbers(call.attrs(), "scale_factors")) scales.push_back(static_cast<float>(scale));
  return call.result("Resize", {x, "", call.constant("scales", Tensor::of<float>(DType::f32, {4}, scales))}, attrs);
}

std::string reduce(const Call& call, const std::string& op, const std::string& x, const Shape& axes, bool keep) {
  const auto [inputs, attrs] = over(call, op, x, axes, keep);
  return call.step(op, inputs, attrs);
}

Status reduction(const Call& call) {
  static const std::map<std::string, std::string> names = {{"aten.mean.dim", "ReduceMean"},
                                                           {"aten.sum.dim_IntList", "ReduceSum"},
                                                           {"aten.amax.default", "ReduceMax"},
                                                           {"aten.amin.default", "ReduceMin"}};
  const DType dtype = arithmetic_type(call.out_type().dtype);
  QUOIN_TRY(const std::string x, call.in_as(0, dtype));
  return emit_reduction(call, names.at(call.node().op()), x, dtype);
}

Status vector_norm(const Call& call) {
  const double order = get_number(call.attrs(), "ord");
  if (order != 1 && order != 2)
    return fail(Code::unsupported, "a norm of order {} has no ONNX form (1 and 2 have)", order);
  const DType dtype = call.out_type().dtype;
  QUOIN_TRY(const std::string x, call.in_as(0, dtype));
  return emit_reduction(call, order == 1 ? "ReduceL1" : "ReduceL2", x, dtype);
}

Status argmax(const Call& call) {
  QUOIN_TRY(std::string x, call.in_as(0, arithmetic_type(call.dtype(0))));
  if (has(call.attrs(), "dim"))
    return call.result("ArgMax", {x},
                       {{"axis", call.axis("dim", call.rank(0))}, {"keepdims", get_bool(call.attrs(), "keepdim")}});
  QUOIN_TRY(x, call.reshape(x, {numel(call.shape(0))}));
  const std::string found = call.step("ArgMax", {x}, {{"axis", int64_t{0}}, {"keepdims", int64_t{1}}});
  return call.result("Reshape", {found, call.integers("shape", call.out_type().shape)});
}

}  // namespace quoin::exporter
