// linear and quoin.linear_dynamic with weights of few bits in groups, and embeddings of such tables. The weights lie
// beside the blob, packed once and shared by all delegates of a program.
#include <quoin/numerics.hpp>

#include "builder.hpp"
#include "grouped_weights.hpp"
#include "kernels/pack.hpp"
#include "kernels/pack_grouped.hpp"

namespace quoin::cpu {
namespace {

// One per group, whatever the scheme of the qparams.
template <class T>
std::vector<T> per_group(std::span<const float> numbers, int64_t count) {
  std::vector<T> out(static_cast<size_t>(count));
  for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<T>(numbers[numbers.size() == 1 ? 0 : i]);
  return out;
}
std::vector<int8_t> zeros_of(const sdk::QParams& q, int64_t count) {
  std::vector<int8_t> out(static_cast<size_t>(count));
  for (size_t i = 0; i < out.size(); ++i)
    out[i] = static_cast<int8_t>(q.zero_points[q.zero_points.size() == 1 ? 0 : i]);
  return out;
}

// "grouped.k172.g32.b4.f16": a layout that other packings of the same constant do not share.
std::string tag(std::string_view kind, const GroupedSpec& spec) {
  constexpr std::string_view scales[] = {"f32", "f16", "bf16"};
  return std::string(kind) + ".k" + std::to_string(spec.k) + ".g" + std::to_string(spec.group) + ".b" +
         std::to_string(spec.bits) + "." + std::string(scales[static_cast<size_t>(spec.scale)]) +
         (spec.zeros ? ".zero" : "");
}

// The rows of the codes without the columns that only meet padding; `room` keeps them where they are copied.
const uint8_t* used_codes(const sdk::Value& weight, const GroupedSpec& spec, std::vector<uint8_t>& room) {
  const auto codes = weight.constant<uint8_t>();
  const auto row_bytes = static_cast<size_t>((weight.dims()[1] * spec.bits + 7) / 8);
  const auto used_bytes = static_cast<size_t>((spec.k * spec.bits + 7) / 8);
  if (row_bytes == used_bytes) return codes.data();
  room.resize(static_cast<size_t>(spec.n) * used_bytes);
  for (size_t r = 0; r < static_cast<size_t>(spec.n); ++r)
    std::copy_n(codes.data() + r * row_bytes, used_bytes, room.data() + r * used_bytes);
  return room.data();
}

// The packed weight; its corrections lie behind it.
Ref packed(Builder& b, const sdk::Value& weight, const GroupedLayout& layout) {
  const auto corrections = static_cast<uint64_t>(layout.blocks * kGroupedBlock) * sizeof(float);
  const auto bytes = static_cast<uint64_t>(layout.bytes);
  return b.named(weight, tag("grouped", layout.spec), bytes + corrections, [&](std::byte* to) {
    const sdk::QParams q = *weight.qparams();
    const int64_t groups = layout.spec.n * layout.groups;
    std::vector<uint8_t> room;
    const std::vector<float> scales = per_group<float>(q.scale, groups);
    std::vector<int8_t> zeros;
    if (layout.spec.zeros) zeros = zeros_of(q, groups);
    const GroupedSource source{used_codes(weight, layout.spec, room), scales.data(),
                               zeros.empty() ? nullptr : zeros.data()};
    constexpr uint64_t kGrain = 16;  // blocks
    sdk::parallel_for(b.host, static_cast<uint64_t>(layout.blocks), kGrain,
                      [&](uint64_t begin, uint64_t end, uint32_t) noexcept {
                        pack_grouped(layout, source, static_cast<int64_t>(begin), static_cast<int64_t>(end),
                                     reinterpret_cast<uint8_t*>(to), reinterpret_cast<float*>(to + bytes));
                      });
  });
}

// The operand without a padding that the weight does not need.
sdk::Value unpadded(Builder& b, const sdk::Node& node) {
  const sdk::Value x = b.graph.input(node, 0);
  const auto found = b.row_paddings.find(x.id());
  return found == b.row_paddings.end() ? x : b.graph.value(found->second);
}

Instruction linear(Builder& b, const sdk::Node& node, Op op, const sdk::Value& x, const GroupedLayout& layout) {
  Instruction i = b.make(op, node);
  set_groups(i, layout.spec);
  i.rows = x.numel() / i.k;
  i.follows = b.follows(x, kFollowRows);
  i.weights = packed(b, b.graph.input(node, 1), layout);
  if (node.has_input(2)) i.bias = b.channels(b.graph.input(node, 2).constant<float>());
  return i;
}

// Codes of the rows of x with their own scale and zero point; made once for all readers (query, key, value).
Builder::Rows tokens_of(Builder& b, const sdk::Node& node, const sdk::Value& x, const GroupedLayout& layout) {
  const auto scheme = static_cast<uint32_t>(*numerics::dynamic_scheme(node.attrs().text("scheme", "affine")));
  const auto eps = static_cast<float>(node.attrs().number("eps", double{numerics::kDefaultEps}));
  const Builder::RowsKey key(x.id(), scheme, eps, layout.spec.k, layout.spec.group, layout.sum_factor());
  if (const auto found = b.quantized_rows.find(key); found != b.quantized_rows.end()) return found->second;
  Instruction i = b.make(Op::quantize_tokens, node);
  set_groups(i, layout.spec);
  i.flags = scheme;
  i.eps = eps;
  i.divisor = layout.sum_factor();
  i.rows = x.numel() / i.k;
  i.follows = b.follows(x, kFollowRows);
  i.x = b.read(x, Layout::plain);
  const auto rows = static_cast<uint64_t>(i.rows);
  i.y = b.temporary(rows * static_cast<uint64_t>(token_chunks(i.k, i.grouped.size) * kGroupedChunk) + kReadPadding);
  i.y2 = b.temporary(rows * static_cast<uint64_t>(layout.groups) * sizeof(int32_t));
  i.multiplier = b.temporary(rows * sizeof(float));
  i.sums = b.temporary(rows * sizeof(int32_t));
  b.emit(i);
  return b.quantized_rows[key] = {i.y, i.multiplier, i.sums, i.y2};
}

}  // namespace

void emit_grouped_dynamic(Builder& b, const sdk::Node& node) {
  const sdk::Value x = unpadded(b, node);
  const GroupedLayout layout = *grouped_layout(b.graph.input(node, 1), x.dims().back());
  const Builder::Rows rows = tokens_of(b, node, x, layout);
  Instruction i = linear(b, node, Op::gemm_grouped, x, layout);
  const auto [y, clamp] = b.through_clamp(node);
  i.low_f = clamp.low;
  i.high_f = clamp.high;
  i.x = rows.x;
  i.x2 = rows.scale;
  i.sums = rows.zero;
  i.x3 = rows.sums;
  i.y = b.write(y, Layout::plain);
  b.emit(i);
}

void emit_grouped_linear(Builder& b, const sdk::Node& node) {
  const sdk::Value x = unpadded(b, node);
  const GroupedLayout layout = *grouped_layout(b.graph.input(node, 1), x.dims().back());
  Instruction i = linear(b, node, Op::gemm_grouped_f32, x, layout);
  const auto [y, clamp] = b.through_clamp(node);
  i.low_f = clamp.low;
  i.high_f = clamp.high;
  i.x = b.read(x, Layout::plain);
  i.y = b.write(y, Layout::plain);
  b.need_worker(static_cast<uint64_t>(grouped_panel(layout)) * sizeof(float));
  b.emit(i);
}

void emit_embedding(Builder& b, const sdk::Node& node) {
  const sdk::Value table = b.graph.input(node, 0), indices = b.graph.input(node, 1), y = b.graph.output(node);
  Instruction i = b.make(Op::embed_f32, node);
  i.n = table.dims()[0];
  i.k = table.dims()[1];
  i.rows = indices.numel();
  i.follows = b.follows(y, kFollowRows);
  const auto bytes = table.constant<std::byte>();
  const auto codes = static_cast<uint64_t>(round_up(static_cast<int64_t>(bytes.size()), kAlign));
  if (!table.qparams()) {
    i.weights = b.named(table, "rows", bytes.size(), [&](std::byte* to) { std::copy(bytes.begin(), bytes.end(), to); });
  } else {
    i.op = Op::embed_codes;
    const GroupedLayout layout = *grouped_layout(table, i.k);
    set_groups(i, layout.spec);
    const int64_t groups = layout.spec.n * layout.groups;
    const auto scales = static_cast<uint64_t>(round_up(groups * scale_bytes(layout.spec.scale), kAlign));
    i.weights = b.named(
        table, tag("rows", layout.spec), codes + scales + static_cast<uint64_t>(layout.spec.zeros ? groups : 0),
        [&](std::byte* to) {
          const sdk::QParams q = *table.qparams();
          std::copy(bytes.begin(), bytes.end(), to);
          store_scales(layout.spec.scale, per_group<float>(q.scale, groups), reinterpret_cast<uint8_t*>(to + codes));
          if (!layout.spec.zeros) return;
          const std::vector<int8_t> zeros = zeros_of(q, groups);
          std::copy_n(reinterpret_cast<const std::byte*>(zeros.data()), zeros.size(), to + codes + scales);
        });
    i.multiplier = i.sums = i.weights;
    i.multiplier.offset = codes;
    i.sums = layout.spec.zeros ? i.weights : Ref{};
    i.sums.offset = layout.spec.zeros ? codes + scales : 0;
  }
  i.x = b.read(indices, Layout::plain);
  i.y = b.write(y, Layout::plain);
  b.emit(i);
}

}  // namespace quoin::cpu
