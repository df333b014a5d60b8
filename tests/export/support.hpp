// Writes graphs as ONNX, reads them back with the importer, and runs both.
#pragma once

#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>

#include <optional>
#include <random>

#include "../temp_folder.hpp"
#include "export/export.hpp"
#include "import/import.hpp"

namespace quoin::exporter::test {

using quoin::test::TempFolder;

// A graph of one node after the other.
class Build {
 public:
  ir::Graph graph;
  ir::ValueId input(const std::string& name, Shape shape, DType dtype = DType::f32) {
    return graph.add_input(name, {dtype, std::move(shape), nullptr});
  }
  ir::ValueId constant(const std::string& name, Tensor tensor) { return graph.add_constant(name, std::move(tensor)); }
  ir::ValueId add(std::string_view op, std::vector<ir::ValueId> inputs, Attrs attrs = {}, const std::string& name = {},
                  ir::Provenance provenance = {});
  ir::Graph& returns(std::vector<ir::ValueId> outputs) {
    graph.set_outputs(std::move(outputs));
    return graph;
  }
};

Tensor floats(Shape shape, const std::vector<float>& values);
Tensor random_floats(Shape shape, unsigned seed, float low = -2, float high = 2);
template <class T>
Tensor random_integers(DType dtype, Shape shape, unsigned seed, int low, int high) {
  Tensor out(dtype, std::move(shape));
  std::mt19937 engine(seed);
  std::uniform_int_distribution<int> uniform(low, high);
  for (T& x : out.as<T>()) x = static_cast<T>(uniform(engine));
  return out;
}

OnnxOptions at(std::optional<int64_t> opset);
// As the test expects it: fails the test on an error.
OnnxModel written(const ir::Graph& graph, const std::string& path, const OnnxOptions& options = {});
ir::Graph imported(const std::string& path);
ir::Graph round_trip(const ir::Graph& graph, std::optional<int64_t> opset = {});
onnx::ModelProto model_of(const ir::Graph& graph, const OnnxOptions& options = {});
// The error of a graph that must not be written; no file remains.
Error refusal(const ir::Graph& graph, const OnnxOptions& options = {});

std::vector<Tensor> run(const ir::Graph& graph, const std::vector<Tensor>& inputs);
// Same type and shape; floats differ by `tolerance` of the larger magnitude at most, other elements not at all.
void expect_near(const Tensor& found, const Tensor& expected, double tolerance);

}  // namespace quoin::exporter::test
