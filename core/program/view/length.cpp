#include "program/view/length.hpp"

#include <algorithm>

#include "ops/tensor.hpp"

namespace quoin::program::view {

int64_t longest(const Graph& graph) {
  for (const uint32_t id : graph.inputs) {
    const Value& value = graph.values[id];
    for (size_t i = 0; i < std::min<uint64_t>(value.shape.size, kMaxRank); ++i)
      if (follows(value, i)) return value.shape[i];
  }
  return 0;
}

void set_dims(const Value& value, int64_t length, int64_t* dims) {
  for (size_t i = 0; i < std::min<uint64_t>(value.shape.size, kMaxRank); ++i)
    if (follows(value, i)) dims[i] = length;
}

bool follows_length(const Graph& graph, const Node& node) {
  for (const List<uint32_t>* list : {&node.inputs, &node.outputs})
    for (const uint32_t id : *list)
      if (id != QUOIN_NONE && graph.values[id].dynamic != 0) return true;
  return false;
}

}  // namespace quoin::program::view
