// The ONNX model under construction: names, nodes, initializers.
#pragma once

#include <onnx/onnx_pb.h>

#include <initializer_list>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ir/graph.hpp"

namespace quoin::exporter {

using Names = std::vector<std::string>;

// onnx.TensorProto.DataType. Errors (unsupported): types without an ONNX name here (s2, s4, u4 tensors).
Result<int32_t> onnx_type(DType dtype);

// Not thread safe. The graph must outlive it; constants are borrowed from the graph until write().
class OnnxGraph {
 public:
  // `outputs`: names of the graph outputs; empty: those of the graph. A value inside with such a name gets the other
  // one in exchange.
  OnnxGraph(const ir::Graph& graph, const Names& outputs);

  const ir::Graph& source() const { return graph_; }
  // The ONNX name of a value; a constant becomes an initializer on first use.
  Result<std::string> value(ir::ValueId id);
  // A name that no value has: `base`, or base_1, base_2 ...
  std::string unique(const std::string& base);
  // An initializer that is no value of the graph; small ones of equal content are shared. `code`: onnx type of the
  // bytes, for types that a Tensor does not have (4-bit integers).
  std::string constant(const std::string& base, Tensor tensor);
  std::string constant(const std::string& base, Tensor bytes, int32_t code, Shape shape);

  onnx::NodeProto& add_node(const std::string& op, const Names& inputs, const Names& outputs, const Attrs& attrs);

  // `name` (of type `from`) as `to`: a Cast node, one for all readers.
  std::string cast(const std::string& name, DType from, DType to);
  // `other` holds the elements of `name` in type `dtype`: cast() returns it.
  void provide(const std::string& name, DType dtype, const std::string& other) { casts_[{name, dtype}] = other; }

  // Inputs, outputs and constants; drops nodes that nothing reads. Call once, after the last node.
  Status finish();
  onnx::GraphProto& proto() { return proto_; }

  struct Initializer {
    std::string name;
    int32_t type;
    Shape shape;
    Tensor bytes;
  };
  const std::vector<Initializer>& initializers() const { return initializers_; }

 private:
  void name_values(const Names& outputs);
  Status add_outputs();
  void drop_unread();
  Status describe(onnx::ValueInfoProto& info, const std::string& name, const TensorType& type) const;

  const ir::Graph& graph_;
  onnx::GraphProto proto_;
  Names names_;    // by value
  Names outputs_;  // names of the graph outputs
  std::set<std::string> taken_;
  std::vector<Initializer> initializers_;
  std::vector<bool> written_;                  // constants of the graph, by value
  std::map<std::string, std::string> shared_;  // content of a small constant -> name
  std::map<std::pair<std::string, DType>, std::string> casts_;
};

}  // namespace quoin::exporter
