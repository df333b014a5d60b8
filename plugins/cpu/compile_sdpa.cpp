// Finds softmax(q k^T * scale + mask) v over heads (scaled dot product attention) and makes one instruction of it: the
// scores of a head stay in the cache, and the heads are read and written in place, without transposing them.
#include <algorithm>
#include <array>

#include "builder.hpp"
#include "tiles.hpp"

namespace quoin::cpu {
namespace {

// Whether the node exchanges dims a and c of a tensor of rank 4 and nothing else.
bool swaps(const sdk::Node& node, size_t a, size_t c) {
  const sdk::Params attrs = node.attrs();
  if (node.op() == "aten.transpose.int") {
    const auto one = static_cast<size_t>(wrap(attrs.integer("dim0", 0), 4));
    const auto other = static_cast<size_t>(wrap(attrs.integer("dim1", 0), 4));
    return std::min(one, other) == a && std::max(one, other) == c;
  }
  if (node.op() != "aten.permute.default") return false;
  std::array<size_t, 4> order{0, 1, 2, 3};
  std::swap(order[a], order[c]);
  return std::ranges::equal(attrs.integers("dims"), order, {},
                            [](int64_t d) { return static_cast<size_t>(wrap(d, 4)); });
}

class Finder {
 public:
  explicit Finder(Builder& b) : b_(b), graph_(b.graph) {}

  void look_at(const sdk::Node& softmax) {
    consumed_.clear();
    Sdpa out;
    if (!find_scores(softmax, out) || !find_result(softmax, out) || !fits(out)) return;
    for (const uint32_t node : consumed_) b_.mark_done(graph_.node(node));
    b_.attentions.emplace(anchor_, out);
  }

 private:
  using Value = sdk::Value;
  static bool plain(const Value& v) {
    return v.dtype() == QUOIN_F32 && v.is_static() && !v.qparams() && v.raw.rank == 4;
  }
  // The node that makes `value`, which only the pattern reads.
  std::optional<sdk::Node> only_for_us(const Value& value, const char* op) {
    const auto node = graph_.producer(value);
    if (!node || !graph_.single_user(value) || !plain(value) || (op != nullptr && node->op() != op))
      return std::nullopt;
    return node;
  }

  // softmax <- [add mask] <- [mul number] <- matmul(q, transposed k)
  bool find_scores(const sdk::Node& softmax, Sdpa& out) {
    Value scores = graph_.input(softmax, 0);
    if (const auto add = only_for_us(scores, "aten.add.Tensor")) {
      if (add->attrs().number("alpha", 1) != 1) return false;
      const uint32_t slot = is_scores(graph_.input(*add, 0)) ? 0 : 1;
      if (graph_.input(*add, slot).numel() != scores.numel()) return false;  // the mask adds images or heads
      scores = graph_.input(*add, slot);
      out.mask = add->inputs()[1 - slot];
      consumed_.push_back(add->id());
    }
    if (const auto mul = only_for_us(scores, "aten.mul.Tensor")) {
      const uint32_t slot = graph_.input(*mul, 1).is_constant() ? 1 : 0;
      const Value factor = graph_.input(*mul, slot);
      if (!factor.is_constant() || factor.dtype() != QUOIN_F32 || factor.numel() != 1) return false;
      out.scale = factor.constant<float>()[0];
      scores = graph_.input(*mul, 1 - slot);
      consumed_.push_back(mul->id());
    }
    const auto product = only_for_us(scores, "aten.matmul.default");
    if (!product) return false;
    consumed_.push_back(product->id());
    const Value transposed = graph_.input(*product, 1);
    const auto flip = only_for_us(transposed, nullptr);
    if (!flip || !swaps(*flip, 2, 3)) return false;
    consumed_.push_back(flip->id());
    out.q = heads(graph_.input(*product, 0));
    out.k = heads(graph_.input(*flip, 0));
    out.lengths = {graph_.input(*product, 0).dims()[2], transposed.dims()[3], transposed.dims()[2]};
    return true;
  }
  bool is_scores(const Value& value) const {
    const auto node = graph_.producer(value);
    return node && (node->op() == "aten.mul.Tensor" || node->op() == "aten.matmul.default") &&
           graph_.single_user(value);
  }

