#include <algorithm>
#include <limits>

#include "base/checked.hpp"
#include "import/onnx_ops.hpp"

namespace quoin::import::onnx_format {
namespace {

// Broadcast of a shape and a wish, both ways; a dim of 1 yields.
Result<Shape> stretched(const Shape& from, Shape wish) {
  if (wish.size() < from.size()) wish.insert(wish.begin(), from.size() - wish.size(), 1);
  const size_t offset = wish.size() - from.size();
  for (size_t i = 0; i < from.size(); ++i) {
    int64_t& dim = wish[offset + i];
    if (dim == 1) dim = from[i];
    if (dim != from[i] && from[i] != 1)
      return fail(Code::model, "{} does not expand to {}", to_string(from), to_string(wish));
  }
  return wish;
}

}  // namespace

// 0 keeps the operand's dim (unless allowzero), -1 takes what is left.
Result<Values> reshape(const Call& call) {
  QUOIN_TRY(const ValueId x, call.input(0));
  QUOIN_TRY(Shape shape, call.known_ints(1));
  QUOIN_TRY(const int64_t zero_is_zero, call.integer("allowzero", 0));
  const Shape& from = call.builder.shape(x);
  for (size_t i = 0; i < shape.size() && !zero_is_zero; ++i) {
    if (shape[i] != 0) continue;
    if (i >= from.size()) return fail(Code::model, "shape {} keeps dim {} of {}", to_string(shape), i, to_string(from));
    shape[i] = from[i];
  }
  return call.builder.result("aten.reshape.default", {x}, {{"shape", shape}});
}

// Always a matrix: dims before the axis, dims from it on.
Result<Values> flatten(const Call& call) {
  Builder& b = call.builder;
  QUOIN_TRY(const ValueId x, call.input(0));
  QUOIN_TRY(int64_t axis, call.integer("axis", 1));
  const Shape shape = b.shape(x);
  const auto rank = static_cast<int64_t>(shape.size());
  if (axis < -rank || axis > rank) return fail(Code::model, "axis {} is out of range for {}", axis, to_string(shape));
  if (axis < 0) axis += rank;
  if (axis == 1) return b.result("aten.flatten.using_ints", {x}, {{"start_dim", int64_t{1}}});
  int64_t rows = 1, columns = 1;
  for (int64_t i = 0; i < rank; ++i) (i < axis ? rows : columns) *= shape[static_cast<size_t>(i)];
  return b.result("aten.reshape.default", {x}, {{"shape", Shape{rows, columns}}});
}

Result<Values> transpose(const Call& call) {
  QUOIN_TRY(const ValueId x, call.input(0));
  Shape reversed;
  for (size_t i = call.builder.rank(x); i-- > 0;) reversed.push_back(static_cast<int64_t>(i));
  QUOIN_TRY(Shape dims, call.ints("perm", reversed));
  return call.builder.result("aten.permute.default", {x}, {{"dims", dims}});
}

Result<Values> squeeze(const Call& call) {
  Builder& b = call.builder;
  QUOIN_TRY(const ValueId x, call.input(0));
  QUOIN_TRY(auto axes, call.ints_of(1, "axes"));
  const Shape& shape = b.shape(x);
  if (!axes) {
    axes.emplace();
    for (size_t i = 0; i < shape.size(); ++i)
      if (shape[i] == 1) axes->push_back(static_cast<int64_t>(i));
  }
  QUOIN_TRY(const Shape dims, wrap_axes(b, *std::move(axes), shape.size()));
  for (const int64_t dim : dims)
    if (shape.empty() || shape[static_cast<size_t>(dim)] != 1)
      return fail(Code::model, "dim {} of {} is not 1", dim, to_string(shape));
  return b.result("aten.squeeze.dims", {x}, {{"dim", dims}});
}

// Axes count in the result.
Result<Values> unsqueeze(const Call& call) {
  Builder& b = call.builder;
  QUOIN_TRY(ValueId x, call.input(0));
  QUOIN_TRY(auto axes, call.ints_of(1, "axes"));
  if (!axes || axes->empty()) return fail(Code::model, "Unsqueeze needs axes");
  const size_t rank = b.rank(x) + axes->size();
  QUOIN_TRY(const Shape dims, wrap_axes(b, *std::move(axes), rank));
  for (size_t i = 0; i < dims.size(); ++i) {
    const Attrs attrs{{"dim", dims[i]}};
    QUOIN_TRY(x, i + 1 == dims.size() ? b.emit("aten.unsqueeze.default", {x}, attrs)
                                      : b.step("aten.unsqueeze.default", {x}, attrs));
  }
  return Values{x};
}

Result<Values> expand(const Call& call) {
  QUOIN_TRY(const ValueId x, call.input(0));
  QUOIN_TRY(Shape wish, call.known_ints(1));
  QUOIN_TRY(const Shape size, stretched(call.builder.shape(x), std::move(wish)));
  if (size == call.builder.shape(x)) return Values{x};
  return call.builder.result("aten.expand.default", {x}, {{"size", size}});
}

Result<Values> tile(const Call& call) {
  QUOIN_TRY(const ValueId x, call.input(0));
  QUOIN_TRY(const Shape repeats, call.known_ints(1));
  return call.builder.result("aten.repeat.default", {x}, {{"repeats", repeats}});
}

// starts, ends, axes, steps: one node per axis.
Result<Values> slice(const Call& call) {
  Builder& b = call.builder;
  QUOIN_TRY(ValueId x, call.input(0));
  QUOIN_TRY(const Shape starts, call.known_ints(1));
  QUOIN_TRY(const Shape ends, call.known_ints(2));
  Shape axes, steps(starts.size(), 1);
  for (size_t i = 0; i < starts.size(); ++i) axes.push_back(static_cast<int64_t>(i));
  if (call.optional(3) != kNone) {
    QUOIN_TRY(axes, call.known_ints(3));
  }
  if (call.optional(4) != kNone) {
    QUOIN_TRY(steps, call.known_ints(4));
  }
  if (ends.size() != starts.size() || axes.size() != starts.size() || steps.size() != starts.size())
    return fail(Code::model, "starts, ends, axes and steps of Slice differ in length");
  for (size_t i = 0; i < starts.size(); ++i) {
    if (steps[i] < 1) return fail(Code::unsupported, "Slice with step {} is not supported", steps[i]);
    const Attrs attrs{{"dim", axes[i]}, {"start", starts[i]}, {"end", ends[i]}, {"step", steps[i]}};
    QUOIN_TRY(
        x, i + 1 == starts.size() ? b.emit("aten.slice.Tensor", {x}, attrs) : b.step("aten.slice.Tensor", {x}, attrs));
  }
  return Values{x};
}

Result<Values> split(const Call& call) {
  Builder& b = call.builder;
  QUOIN_TRY(const ValueId x, call.input(0));
  QUOIN_TRY(int64_t axis, call.integer("axis", 0));
  QUOIN_TRY(axis, b.wrap(axis, b.rank(x)));
  QUOIN_TRY(auto sizes, call.ints_of(1, "split"));
  if (b.rank(x) == 0) return fail(Code::model, "a scalar cannot be split");
  const int64_t total = b.shape(x)[static_cast<size_t>(axis)];
  if (!sizes) {
    // Equal parts, the last one smaller.
    const auto parts = static_cast<int64_t>(call.output_count());
    const int64_t part = (total + parts - 1) / std::max<int64_t>(parts, 1);
    sizes.emplace();
    for (int64_t i = 0; i < parts; ++i) sizes->push_back(std::clamp<int64_t>(total - i * part, 0, part));
  }
  if (sizes->size() != call.output_count())
    return fail(Code::model, "{} parts for {} results", sizes->size(), call.output_count());
  return b.split(x, axis, *sizes);
}

Result<Values> concat(const Call& call) {
  QUOIN_TRY(const int64_t axis, call.integer("axis"));
  if (call.input_count() == 0) return fail(Code::model, "Concat of nothing");
  for (size_t i = 0; i < call.input_count(); ++i) QUOIN_CHECK(call.input(i));
  if (call.input_count() == 1) return Values{call.optional(0)};
  return call.builder.result("aten.cat.default", call.inputs(), {{"dim", axis}});
}

// pads: all amounts in front, then all behind; axes since opset 18.
Result<Values> pad(const Call& call) {
  Builder& b = call.builder;
  QUOIN_TRY(const ValueId x, call.input(0));
  QUOIN_TRY(const std::string mode, call.text("mode", "constant"));
  if (mode != "constant") return fail(Code::unsupported, "Pad in mode {} (only constant padding is known)", mode);
  QUOIN_TRY(const Shape pads, call.known_ints(1));
  const size_t rank = b.rank(x);
  Shape axes;
  for (size_t i = 0; i < rank; ++i) axes.push_back(static_cast<int64_t>(i));
  if (call.optional(3) != kNone) {
    QUOIN_TRY(axes, call.known_ints(3));
  }
  double value = 0;
  if (call.optional(2) != kNone) {
    QUOIN_TRY(const auto fill, call.known_numbers(2));
    value = fill.empty() ? 0 : fill[0];
  }
  if (pads.size() != 2 * axes.size()) return fail(Code::model, "{} pads for {} axes", pads.size(), axes.size());
  Shape amounts(2 * rank, 0);  // (before, after) from the last dim on
  for (size_t i = 0; i < axes.size(); ++i) {
    QUOIN_TRY(const int64_t axis, b.wrap(axes[i], rank));
    const size_t from_last = rank - 1 - static_cast<size_t>(axis);
    amounts[2 * from_last] = pads[i];
    amounts[2 * from_last + 1] = pads[axes.size() + i];
  }
  while (amounts.size() >= 2 && amounts.back() == 0 && amounts[amounts.size() - 2] == 0)
    amounts.resize(amounts.size() - 2);
  if (amounts.empty()) return Values{x};
  return b.result("aten.pad.default", {x}, {{"pad", amounts}, {"value", value}});
}

// A table of rows is an embedding; one known index selects; others pick along the axis.
Result<Values> gather(const Call& call) {
  Builder& b = call.builder;
  QUOIN_TRY(const ValueId x, call.input(0));
  QUOIN_TRY(const ValueId index, call.input(1));
  QUOIN_TRY(int64_t axis, call.integer("axis", 0));
  QUOIN_TRY(axis, b.wrap(axis, b.rank(x)));
  const Shape picked = b.shape(index), from = b.shape(x);
  if (const Tensor* known = b.known(index);
      known && picked.empty() && !is_floating(known->dtype()) && has_numbers(known->dtype()))
    return b.result("aten.select.int", {x}, {{"dim", axis}, {"index", integers(*known)[0]}});
  if (axis == 0 && from.size() == 2 && b.known(x)) return b.result("aten.embedding.default", {x, index});
  if (picked.size() == 1) return b.result("aten.index_select.default", {x, index}, {{"dim", axis}});
  // Along the axis with flat indices, then the indices' own dims.
  const Shape flat{numel(picked)};
  QUOIN_TRY(const ValueId list, b.step("aten.reshape.default", {index}, {{"shape", flat}}));
  QUOIN_TRY(const ValueId rows, b.step("aten.index_select.default", {x, list}, {{"dim", axis}}));
  Shape out = from;
  out.erase(out.begin() + axis);
  out.insert(out.begin() + axis, picked.begin(), picked.end());
  return b.result("aten.reshape.default", {rows}, {{"shape", out}});
}

Result<Values> gather_elements(const Call& call) {
  QUOIN_TRY(const ValueId x, call.input(0));
  QUOIN_TRY(const ValueId index, call.input(1));
  QUOIN_TRY(const int64_t axis, call.integer("axis", 0));
  return call.builder.result("aten.gather.default", {x, index}, {{"dim", axis}});
}

// The last dim of the indices holds the coordinates in the first dims of x.
Result<Values> gather_nd(const Call& call) {
  Builder& b = call.builder;
  QUOIN_TRY(const ValueId x, call.input(0));
  QUOIN_TRY(const ValueId indices, call.input(1));
  QUOIN_TRY(const int64_t batch_dims, call.integer("batch_dims", 0));
  if (batch_dims != 0) return fail(Code::unsupported, "GatherND with batch_dims {} is not supported", batch_dims);
  const Shape from = b.shape(indices);
  if (from.empty() || from.back() < 1 || from.back() > static_cast<int64_t>(b.rank(x)))
    return fail(Code::model, "indices {} do not fit {}", to_string(from), to_string(b.shape(x)));
  Values inputs{x};
  for (int64_t i = 0; i < from.back(); ++i) {
    QUOIN_TRY(inputs.emplace_back(), b.step("aten.select.int", {indices}, {{"dim", int64_t{-1}}, {"index", i}}));
  }
  return b.result("aten.index.Tensor", std::move(inputs));
}

// [N, C * b * b, H, W] -> [N, C, H * b, W * b]; the block's dims stand before the channels (DCR) or behind (CRD).
Result<Values> depth_to_space(const Call& call) {
  Builder& b = call.builder;
  QUOIN_TRY(const ValueId x, call.input(0));
  QUOIN_TRY(const int64_t block, call.integer("blocksize"));
  QUOIN_TRY(const std::string mode, call.text("mode", "DCR"));
  const Shape from = b.shape(x);
  if (from.size() != 4 || block < 1 || block > 1024 || from[1] % (block * block) != 0)
    return fail(Code::model, "DepthToSpace by {} does not fit {}", block, to_string(from));
  const int64_t channels = from[1] / (block * block);
  const bool depth_first = mode == "DCR";
  const Shape parts = depth_first ? Shape{from[0], block, block, channels, from[2], from[3]}
                                  : Shape{from[0], channels, block, block, from[2], from[3]};
  const Shape order = depth_first ? Shape{0, 3, 4, 1, 5, 2} : Shape{0, 1, 4, 2, 5, 3};
  QUOIN_TRY(const ValueId split, b.step("aten.reshape.default", {x}, {{"shape", parts}}));
  QUOIN_TRY(const ValueId mixed, b.step("aten.permute.default", {split}, {{"dims", order}}));
  return b.result("aten.reshape.default", {mixed},
                  {{"shape", Shape{from[0], channels, from[2] * block, from[3] * block}}});
}

}  // namespace quoin::import::onnx_format
