#include <algorithm>

#include "base/checked.hpp"
#include "import/pt2_ops.hpp"

namespace quoin::import::pt2 {
namespace {

struct Along {
  ValueId self = kNone;
  int64_t axis = 0, size = 0;  // the dim and its size
};

Result<Along> along(const Call& call, int64_t fallback = 0) {
  Along out;
  QUOIN_TRY(out.self, call.tensor("self"));
  QUOIN_TRY(const int64_t dim, call.integer("dim", fallback));
  QUOIN_TRY(out.axis, call.builder.wrap(dim, call.builder.rank(out.self)));
  if (call.builder.rank(out.self) == 0) return fail(Code::model, "a scalar has no dim to split");
  out.size = call.builder.shape(out.self)[static_cast<size_t>(out.axis)];
  return out;
}

Result<Values> split_by(const Call& call, const Along& where, int64_t step) {
  if (step < 1) return fail(Code::model, "parts of size {}", step);
  Shape sizes;
  for (int64_t start = 0; start < where.size; start += step) sizes.push_back(std::min(step, where.size - start));
  if (sizes.size() > call.node.outputs.size())
    return fail(Code::model, "{} parts, the node has {} results", sizes.size(), call.node.outputs.size());
  return call.builder.split(where.self, where.axis, sizes);
}

}  // namespace

Result<Values> split_equal(const Call& call) {
  QUOIN_TRY(const Along where, along(call));
  QUOIN_TRY(const int64_t step, call.integer("split_size"));
  return split_by(call, where, step);
}

Result<Values> split_sizes(const Call& call) {
  QUOIN_TRY(const Along where, along(call));
  QUOIN_TRY(const Shape sizes, call.ints(call.find("split_sizes") ? "split_sizes" : "split_size"));
  return call.builder.split(where.self, where.axis, sizes);
}

Result<Values> chunk(const Call& call) {
  QUOIN_TRY(const Along where, along(call));
  QUOIN_TRY(const int64_t chunks, call.integer("chunks"));
  if (chunks < 1) return fail(Code::model, "{} chunks", chunks);
  return split_by(call, where, std::max<int64_t>(where.size / chunks + (where.size % chunks != 0), 1));
}

Result<Values> unbind(const Call& call) {
  QUOIN_TRY(const Along where, along(call));
  if (where.size != static_cast<int64_t>(call.node.outputs.size()))
    return fail(Code::model, "{} slices, the node has {} results", where.size, call.node.outputs.size());
  Values out;
  for (int64_t i = 0; i < where.size; ++i) {
    QUOIN_TRY(out.emplace_back(),
              call.builder.emit("aten.select.int", {where.self}, {{"dim", where.axis}, {"index", i}}));
  }
  return out;
}

Result<Values> narrow(const Call& call) {
  QUOIN_TRY(const Along where, along(call));
  QUOIN_TRY(int64_t start, call.integer("start"));
  QUOIN_TRY(const int64_t length, call.integer("length"));
  if (start < 0) start += where.size;
  const auto end = checked_add(start, length);
  if (start < 0 || length < 0 || !end || *end > where.size)
    return fail(Code::model, "start {} and length {} do not fit a dim of {}", start, length, where.size);
  return call.builder.result("aten.slice.Tensor", {where.self}, {{"dim", where.axis}, {"start", start}, {"end", *end}});
}

Result<Values> squeeze_all(const Call& call) {
  QUOIN_TRY(const ValueId self, call.tensor("self"));
  const Shape& shape = call.builder.shape(self);
  Shape dims;
  for (size_t i = 0; i < shape.size(); ++i)
    if (shape[i] == 1) dims.push_back(static_cast<int64_t>(i));
  return call.builder.result("aten.squeeze.dims", {self}, {{"dim", dims}});
}

Result<Values> unflatten(const Call& call) {
  QUOIN_TRY(const Along where, along(call));
  QUOIN_TRY(const Shape sizes, call.ints("sizes"));
  Shape shape = call.builder.shape(where.self);
  const auto at = shape.erase(shape.begin() + where.axis);
  shape.insert(at, sizes.begin(), sizes.end());
  return call.builder.result("aten.view.default", {where.self}, {{"size", shape}});
}

Result<Values> transpose_last(const Call& call) {
  QUOIN_TRY(const ValueId self, call.tensor("self"));
  return call.builder.result("aten.transpose.int", {self}, {{"dim0", int64_t{-2}}, {"dim1", int64_t{-1}}});
}

Result<Values> move_dims(const Call& call) {
  QUOIN_TRY(const ValueId self, call.tensor("self"));
  QUOIN_TRY(Shape from, call.ints("source"));
  QUOIN_TRY(Shape to, call.ints("destination"));
  const size_t rank = call.builder.rank(self);
  if (from.size() != to.size() || from.size() > rank)
    return fail(Code::model, "{} dims move to {} places", from.size(), to.size());
  Shape dims(rank, -1);
  std::vector<bool> moved(rank, false);
  for (size_t i = 0; i < from.size(); ++i) {
    QUOIN_TRY(from[i], call.builder.wrap(from[i], rank));
    QUOIN_TRY(to[i], call.builder.wrap(to[i], rank));
    dims[static_cast<size_t>(to[i])] = from[i];
    moved[static_cast<size_t>(from[i])] = true;
  }
  size_t next = 0;
  for (int64_t& dim : dims) {
    if (dim != -1) continue;
    while (next < rank && moved[next]) ++next;
    if (next == rank) return fail(Code::model, "a dim moves twice");
    dim = static_cast<int64_t>(next++);
  }
  return call.builder.result("aten.permute.default", {self}, {{"dims", dims}});
}

// Each slice `repeats` times in a row: a new dim behind, stretched and merged.
Result<Values> repeat_interleave(const Call& call) {
  if (!call.find("dim")) return fail(Code::unsupported, "repeat_interleave without a dim is not supported");
  QUOIN_TRY(const Along where, along(call));
  QUOIN_TRY(const int64_t repeats, call.integer("repeats"));
  const auto total = checked_mul(where.size, repeats);
  if (repeats < 1 || !total) return fail(Code::model, "{} repeats", repeats);
  Builder& b = call.builder;
  Shape merged = b.shape(where.self), stretched = merged;
  merged[static_cast<size_t>(where.axis)] = *total;
  stretched.insert(stretched.begin() + where.axis + 1, repeats);
  QUOIN_TRY(const ValueId column, b.step("aten.unsqueeze.default", {where.self}, {{"dim", where.axis + 1}}));
  QUOIN_TRY(const ValueId wide, b.step("aten.expand.default", {column}, {{"size", stretched}}));
  return b.result("aten.reshape.default", {wide}, {{"shape", merged}});
}

Result<Values> tile(const Call& call) {
  QUOIN_TRY(const ValueId self, call.tensor("self"));
  QUOIN_TRY(Shape dims, call.ints("dims"));
  const size_t rank = call.builder.rank(self);
  if (dims.size() < rank) dims.insert(dims.begin(), rank - dims.size(), 1);
  return call.builder.result("aten.repeat.default", {self}, {{"repeats", dims}});
}

// [..., C * r * r, H, W] -> [..., C, H * r, W * r]
Result<Values> pixel_shuffle(const Call& call) {
  Builder& b = call.builder;
  QUOIN_TRY(const ValueId self, call.tensor("self"));
  QUOIN_TRY(const int64_t r, call.integer("upscale_factor"));
  const Shape& x = b.shape(self);
  if (x.size() != 4 || r < 1 || r > 1024 || x[1] % (r * r) != 0)
    return fail(Code::model, "pixel_shuffle by {} does not fit {}", r, to_string(x));
  const Shape split{x[0], x[1] / (r * r), r, r, x[2], x[3]}, out{x[0], split[1], x[2] * r, x[3] * r};
  QUOIN_TRY(const ValueId parts, b.step("aten.view.default", {self}, {{"size", split}}));
  QUOIN_TRY(const ValueId mixed, b.step("aten.permute.default", {parts}, {{"dims", Shape{0, 1, 4, 2, 5, 3}}}));
  return b.result("aten.reshape.default", {mixed}, {{"shape", out}});
}

Result<Values> constant_pad(const Call& call) {
  QUOIN_TRY(const ValueId self, call.tensor("self"));
  QUOIN_TRY(const Shape pad, call.ints("pad"));
  QUOIN_TRY(const double value, call.number("value", 0.0));
  return call.builder.result("aten.pad.default", {self}, {{"pad", pad}, {"value", value}});
}

// The overloads with one scale per dim; the size always is given with them.
Result<Values> upsample(const Call& call) {
  QUOIN_TRY(const ValueId self, call.tensor("self"));
  QUOIN_TRY(const Shape size, call.ints("output_size"));
  Attrs attrs{{"output_size", size}};
  if (out_of_place(call.node.target) == "aten.upsample_nearest2d.default")
    return call.builder.result("aten.upsample_nearest2d.vec", {self}, std::move(attrs));
  QUOIN_TRY(attrs["align_corners"], call.flag("align_corners", false));
  return call.builder.result("aten.upsample_bilinear2d.vec", {self}, std::move(attrs));
}

}  // namespace quoin::import::pt2
