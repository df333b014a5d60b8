#include <algorithm>
#include <cmath>
#include <limits>

#include "import/onnx_ops.hpp"
#include "import/onnx_window.hpp"

namespace quoin::import::onnx_format {
namespace {

constexpr int64_t kMaxWindow = int64_t{1} << 24;

Status expect_list(const char* name, const Shape& list, size_t count, int64_t least) {
  const bool fits = std::ranges::all_of(list, [&](int64_t v) { return v >= least && v < kMaxWindow; });
  if (list.size() == count && fits) return {};
  return fail(Code::model, "{} {} must have {} elements, {} or more", name, to_string(list), count, least);
}

int64_t windows(int64_t size, int64_t reach, int64_t stride, bool ceil) {
  return (size - reach + (ceil ? stride - 1 : 0)) / stride + 1;
}

// Whether padding `before` on both sides with ceil_mode places exactly the windows of the uneven padding.
bool ceil_mode_fits(const Window& window, const Shape& size) {
  for (size_t i = 0; i < size.size(); ++i) {
    const int64_t before = window.padding.before[i], after = window.padding.after[i], stride = window.stride[i];
    const int64_t reach = (window.kernel[i] - 1) * window.dilation[i] + 1;
    if (before > window.kernel[i] / 2 || after < before || size[i] + before + after < reach ||
        size[i] + 2 * before < reach)
      return false;
    const int64_t wanted = windows(size[i] + before + after, reach, stride, false);
    const int64_t made = windows(size[i] + 2 * before, reach, stride, true);
    const bool last_starts_inside = (wanted - 1) * stride < size[i] + before;
    if (wanted != made || !last_starts_inside) return false;
  }
  return true;
}

struct Pool {
  ValueId x = kNone;
  Window window;
  bool ceil = false;
  Shape size;  // spatial, of x
};

Result<Pool> read_pool(const Call& call) {
  Pool out;
  QUOIN_TRY(out.x, call.input(0));
  const size_t rank = call.builder.rank(out.x);
  if (rank != 3 && rank != 4)
    return fail(Code::unsupported, "pooling of {}; 1 and 2 dims are supported", to_string(call.builder.shape(out.x)));
  QUOIN_TRY(Shape kernel, call.ints("kernel_shape"));
  QUOIN_TRY(out.window, read_window(call, out.x, std::move(kernel)));
  QUOIN_TRY(const int64_t ceil, call.integer("ceil_mode", 0));
  out.ceil = ceil != 0;
  const Shape& shape = call.builder.shape(out.x);
  out.size.assign(shape.begin() + 2, shape.end());
  return out;
}

// The node; a one-dimensional pool is one of height 1.
Result<Values> emit_pool(Builder& b, const char* op, ValueId x, Attrs attrs) {
  if (b.rank(x) == 4) return b.result(op, {x}, std::move(attrs));
  for (const char* key : {"kernel_size", "stride", "padding", "dilation"}) {
    if (const auto found = attrs.find(std::string_view(key)); found != attrs.end()) {
      auto& list = std::get<std::vector<int64_t>>(found->second);
      list.insert(list.begin(), std::string_view(key) == "padding" ? 0 : 1);
    }
  }
  QUOIN_TRY(const ValueId row, b.step("aten.unsqueeze.default", {x}, {{"dim", int64_t{2}}}));
  QUOIN_TRY(const ValueId pooled, b.step(op, {row}, std::move(attrs)));
  return b.result("aten.squeeze.dim", {pooled}, {{"dim", int64_t{2}}});
}

}  // namespace

Result<Window> read_window(const Call& call, ValueId x, Shape kernel) {
  const size_t count = kernel.size();
  const Shape& shape = call.builder.shape(x);
  if (shape.size() != count + 2)
    return fail(Code::model, "operand {} does not fit a window over {} dims", to_string(shape), count);
  QUOIN_CHECK(expect_list("kernel_shape", kernel, count, 1));
  Window out;
  out.kernel = std::move(kernel);
  QUOIN_TRY(out.stride, call.ints("strides", Shape(count, 1)));
  QUOIN_TRY(out.dilation, call.ints("dilations", Shape(count, 1)));
  QUOIN_CHECK(expect_list("strides", out.stride, count, 1));
  QUOIN_CHECK(expect_list("dilations", out.dilation, count, 1));
  QUOIN_TRY(const std::string mode, call.text("auto_pad", "NOTSET"));
  const Shape size(shape.begin() + 2, shape.end());
  if (mode == "SAME_UPPER" || mode == "SAME_LOWER") {
    out.padding = same_padding({size, out.kernel, out.stride, out.dilation}, mode == "SAME_LOWER");
    return out;
  }
  if (mode != "NOTSET" && mode != "VALID" && !mode.empty())
    return fail(Code::model, "auto_pad \"{}\" is not known", mode);
  QUOIN_TRY(Shape pads, call.ints("pads", Shape(2 * count, 0)));
  if (mode == "VALID") pads.assign(2 * count, 0);
  QUOIN_CHECK(expect_list("pads", pads, 2 * count, 0));
  const auto half = pads.begin() + static_cast<int64_t>(count);
  out.padding = {Shape(pads.begin(), half), Shape(half, pads.end())};
  return out;
}

Result<Values> max_pool(const Call& call) {
  Builder& b = call.builder;
  QUOIN_TRY(Pool pool, read_pool(call));
  Shape padding = pool.window.padding.before;
  if (!pool.window.padding.symmetric() && !pool.ceil && ceil_mode_fits(pool.window, pool.size)) {
    pool.ceil = true;
  } else if (!pool.window.padding.symmetric()) {
    // Padding must never win the maximum.
    QUOIN_TRY(pool.x, b.pad_last(pool.x, pool.window.padding.before, pool.window.padding.after,
                                 -std::numeric_limits<double>::infinity()));
    padding.assign(padding.size(), 0);
  }
  return emit_pool(b, "aten.max_pool2d.default", pool.x,
                   {{"kernel_size", pool.window.kernel},
                    {"stride", pool.window.stride},
                    {"padding", padding},
                    {"dilation", pool.window.dilation},
                    {"ceil_mode", pool.ceil}});
}

Result<Values> average_pool(const Call& call) {
  Builder& b = call.builder;
  QUOIN_TRY(Pool pool, read_pool(call));
  QUOIN_TRY(const int64_t counted, call.integer("count_include_pad", 0));
  if (std::ranges::any_of(pool.window.dilation, [](int64_t d) { return d != 1; }))
    return fail(Code::unsupported, "average pooling with dilation is not supported");
  Shape padding = pool.window.padding.before;
  if (!pool.window.padding.symmetric() && counted) {
    QUOIN_TRY(pool.x, b.pad_last(pool.x, pool.window.padding.before, pool.window.padding.after, 0.0));
    padding.assign(padding.size(), 0);
  } else if (!pool.window.padding.symmetric()) {
    if (pool.ceil || !ceil_mode_fits(pool.window, pool.size))
      return fail(Code::unsupported, "average pooling with uneven padding that is not counted is not supported here");
    pool.ceil = true;
  }
  return emit_pool(b, "aten.avg_pool2d.default", pool.x,
                   {{"kernel_size", pool.window.kernel},
                    {"stride", pool.window.stride},
                    {"padding", padding},
                    {"ceil_mode", pool.ceil},
                    {"count_include_pad", counted != 0}});
}

Result<Values> global_pool(const Call& call) {
  Builder& b = call.builder;
  QUOIN_TRY(const ValueId x, call.input(0));
  const size_t rank = b.rank(x);
  if (rank < 3) return fail(Code::model, "input {} has no spatial dims", to_string(b.shape(x)));
  if (call.op() == "GlobalAveragePool" && rank == 4)
    return b.result("aten.adaptive_avg_pool2d.default", {x}, {{"output_size", Shape{1, 1}}});
  Shape dims;
  for (size_t i = 2; i < rank; ++i) dims.push_back(static_cast<int64_t>(i));
  return b.result(call.op() == "GlobalMaxPool" ? "aten.amax.default" : "aten.mean.dim", {x},
                  {{"dim", dims}, {"keepdim", true}});
}

// Nearest and linear resizing of images, in the coordinate modes that equal torch's.
Result<Values> resize(const Call& call) {
  Builder& b = call.builder;
  QUOIN_TRY(const ValueId x, call.input(0));
  QUOIN_TRY(const std::string mode, call.text("mode", "nearest"));
  QUOIN_TRY(const std::string coordinates, call.text("coordinate_transformation_mode", "half_pixel"));
  QUOIN_TRY(const std::string rounding, call.text("nearest_mode", "round_prefer_floor"));
  if (b.rank(x) != 4) return fail(Code::unsupported, "resizing of {}; images are supported", to_string(b.shape(x)));
  if (call.has_attr("axes")) return fail(Code::unsupported, "Resize with axes is not supported");
  const Shape shape = b.shape(x);
  Attrs attrs;
  bool whole = true;  // upscaling by a whole factor: rounding at pixel centres picks the pixel below
  if (call.optional(3) != kNone) {
    QUOIN_TRY(const Shape sizes, call.known_ints(3));
    if (sizes.size() != 4 || sizes[0] != shape[0] || sizes[1] != shape[1])
      return fail(Code::unsupported, "Resize to {} from {}; only height and width may change", to_string(sizes),
                  to_string(shape));
    for (size_t i = 2; i < 4; ++i) whole = whole && shape[i] > 0 && sizes[i] % shape[i] == 0;
    attrs["output_size"] = Shape{sizes[2], sizes[3]};
  } else {
    QUOIN_TRY(const auto scales, call.known_numbers(2));
    if (scales.size() != 4 || scales[0] != 1 || scales[1] != 1)
      return fail(Code::unsupported, "Resize scales batch or channels");
    for (size_t i = 2; i < 4; ++i) whole = whole && scales[i] >= 1 && scales[i] == std::floor(scales[i]);
    attrs["scale_factors"] = std::vector<double>{scales[2], scales[3]};
  }
  if (mode == "nearest") {
    const bool floor = coordinates == "asymmetric" && rounding == "floor";
    const bool centred = whole && coordinates.ends_with("half_pixel") && rounding.starts_with("round_prefer_");
    if (!floor && !centred)
      return fail(Code::unsupported, "nearest resizing with {} and {} is not supported by this factor", coordinates,
                  rounding);
    return b.result("aten.upsample_nearest2d.vec", {x}, std::move(attrs));
  }
  const bool corners = coordinates == "align_corners";
  if (mode != "linear" || (!corners && coordinates != "half_pixel" && coordinates != "pytorch_half_pixel"))
    return fail(Code::unsupported, "resizing by {} with {} is not supported", mode, coordinates);
  attrs["align_corners"] = corners;
  return b.result("aten.upsample_bilinear2d.vec", {x}, std::move(attrs));
}

// Axes are an attribute before opset 18 (13 for ReduceSum) and an operand since.
Result<Values> reduce(const Call& call) {
  Builder& b = call.builder;
  QUOIN_TRY(const ValueId x, call.input(0));
  QUOIN_TRY(const auto axes, call.ints_of(1, "axes"));
  QUOIN_TRY(const int64_t keep, call.integer("keepdims", 1));
  QUOIN_TRY(const int64_t noop, call.integer("noop_with_empty_axes", 0));
  if (noop && (!axes || axes->empty())) return Values{x};
  Attrs attrs{{"dim", axes.value_or(Shape{})}, {"keepdim", keep != 0}};
  if (call.op() == "ReduceMean") return b.result("aten.mean.dim", {x}, std::move(attrs));
  if (call.op() == "ReduceSum") {
    attrs["dtype"] = std::string(name(b.dtype(x)));
    return b.result("aten.sum.dim_IntList", {x}, std::move(attrs));
  }
  if (call.op() == "ReduceMax") return b.result("aten.amax.default", {x}, std::move(attrs));
  if (call.op() == "ReduceMin") return b.result("aten.amin.default", {x}, std::move(attrs));
  attrs["ord"] = call.op() == "ReduceL1" ? 1.0 : 2.0;
  return b.result("aten.linalg_vector_norm.default", {x}, std::move(attrs));
}

Result<Values> arg_max(const Call& call) {
  QUOIN_TRY(const ValueId x, call.input(0));
  QUOIN_TRY(const int64_t axis, call.integer("axis", 0));
  QUOIN_TRY(const int64_t keep, call.integer("keepdims", 1));
  QUOIN_TRY(const int64_t last, call.integer("select_last_index", 0));
  if (last) return fail(Code::unsupported, "ArgMax with select_last_index is not supported");
  return call.builder.result("aten.argmax.default", {x}, {{"dim", axis}, {"keepdim", keep != 0}});
}

}  // namespace quoin::import::onnx_format
