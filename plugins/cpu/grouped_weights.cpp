#include "grouped_weights.hpp"

#include <algorithm>

#include "kernels/pack.hpp"
#include "kernels/pack_grouped.hpp"

namespace quoin::cpu {
namespace {

uint32_t bits_of(const sdk::Value& weight) {
  switch (weight.dtype()) {
    case QUOIN_S8:
      return 8;
    case QUOIN_S4:
      return 4;
    case QUOIN_S2:
      return 2;
    default:
      return 0;
  }
}

// The code of a row in column `column`.
int32_t code_at(std::span<const uint8_t> row, uint32_t bits, int64_t column) {
  const auto bit = static_cast<uint64_t>(column) * bits;
  const uint32_t raw = (uint32_t{row[bit / 8]} >> bit % 8) & ((1u << bits) - 1), top = 1u << (bits - 1);
  return static_cast<int32_t>(raw ^ top) - static_cast<int32_t>(top);
}

}  // namespace

bool is_grouped(const sdk::Value& weight, bool any) {
  const auto q = weight.qparams();
  if (!weight.is_constant() || !q || bits_of(weight) == 0 || weight.raw.rank != 2) return false;
  if (q->scheme == QUOIN_PER_GROUP) return true;
  return any && (q->scheme == QUOIN_PER_TENSOR || (q->scheme == QUOIN_PER_CHANNEL && q->axis == 0));
}

std::optional<GroupedLayout> grouped_layout(const sdk::Value& weight, int64_t used) {
  const sdk::QParams q = *weight.qparams();
  const auto zero = [](int32_t z) { return z == 0; };
  const auto byte = [](int32_t z) { return z >= -128 && z <= 127; };
  if (!std::all_of(q.zero_points.begin(), q.zero_points.end(), byte)) return std::nullopt;
  GroupedSpec spec;
  spec.n = weight.dims()[0];
  spec.k = used;
  const int64_t row = round_up(used, 8);
  spec.group = q.scheme == QUOIN_PER_GROUP ? std::min(int64_t{q.group}, row) : row;
  if (q.scheme == QUOIN_PER_GROUP && q.group == weight.dims()[1]) spec.group = row;
  spec.bits = bits_of(weight);
  spec.scale = exact_scale_type(q.scale);
  spec.zeros = !std::all_of(q.zero_points.begin(), q.zero_points.end(), zero);
  return GroupedLayout::make(spec);
}

bool padding_is_free(const sdk::Value& weight, int64_t used) {
  const sdk::QParams q = *weight.qparams();
  const int64_t rows = weight.dims()[0], columns = weight.dims()[1];
  const int64_t group = q.scheme == QUOIN_PER_GROUP ? int64_t{q.group} : columns, groups = columns / group;
  if ((used + group - 1) / group != groups) return false;
  const uint32_t bits = bits_of(weight);
  const auto codes = weight.constant<uint8_t>();
  const auto row_bytes = static_cast<size_t>((columns * bits + 7) / 8);
  for (int64_t r = 0; r < rows; ++r) {
    const auto last = static_cast<size_t>(r * groups + groups - 1);  // groups of a row that is none: 1
    const int32_t zero = q.zero_points.empty() ? 0 : q.zero_points[std::min(last, q.zero_points.size() - 1)];
    for (int64_t c = used; c < columns; ++c)
      if (code_at(codes.subspan(static_cast<size_t>(r) * row_bytes, row_bytes), bits, c) != zero) return false;
  }
  return true;
}

void set_groups(Instruction& i, const GroupedSpec& spec) {
  i.n = spec.n;
  i.k = spec.k;
  i.grouped = {spec.group, spec.bits, static_cast<uint32_t>(spec.scale), spec.zeros ? 1u : 0u, 0};
}

std::optional<GroupedLayout> groups_of(const Instruction& i) {
  if (i.grouped.zeros > 1 || i.grouped.scale > static_cast<uint32_t>(ScaleType::bf16)) return std::nullopt;
  return GroupedLayout::make(
      {i.n, i.k, i.grouped.size, i.grouped.bits, static_cast<ScaleType>(i.grouped.scale), i.grouped.zeros == 1});
}

}  // namespace quoin::cpu
