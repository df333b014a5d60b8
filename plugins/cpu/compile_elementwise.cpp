// Quantize and dequantize, arithmetic of two tensors, clamps and functions of one.
#include <algorithm>
#include <quoin/numerics.hpp>

#include "builder.hpp"
#include "kernels/pack.hpp"

namespace quoin::cpu {
namespace {

// quantize and dequantize change layout on the way where the readers want another one.
void emit_conversion(Builder& b, const sdk::Node& node, Op op, const sdk::QParams& q) {
  const sdk::Value x = b.graph.input(node, 0), y = b.graph.output(node);
  const bool returned = b.graph.is_output(y.id());
  const Layout from = b.layout(x);
  const bool images = from == Layout::nhwc && !returned;
  const Layout to = images || b.wanted(y) == Layout::nhwc ? Layout::nhwc : Layout::plain;
  Instruction i = b.make(op, node);
  i.rows = 1;
  i.n = x.numel();
  if (from != to) {
    const auto d = x.dims();
    i.flags = kTransposed;
    i.batch = d[0];
    i.rows = from == Layout::plain ? d[1] : d[2] * d[3];
    i.n = from == Layout::plain ? d[2] * d[3] : d[1];
  }
  const Range range = u8_range(q);
  i.ratio = q.scale[0];
  i.zero_x = i.zero_y = range.zero;
  i.low = range.low;
  i.high = range.high;
  i.x = b.read(x, from);
  i.y = b.write(y, to);
  b.emit(i);
}

void emit_quantize(Builder& b, const sdk::Node& node) {
  emit_conversion(b, node, Op::quantize, *b.graph.output(node).qparams());
}
void emit_dequantize(Builder& b, const sdk::Node& node) {
  emit_conversion(b, node, Op::dequantize, *b.graph.input(node, 0).qparams());
}

void emit_table(Builder& b, const sdk::Node& node, const Rescale& rescale, float (*f)(float)) {
  const sdk::Value x = b.graph.input(node, 0), y = b.graph.output(node);
  Instruction i = b.make(Op::lookup_u8, node);
  const auto [at, table] = b.room<uint8_t>(256);
  if (f == nullptr)
    fill_rescale_table(rescale, table);
  else
    fill_function_table(rescale, f, table);
  i.weights = at;
  i.rows = 1;
  i.n = x.numel();
  const Layout layout = b.layout(x);
  i.x = b.read(x, layout);
  i.y = b.write(y, layout);
  b.emit(i);
}

Rescale rescale_of(const sdk::QParams& x, const sdk::QParams& y, const Range& range) {
  return {x.scale[0], u8_zero(x), y.scale[0], range.zero, range.low, range.high};
}

void emit_requantize(Builder& b, const sdk::Node& node) {
  const sdk::QParams x = *b.graph.input(node, 0).qparams(), y = *b.graph.output(node).qparams();
  emit_table(b, node, rescale_of(x, y, u8_range(y)), nullptr);
}

// A clamp whose operand and result share qparams only moves integers to its bounds.
void emit_clamp(Builder& b, const sdk::Node& node) {
  const sdk::Value x = b.graph.input(node, 0), y = b.graph.output(node);
  const Clamp clamp = *clamp_of(node);
  const Layout layout = b.layout(x);
  Instruction i = b.make(Op::clamp_f32, node);
  i.rows = 1;
  i.n = x.numel();
  i.follows = b.follows(x, kFollowN);
  i.low_f = clamp.low;
  i.high_f = clamp.high;
  i.x = b.read(x, layout);
  if (Builder::is_u8(x)) {
    const Range range = u8_range(*y.qparams(), clamp);
    const auto [at, table] = b.room<uint8_t>(256);
    for (int32_t q = 0; q < 256; ++q) table[q] = static_cast<uint8_t>(std::max(std::min(q, range.high), range.low));
    i.op = Op::lookup_u8;
    i.weights = at;
  }
  i.y = b.write(y, layout);
  b.emit(i);
}

// -- arithmetic of two tensors

constexpr int64_t kShortRow = 8;  // repeating rows shorter than this costs more than writing the operand out

struct Operand {
  Ref at;
  int64_t stride = 0;  // between rows of the result; 0 repeats one row
  bool scalar = false;
};

// Dims of the result in the order of its bytes.
Dims in_order(std::span<const int64_t> dims, Layout layout) {
  if (layout == Layout::plain) return {dims.begin(), dims.end()};
  return {dims[0], dims[2], dims[3], dims[1]};
}

// Strides of an operand along the result's dims in the order of the result's bytes; 0 where it repeats.
Dims broadcast_strides(const sdk::Value& x, Layout x_layout, size_t rank, Layout layout) {
  const Dims own = Builder::strides(x, x_layout);
  Dims out(rank, 0);
  for (size_t d = 0; d < own.size(); ++d)
    if (x.dims()[d] != 1) out[rank - own.size() + d] = own[d];
  return in_order(out, layout);
}

// Rows of the result that one row of the operand serves: the whole operand, its last dims, or one number.
std::optional<Operand> as_rows(Ref at, const Dims& strides, const Dims& dims, int64_t cols, bool f32) {
  const Dims dense = dense_strides(dims);
  bool full = true, tail = true, scalar = true;
  int64_t inner = 1;
  for (size_t d = dims.size(); d-- > 0;) {
    if (dims[d] == 1) continue;
    const bool in_row = inner < cols;
    full = full && strides[d] == dense[d];
    tail = tail && strides[d] == (in_row ? dense[d] : 0);
    scalar = scalar && strides[d] == 0;
    inner *= dims[d];
  }
  if (full) return Operand{at, cols, false};
  if (scalar && f32) return Operand{at, 0, true};
  if (tail && cols >= kShortRow) return Operand{at, 0, false};
  return std::nullopt;
}

// Elements of the result along which every repeating operand is dense.
int64_t row_length(const Dims& a, const Dims& b, const Dims& dims) {
  const Dims dense = dense_strides(dims);
  int64_t cols = 1;
  for (size_t d = dims.size(); d-- > 0;) {
    if (dims[d] != 1 && (a[d] != dense[d] || b[d] != dense[d])) break;
    cols *= dims[d];
  }
  return cols;
}

// The operand repeated to the full size of the result.
Operand expand(Builder& b, const sdk::Node& node, const sdk::Value& x, Ref at, const Dims& strides, const Dims& dims,
               int64_t cols) {
  Instruction i = b.make(Builder::is_u8(x) ? Op::copy_u8 : Op::copy_f32, node);
  const size_t lead = kMaxDims - dims.size();  // the last dim is the innermost
  const Dims dense = dense_strides(dims);
  std::fill(std::begin(i.dims), std::end(i.dims), 1);
  std::copy(dims.begin(), dims.end(), i.dims + lead);
  std::copy(strides.begin(), strides.end(), i.x_strides + lead);
  std::copy(dense.begin(), dense.end(), i.y_strides + lead);
  i.follows = b.follows(b.graph.output(node), kFollowDims << lead);
  i.x = at;
  i.y = b.temporary(static_cast<uint64_t>(product(dims)) * Builder::element_size(x) + kReadPadding);
  b.emit(i);
  return {i.y, cols, false};
}

void set_operands(Builder& b, const sdk::Node& node, const sdk::Value& y, Layout layout, Instruction& i) {
  const Dims dims = in_order(y.dims(), layout);
  Ref at[2];
  Dims strides[2];
  for (uint32_t o = 0; o < 2; ++o) {
    const sdk::Value x = b.graph.input(node, o);
    const Layout own = x.raw.rank == 4 ? layout : Layout::plain;
    at[o] = b.read(x, own);
    strides[o] = broadcast_strides(x, own, dims.size(), layout);
  }
  const int64_t cols = row_length(strides[0], strides[1], dims);
  Operand operands[2];
  for (uint32_t o = 0; o < 2; ++o) {
    const sdk::Value x = b.graph.input(node, o);
    const auto rows = as_rows(at[o], strides[o], dims, cols, !Builder::is_u8(x));
    operands[o] = rows ? *rows : expand(b, node, x, at[o], strides[o], dims, cols);
  }
  i.n = cols;
  i.rows = product(dims) / cols;
  const auto whole = [&](const Operand& o) { return o.stride == cols || o.scalar; };
  if (whole(operands[0]) && whole(operands[1])) {
    i.n *= i.rows;
    i.rows = 1;
  }
  i.follows = b.follows(y, i.rows == 1 ? kFollowN : kFollowRows);
  i.x = operands[0].at;
  i.x2 = operands[1].at;
  i.x_stride = operands[0].stride == 0 ? 0 : i.n;
  i.x2_stride = operands[1].stride == 0 ? 0 : i.n;
  i.y_stride = i.n;
  i.flags |= (operands[0].scalar ? kXScalar : 0u) | (operands[1].scalar ? kX2Scalar : 0u);
}

void set_integer_parameters(Builder& b, const sdk::Node& node, const sdk::Value& y, const Clamp& clamp,
                            Instruction& i) {
  const sdk::QParams qa = *b.graph.input(node, 0).qparams(), qb = *b.graph.input(node, 1).qparams(), qy = *y.qparams();
  const Range range = u8_range(qy, clamp);
  i.zero_x = u8_zero(qa);
  i.zero_x2 = u8_zero(qb);
  i.zero_y = range.zero;
  i.low = range.low;
  i.high = range.high;
  if (i.op == Op::mul_u8) {
    i.ratio = numerics::requantize_multiplier(qa.scale[0], qb.scale[0], qy.scale[0]);
    return;
  }
  i.ratio = qa.scale[0] / qy.scale[0];
  i.ratio2 = qb.scale[0] / qy.scale[0];
}

// silu(a) * b in one step, where the multiplication alone reads the silu.
bool waits_for_product(Builder& b, const sdk::Node& node) {
  const sdk::Value x = b.graph.input(node, 0), y = b.graph.output(node);
  const auto next = b.graph.single_user(y);
  if (!next || next->op() != "aten.mul.Tensor" || Builder::is_u8(x) || b.layout(x) != Layout::plain) return false;
  const auto same = [&](const sdk::Value& v) { return std::ranges::equal(v.dims(), y.dims()) && !Builder::is_u8(v); };
  return same(b.graph.input(*next, 0)) && same(b.graph.input(*next, 1)) && !Builder::is_u8(b.graph.output(*next));
}

bool emit_gated(Builder& b, const sdk::Node& node) {
  for (const uint32_t slot : {0u, 1u}) {
    const auto gate = b.gates.find(b.graph.input(node, slot).id());
    if (gate == b.gates.end()) continue;
    const sdk::Value y = b.graph.output(node);
    Instruction i = b.make(Op::silu_mul_f32, node);
    i.rows = 1;
    i.n = y.numel();
    i.follows = b.follows(y, kFollowN);
    i.x = b.read(b.graph.value(gate->second), Layout::plain);
    i.x2 = b.read(b.graph.input(node, 1 - slot), Layout::plain);
    i.y = b.write(y, Layout::plain);
    b.emit(i);
    return true;
  }
  return false;
}

void emit_binary(Builder& b, const sdk::Node& node, Op integer, Op real) {
  if (real == Op::mul_f32 && emit_gated(b, node)) return;
  const auto [y, clamp] = b.through_clamp(node);
  const bool u8 = Builder::is_u8(y);
  Layout layout = Layout::plain;
  for (uint32_t o = 0; o < 2; ++o)
    if (y.raw.rank == 4 && b.layout(b.graph.input(node, o)) == Layout::nhwc) layout = Layout::nhwc;
  Instruction i = b.make(u8 ? integer : real, node);
  set_operands(b, node, y, layout, i);
  if (u8) {
    set_integer_parameters(b, node, y, clamp, i);
  } else {
    i.low_f = clamp.low;
    i.high_f = clamp.high;
  }
  i.y = b.write(y, layout);
  b.emit(i);
}

template <Op integer, Op real>
void emit_binary(Builder& b, const sdk::Node& node) {
  emit_binary(b, node, integer, real);
}

void emit_function(Builder& b, const sdk::Node& node, Op op) {
  const sdk::Value x = b.graph.input(node, 0);
  const Layout layout = b.layout(x);
  Instruction i = b.make(op, node);
  i.rows = 1;
  i.n = x.numel();
  i.follows = b.follows(x, kFollowN);
  i.x = b.read(x, layout);
  i.y = b.write(b.graph.output(node), layout);
  b.emit(i);
}

template <Op op>
void emit_function(Builder& b, const sdk::Node& node) {
  emit_function(b, node, op);
}

void emit_silu(Builder& b, const sdk::Node& node) {
  if (waits_for_product(b, node))
    b.gates[b.graph.output(node).id()] = b.graph.input(node, 0).id();
  else
    emit_function(b, node, Op::silu_f32);
}

void emit_gelu(Builder& b, const sdk::Node& node) {
  emit_function(b, node, node.attrs().text("approximate", "none") == "tanh" ? Op::gelu_tanh_f32 : Op::gelu_f32);
}

constexpr Emitter kEmitters[] = {
    {"quoin.quantize.default", emit_quantize},
    {"quoin.dequantize.default", emit_dequantize},
    {"quoin.requantize.default", emit_requantize},
    {"aten.relu.default", emit_clamp},
    {"aten.relu6.default", emit_clamp},
    {"aten.hardtanh.default", emit_clamp},
    {"aten.clamp.default", emit_clamp},
    {"aten.clamp_min.default", emit_clamp},
    {"aten.clamp_max.default", emit_clamp},
    {"aten.add.Tensor", emit_binary<Op::add_u8, Op::add_f32>},
    {"aten.mul.Tensor", emit_binary<Op::mul_u8, Op::mul_f32>},
    {"aten.sub.Tensor", emit_binary<Op::count_, Op::sub_f32>},
    {"aten.div.Tensor", emit_binary<Op::count_, Op::div_f32>},
    {"aten.gelu.default", emit_gelu},
    {"aten.tanh.default", emit_function<Op::tanh_f32>},
    {"aten.sigmoid.default", emit_function<Op::sigmoid_f32>},
    {"aten.silu.default", emit_silu},
    {"aten.hardswish.default", emit_function<Op::hardswish_f32>},
    {"aten.exp.default", emit_function<Op::exp_f32>},
};

}  // namespace

std::span<const Emitter> elementwise_emitters() { return kEmitters; }

}  // namespace quoin::cpu
