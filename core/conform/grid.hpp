// The operator grid: small float graphs around one operator each, in many shapes and attributes.
//
// A new operator is one row of families(). Grid files: grid.cpp (what reads the table), grid_rows.cpp (the table).
#pragma once

#include <span>
#include <string>
#include <vector>

#include "conform/dice.hpp"
#include "conform/group.hpp"
#include "conform/variant.hpp"
#include "ir/graph.hpp"

namespace quoin::conform {

// Builds one graph of the grid. Values of parameters depend on the seed only.
class GridBuilder {
 public:
  explicit GridBuilder(uint64_t seed) : dice_(static_cast<uint32_t>(seed)) {}
  ir::ValueId input(Shape shape, DType dtype = DType::f32);
  ir::ValueId constant(Shape shape, float low = -0.5f, float high = 0.5f);
  // kNone after an error, which done() reports.
  ir::ValueId add(std::string_view op, std::vector<ir::ValueId> inputs, Attrs attrs = {});
  const Shape& shape(ir::ValueId value) const { return graph_.value(value).type.shape; }
  // Errors: the first that add() met.
  Result<ir::Graph> done(std::vector<ir::ValueId> outputs);

 private:
  Dice dice_;
  ir::Graph graph_;
  Status status_;
};

struct Family {
  const char* name;                          // in the names of cases
  const char* op;                            // the operator under test
  std::vector<const char*> quick, thorough;  // variants: of every run, and those that only a full run adds
  // Returns the results of the graph.
  std::vector<ir::ValueId> (*build)(GridBuilder&, const Family&, const Variant&);
};
std::span<const Family> families();

// A row with one of its variants.
struct GridPoint {
  const Family* family;
  Variant variant;
  std::string name() const { return std::string(family->name) + "/" + variant.text(); }
};
std::vector<GridPoint> grid(Profile profile);
Result<ir::Graph> build(const GridPoint& point, uint64_t seed);

// Values for the graph's inputs: floats in -bound..bound with zeros and the ends among them, indices in 0..3.
std::vector<Tensor> random_inputs(const ir::Graph& graph, Dice& dice, float bound);

}  // namespace quoin::conform
