#include "program/length.hpp"

#include "program/flatten.hpp"
#include "program/view/length.hpp"

namespace quoin::program {

int64_t longest(const Graph& graph) {
  Arena memory(heap());
  return view::longest(flatten(graph, memory));
}

TensorType type_at(const Value& value, int64_t length) {
  TensorType type = value.type;
  view::set_dims(flatten_dims(value), length, type.shape.data());
  return type;
}

}  // namespace quoin::program
