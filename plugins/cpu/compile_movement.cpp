// Operators that move elements: views cost nothing, the others become one strided copy each.
#include <algorithm>
#include <quoin/numerics.hpp>

#include "builder.hpp"
#include "grouped_weights.hpp"

namespace quoin::cpu {
namespace {

// dims with the strides of both sides; dims of one are dropped and dims that both sides walk alike are joined.
struct Walk {
  Dims dims, x, y;
  void add(int64_t size, int64_t x_stride, int64_t y_stride) {  // from the outermost dim on
    if (size == 1) return;
    if (!dims.empty() && x.back() == x_stride * size && y.back() == y_stride * size) {
      dims.back() *= size;
      x.back() = x_stride;
      y.back() = y_stride;
      return;
    }
    dims.push_back(size);
    x.push_back(x_stride);
    y.push_back(y_stride);
  }
  bool moves_nothing() const { return dims.empty() || (dims.size() == 1 && x[0] == 1 && y[0] == 1); }
};

Instruction copy_of(Builder& b, const sdk::Node& node, const sdk::Value& value, const Walk& walk) {
  Instruction i = b.make(Builder::is_u8(value) ? Op::copy_u8 : Op::copy_f32, node);
  std::fill(std::begin(i.dims), std::end(i.dims), 1);
  const size_t lead = kMaxDims - walk.dims.size();  // the last dim is the innermost
  std::copy(walk.dims.begin(), walk.dims.end(), i.dims + lead);
  std::copy(walk.x.begin(), walk.x.end(), i.x_strides + lead);
  std::copy(walk.y.begin(), walk.y.end(), i.y_strides + lead);
  // The length is part of the outermost dim of what is copied. (A value that has it has no other first dim.)
  if (!walk.dims.empty()) i.follows = b.follows(value, kFollowDims << lead);
  return i;
}

void emit_view(Builder& b, const sdk::Node& node) { b.alias(b.graph.output(node), b.graph.input(node, 0)); }

void emit_permuted(Builder& b, const sdk::Node& node, const Dims& order) {
  const sdk::Value x = b.graph.input(node, 0);
  const Layout layout = b.layout(x);
  const Dims own = Builder::strides(x, layout);
  Dims strides;
  for (const int64_t d : order) strides.push_back(own[static_cast<size_t>(d)]);
  emit_copy(b, node, x, layout, strides, 0);
}

void emit_permute(Builder& b, const sdk::Node& node) {
  Dims order;
  for (const int64_t d : node.attrs().integers("dims")) order.push_back(wrap(d, b.graph.input(node, 0).raw.rank));
  emit_permuted(b, node, order);
}

bool is_product(const sdk::Node& node) {
  return node.op() == "aten.matmul.default" || node.op() == "aten.bmm.default" || node.op() == "aten.mm.default";
}

// A transpose of the last two dims that only matrix products read as second operand stays undone: they read rows.
void emit_transpose(Builder& b, const sdk::Node& node) {
  const sdk::Value x = b.graph.input(node, 0), y = b.graph.output(node);
  const size_t rank = x.raw.rank;
  Dims order(rank);
  for (size_t d = 0; d < rank; ++d) order[d] = static_cast<int64_t>(d);
  const bool named = node.attrs().has("dim0");  // transpose.int; aten.t swaps the only two
  const auto a = static_cast<size_t>(wrap(named ? node.attrs().integer("dim0", 0) : 0, rank));
  const auto c = static_cast<size_t>(wrap(named ? node.attrs().integer("dim1", 0) : -1, rank));
  std::swap(order[a], order[c]);
  const auto users = y.users();
  const bool undone = rank >= 2 && std::min(a, c) == rank - 2 && std::max(a, c) == rank - 1 && !users.empty() &&
                      !b.graph.is_output(y.id()) && !Builder::is_u8(x) &&
                      std::all_of(users.begin(), users.end(), [&](const quoin_place& p) {
                        return p.slot == 1 && is_product(b.graph.node(p.node));
                      });
  if (undone)
    b.transposed[y.id()] = x.id();
  else
    emit_permuted(b, node, order);
}

void emit_expand(Builder& b, const sdk::Node& node) {
  const sdk::Value x = b.graph.input(node, 0), y = b.graph.output(node);
  const Layout layout = b.layout(x);
  const Dims own = Builder::strides(x, layout);
  Dims strides(y.raw.rank, 0);
  for (size_t d = 0; d < own.size(); ++d)
    if (x.dims()[d] != 1) strides[strides.size() - own.size() + d] = own[d];
  emit_copy(b, node, x, layout, strides, 0);
}

void emit_slice(Builder& b, const sdk::Node& node) {
  const sdk::Value x = b.graph.input(node, 0);
  const auto dim = static_cast<size_t>(wrap(node.attrs().integer("dim", 0), x.raw.rank));
  const int64_t size = x.dims()[dim], start = node.attrs().integer("start", 0);
  const Layout layout = b.layout(x);
  Dims strides = Builder::strides(x, layout);
  const int64_t offset = std::clamp<int64_t>(start < 0 ? start + size : start, 0, size) * strides[dim];
  strides[dim] *= node.attrs().integer("step", 1);
  emit_copy(b, node, x, layout, strides, offset, start < 0 && dim == 0 ? strides[0] : 0);
}

void emit_select(Builder& b, const sdk::Node& node) {
  const sdk::Value x = b.graph.input(node, 0);
  const auto dim = wrap(node.attrs().integer("dim", 0), x.raw.rank);
  const int64_t index = wrap(node.attrs().integer("index", 0), static_cast<size_t>(x.dims()[static_cast<size_t>(dim)]));
  const Layout layout = b.layout(x);
  Dims strides = Builder::strides(x, layout);
  const int64_t stride = strides[static_cast<size_t>(dim)];
  strides.erase(strides.begin() + dim);
  const bool from_end = dim == 0 && node.attrs().integer("index", 0) < 0;
  emit_copy(b, node, x, layout, strides, index * stride, from_end ? stride : 0);
}

void emit_cat(Builder& b, const sdk::Node& node) {
  const sdk::Value y = b.graph.output(node);
  const auto dim = static_cast<size_t>(wrap(node.attrs().integer("dim", 0), y.raw.rank));
  Layout layout = Layout::plain;
  for (uint32_t s = 0; s < node.inputs().size(); ++s)
    if (b.layout(b.graph.input(node, s)) == Layout::nhwc) layout = Layout::nhwc;
  const Dims to = Builder::strides(y, layout);
  Ref at{};
  int64_t start = 0;
  for (uint32_t s = 0; s < node.inputs().size(); ++s) {
    const sdk::Value x = b.graph.input(node, s);
    const Ref from = b.read(x, layout);
    if (s == 0) at = b.write(y, layout);
    const Dims own = Builder::strides(x, layout);
    Walk walk;
    const bool channels_last = layout == Layout::nhwc;
    for (const size_t d : channels_last ? std::vector<size_t>{0, 2, 3, 1} : std::vector<size_t>{})
      walk.add(x.dims()[d], own[d], to[d]);
    for (size_t d = 0; !channels_last && d < own.size(); ++d) walk.add(x.dims()[d], own[d], to[d]);
    Instruction i = copy_of(b, node, y, walk);
    i.x = from;
    i.y = at;
    i.y.offset += static_cast<uint64_t>(start * to[dim]) * Builder::element_size(y);
    b.emit(i);
    start += x.dims()[dim];
  }
}

// -- padding

// Amounts before and after each dim, in the order of the dims.
struct Amounts {
  Dims before, after;
};
Amounts amounts_of(const sdk::Node& node, size_t rank) {
  const auto pad = node.attrs().integers("pad");
  Amounts out{Dims(rank, 0), Dims(rank, 0)};
  for (size_t i = 0; i < pad.size(); ++i) (i % 2 == 0 ? out.before : out.after)[rank - 1 - i / 2] = pad[i];
  return out;
}

// Convolutions pad with zeros themselves; true when every reader of the padded image is one.
bool convolutions_pad(Builder& b, const sdk::Node& node, const Amounts& by) {
  const sdk::Value x = b.graph.input(node, 0), y = b.graph.output(node);
  const auto small = [](int64_t amount) { return amount >= 0 && amount < (1 << 15); };
  if (x.raw.rank != 4 || node.attrs().number("value", 0) != 0 || b.graph.is_output(y.id()) || y.users().empty() ||
      by.before[0] != 0 || by.before[1] != 0 || by.after[0] != 0 || by.after[1] != 0)
    return false;
  for (const size_t d : {2u, 3u})
    if (!small(by.before[d]) || !small(by.after[d])) return false;
  return std::all_of(y.users().begin(), y.users().end(), [&](const quoin_place& p) {
    return p.slot == 0 && b.graph.node(p.node).op() == "aten.conv2d.default";
  });
}

// Zeros behind every row, which linear layers with grouped weights do without where the weight has nothing for them.
bool linears_do_without(Builder& b, const sdk::Node& node, const Amounts& by) {
  const sdk::Value x = b.graph.input(node, 0), y = b.graph.output(node);
  const size_t rank = x.raw.rank;
  if (rank == 0 || Builder::is_u8(x) || node.attrs().number("value", 0) != 0 || b.graph.is_output(y.id()) ||
      y.users().empty())
    return false;
  for (size_t d = 0; d < rank; ++d)
    if (by.before[d] != 0 || by.after[d] < 0 || (d + 1 < rank && by.after[d] != 0)) return false;
  return std::all_of(y.users().begin(), y.users().end(), [&](const quoin_place& p) {
    const sdk::Node user = b.graph.node(p.node);
    const bool dynamic = user.op() == "quoin.linear_dynamic.default";
    if (p.slot != 0 || (!dynamic && user.op() != "aten.linear.default")) return false;
    const sdk::Value weight = b.graph.input(user, 1);
    const int64_t used = x.dims().back();
    return is_grouped(weight, !dynamic) && padding_is_free(weight, used) && grouped_layout(weight, used).has_value();
  });
}

void emit_pad(Builder& b, const sdk::Node& node) {
  const sdk::Value x = b.graph.input(node, 0), y = b.graph.output(node);
  const Amounts by = amounts_of(node, x.raw.rank);
  if (linears_do_without(b, node, by)) {
    b.row_paddings[y.id()] = x.id();
    return;
  }
  if (convolutions_pad(b, node, by)) {
    const auto narrow = [](int64_t v) { return static_cast<int32_t>(v); };
    b.paddings[y.id()] = {x.id(), narrow(by.before[2]), narrow(by.before[3])};
    return;
  }
  const Layout layout = b.layout(x);
  const Dims from = Builder::strides(x, layout), to = Builder::strides(y, layout);
  Instruction fill = b.make(Builder::is_u8(x) ? Op::fill_u8 : Op::fill_f32, node);
  fill.n = y.numel();
  fill.follows = b.follows(y, kFollowN);
  fill.value = static_cast<float>(node.attrs().number("value", 0));
  if (Builder::is_u8(x)) {
    const sdk::QParams q = *y.qparams();
    fill.zero_y = numerics::clamp_bound(fill.value, q.scale[0], q.zero_point(), q.qmin, q.qmax) + 128;
    fill.value = 0;
  }
  const Ref source = b.read(x, layout);
  fill.y = b.write(y, layout);
  b.emit(fill);
  Walk walk;
  int64_t x_offset = 0, y_offset = 0;
  const Dims order = layout == Layout::nhwc ? Dims{0, 2, 3, 1} : Dims();
  for (size_t n = 0; n < from.size(); ++n) {
    const size_t d = order.empty() ? n : static_cast<size_t>(order[n]);
    const int64_t crop_before = std::max<int64_t>(-by.before[d], 0), crop_after = std::max<int64_t>(-by.after[d], 0);
    x_offset += crop_before * from[d];
    y_offset += std::max<int64_t>(by.before[d], 0) * to[d];
    walk.add(x.dims()[d] - crop_before - crop_after, from[d], to[d]);
  }
  Instruction i = copy_of(b, node, y, walk);
  i.x = source;
  i.y = fill.y;
  i.x.offset += static_cast<uint64_t>(x_offset) * Builder::element_size(x);
  i.y.offset += static_cast<uint64_t>(y_offset) * Builder::element_size(x);
  b.emit(i);
}

constexpr Emitter kEmitters[] = {
    {"aten.view.default", emit_view},       {"aten.reshape.default", emit_view},
    {"aten.flatten.using_ints", emit_view}, {"aten.squeeze.dim", emit_view},
    {"aten.squeeze.dims", emit_view},       {"aten.unsqueeze.default", emit_view},
    {"aten.dropout.default", emit_view},    {"aten.contiguous.default", emit_view},
    {"aten.clone.default", emit_view},      {"aten.permute.default", emit_permute},
    {"aten.transpose.int", emit_transpose}, {"aten.t.default", emit_transpose},
    {"aten.expand.default", emit_expand},   {"aten.slice.Tensor", emit_slice},
    {"aten.select.int", emit_select},       {"aten.cat.default", emit_cat},
    {"aten.pad.default", emit_pad},
};

}  // namespace

std::span<const Emitter> movement_emitters() { return kEmitters; }

void emit_copy(Builder& b, const sdk::Node& node, const sdk::Value& x, Layout x_layout, const Dims& x_strides,
               int64_t x_offset, int64_t from_end) {
  const sdk::Value y = b.graph.output(node);
  const bool moves_with_end = b.follows(x, 1) != 0 && from_end != 0;
  const Dims to = dense_strides(y.dims());
  Walk walk;
  for (size_t d = 0; d < to.size(); ++d) walk.add(y.dims()[d], x_strides[d], to[d]);
  if (walk.moves_nothing() && x_offset == 0 && x.numel() == y.numel()) {
    b.alias(y, x, x_layout);
    return;
  }
  Instruction i = copy_of(b, node, y, walk);
  i.x = b.read(x, x_layout);
  i.x.offset += static_cast<uint64_t>(x_offset) * Builder::element_size(x);
  if (moves_with_end) i.x_step = from_end * static_cast<int64_t>(Builder::element_size(x));
  i.y = b.write(y, Layout::plain);
  b.emit(i);
}

}  // namespace quoin::cpu
