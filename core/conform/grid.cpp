#include "conform/grid.hpp"

namespace quoin::conform {

ir::ValueId GridBuilder::input(Shape shape, DType dtype) {
  return graph_.add_input("x", {dtype, std::move(shape), nullptr});
}

ir::ValueId GridBuilder::constant(Shape shape, float low, float high) {
  return graph_.add_constant("w", dice_.tensor(std::move(shape), low, high));
}

ir::ValueId GridBuilder::add(std::string_view op, std::vector<ir::ValueId> inputs, Attrs attrs) {
  if (!status_) return ir::kNone;
  ir::Provenance provenance;
  provenance.debug_id = graph_.node_capacity() + 1;
  const auto node = graph_.add_node(op, std::move(inputs), std::move(attrs), {}, std::move(provenance));
  if (node) return graph_.output(*node);
  status_ = fail(node.error());
  return ir::kNone;
}

Result<ir::Graph> GridBuilder::done(std::vector<ir::ValueId> outputs) {
  QUOIN_CHECK(status_);
  graph_.name = "grid";
  graph_.set_outputs(std::move(outputs));
  return std::move(graph_);
}

std::vector<GridPoint> grid(Profile profile) {
  std::vector<GridPoint> out;
  for (const Family& family : families()) {
    for (const char* text : family.quick) out.push_back({&family, Variant(text)});
    if (profile == Profile::full)
      for (const char* text : family.thorough) out.push_back({&family, Variant(text)});
  }
  return out;
}

Result<ir::Graph> build(const GridPoint& point, uint64_t seed) {
  GridBuilder builder(seed);
  std::vector<ir::ValueId> outputs = point.family->build(builder, *point.family, point.variant);
  return builder.done(std::move(outputs));
}

std::vector<Tensor> random_inputs(const ir::Graph& graph, Dice& dice, float bound) {
  std::vector<Tensor> out;
  for (const ir::ValueId id : graph.inputs()) {
    const TensorType& type = graph.value(id).type;
    Tensor tensor(type.dtype, type.shape);
    if (type.dtype == DType::s64)
      for (int64_t& x : tensor.as<int64_t>()) x = dice.between(0, 3);
    else if (type.dtype == DType::f32)
      for (float& x : tensor.as<float>())
        x = dice.chance(6) ? dice.of<float>({0.0f, -0.0f, bound, -bound}) : dice.uniform(-bound, bound);
    out.push_back(std::move(tensor));
  }
  return out;
}

}  // namespace quoin::conform
