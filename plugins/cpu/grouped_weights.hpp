// Weights with a scale per group of a row, as rules, compiler and executor see them.
#pragma once

#include <quoin/graph.hpp>

#include "kernels/grouped.hpp"
#include "program.hpp"

namespace quoin::cpu {

// Columns of the codes, and how many of them count: those behind stand for 0 and meet only padding.
struct Columns {
  int64_t stored = 0, used = 0;
};

// Codes of 2, 4 or 8 bits with groups along their rows; `any`: also with one scale per row or one for all.
bool is_grouped(const sdk::Value& weight, bool any);
// What the kernels read of such a weight's first `used` columns. Nothing: no kernel handles it.
std::optional<GroupedLayout> grouped_layout(const sdk::Value& weight, int64_t used);
// True when the columns from `used` on stand for 0 and the groups before are all there are.
bool padding_is_free(const sdk::Value& weight, int64_t used);

// The layout in an instruction and back; nothing for numbers that are no layout.
void set_groups(Instruction& i, const GroupedSpec& spec);
std::optional<GroupedLayout> groups_of(const Instruction& i);

}  // namespace quoin::cpu