  // softmax -> matmul(., v) [-> transpose]
  bool find_result(const sdk::Node& softmax, Sdpa& out) {
    const auto product = graph_.single_user(graph_.output(softmax));
    if (!product || product->op() != "aten.matmul.default" || product->inputs()[0] != softmax.outputs()[0])
      return false;
    consumed_.push_back(softmax.id());
    out.v = heads(graph_.input(*product, 1));
    out.batch = graph_.output(*product).dims()[0];
    out.heads = graph_.output(*product).dims()[1];
    out.width = graph_.output(*product).dims()[3];
    anchor_ = product->id();
    const Value result = graph_.output(*product);
    const int64_t rows = result.dims()[2];
    out.y = {result.id(), out.heads * rows * out.width, rows * out.width, out.width};
    if (const auto next = graph_.single_user(result); next && swaps(*next, 1, 2)) {
      out.y = {next->outputs()[0], rows * out.heads * out.width, out.width, out.heads * out.width};
      consumed_.push_back(next->id());
    }
    return true;
  }

  // Where the rows of [batch, heads, rows, width] lie; a transposition that puts the heads in front is undone.
  Sdpa::Operand heads(const Value& value) {
    if (value.raw.rank != 4) return {};
    const auto d = value.dims();
    if (const auto node = graph_.producer(value); node && swaps(*node, 1, 2) && plain(graph_.input(*node, 0))) {
      if (graph_.single_user(value)) consumed_.push_back(node->id());
      return {node->inputs()[0], d[2] * d[1] * d[3], d[3], d[1] * d[3]};
    }
    return {value.id(), d[1] * d[2] * d[3], d[2] * d[3], d[3]};
  }

  bool fits(const Sdpa& s) const {
    for (const Sdpa::Operand& o : {s.q, s.k, s.v, s.y})
      if (o.value == QUOIN_NONE || !plain(graph_.value(o.value))) return false;
    // Rows as far apart as a packed block would be read as one, past the end of the last.
    if (s.v.row == kPackedColumns && s.width != kPackedColumns) return false;
    if (s.mask == QUOIN_NONE) return true;
    const Value mask = graph_.value(s.mask);
    return mask.dtype() == QUOIN_F32 && mask.is_static() && !mask.qparams() && mask.raw.rank >= 1 &&
           mask.raw.rank <= 4 && mask.dims().back() == s.lengths[1];
  }

  Builder& b_;
  const sdk::Graph& graph_;
  std::vector<uint32_t> consumed_;
  uint32_t anchor_ = 0;
};

// Strides of the mask along batch, heads and rows; 0 where it repeats.
std::array<int64_t, 3> mask_strides(const sdk::Value& mask) {
  const Dims dense = dense_strides(mask.dims());
  std::array<int64_t, 3> out{};
  for (size_t d = 0; d + 1 < dense.size(); ++d)
    if (mask.dims()[d] != 1) out[4 - dense.size() + d] = dense[d];
  return out;
}

void put(const Sdpa::Operand& operand, int64_t* strides) {
  strides[0] = operand.batch;
  strides[1] = operand.head;
  strides[2] = operand.row;
}

}  // namespace

void find_attentions(Builder& b) {
  Finder finder(b);
  for (uint32_t n = 0; n < b.graph.num_nodes(); ++n)
    if (const sdk::Node node = b.graph.node(n); node.op() == "aten.softmax.int") finder.look_at(node);
}

void emit_sdpa(Builder& b, const sdk::Node& node, const Sdpa& s) {
  Instruction i = b.make(Op::sdpa_f32, node);
  i.batch = s.batch;
  i.groups = s.heads;
  std::tie(i.rows, i.n, i.k) = std::tuple_cat(s.lengths);
  i.y_stride = s.width;
  i.ratio = s.scale;
  i.x = b.read(b.graph.value(s.q.value), Layout::plain);
  i.x2 = b.read(b.graph.value(s.k.value), Layout::plain);
  i.x3 = b.read(b.graph.value(s.v.value), Layout::plain);
  put(s.q, i.x_strides);
  put(s.k, i.x_strides + 3);
  put(s.v, i.y_strides + 3);
  put(s.y, i.y_strides);
  if (s.mask != QUOIN_NONE) {
    const sdk::Value mask = b.graph.value(s.mask);
    i.sums = b.read(mask, Layout::plain);
    std::ranges::copy(mask_strides(mask), i.dims);
  }
  b.need_worker(static_cast<uint64_t>(sdpa_floats(i.n, i.k)) * sizeof(float));
  i.y = b.write(b.graph.value(s.y.value), Layout::plain);
  b.emit(i);
}

}  // namespace quoin::cpu
