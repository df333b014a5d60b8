// The program inside a `.pt2` archive: models/model.json in the schema of torch.export, major version 8.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "import/dims.hpp"
#include "json/place.hpp"

namespace quoin::import::pt2 {

using json::Place;

struct TensorMeta {
  DType dtype = DType::f32;
  Shape shape, strides;  // elements
  int64_t offset = 0;    // elements
};

struct TensorRef {
  std::string name;
};
// Lists of tensors may have gaps: index(x, [None, i]).
using TensorRefs = std::vector<std::optional<TensorRef>>;
// Devices, layouts and memory formats: nothing here depends on them.
struct Placement {};
// Sub-graphs, custom objects, complex numbers ...: `kind` is the schema's tag.
struct Opaque {
  std::string kind;
};
// Element types travel as their names ("f32"), symbolic sizes as the numbers they are bound to, None as monostate.
using Argument = std::variant<std::monostate, TensorRef, TensorRefs, bool, int64_t, double, std::string,
                              std::vector<int64_t>, std::vector<double>, Placement, Opaque>;
using Arguments = std::vector<std::pair<std::string, Argument>>;

struct InputSpec {
  enum class Kind { user, parameter, buffer, constant, ignored };
  Kind kind = Kind::user;
  std::string value;   // name in the graph
  std::string target;  // parameters, buffers, constants: name in the weight tables
};

struct NodeRecord {
  std::string target;  // "aten.conv2d.default"
  std::string name;
  std::vector<std::string> outputs;  // tensors only, lists flattened
  std::vector<ir::ModuleFrame> modules;
  std::string source;
  Place inputs;
};

class Program {
 public:
  // `text` is model.json, `file` its name for messages; `dims` binds the symbols of the inputs and must outlive this.
  // Errors: model, unsupported (schema version, kinds of inputs), input (sizes outside a symbol's range).
  static Result<Program> parse(std::string_view text, const std::string& file, Dims& dims, Diagnostics& diagnostics);

  const std::vector<InputSpec>& inputs() const { return inputs_; }
  const std::vector<std::string>& outputs() const { return outputs_; }
  const std::vector<NodeRecord>& nodes() const { return nodes_; }
  // Type of a value as the file states it. Errors: model (unknown value), unsupported (element type, unbound size).
  Result<TensorMeta> meta(const std::string& value) const;
  Result<Arguments> arguments(const NodeRecord& node) const;

 private:
  Program(std::unique_ptr<json::Document> document, Dims& dims);
  Status read_version(const Place& root) const;
  Status read_ranges(const Place& root);
  Status read_inputs(const Place& graph, const Place& signature);
  Result<InputSpec> read_input(const std::string& kind, const Place& body);
  Result<InputSpec> read_user_input(const Place& body);
  Status bind_symbols(const std::string& input);
  Status read_outputs(const Place& signature, Diagnostics& diagnostics);
  Status read_nodes(const Place& graph);
  Result<Argument> argument(const Place& tagged) const;
  Result<Argument> list_argument(const std::string& tag, const Place& value) const;
  Result<int64_t> size(const Place& tagged) const;  // as_int, as_name or as_expr

  std::unique_ptr<json::Document> document_;
  Dims* dims_;
  std::unordered_map<std::string, Place> tensors_, symbolic_;
  std::unordered_map<std::string, Range> ranges_;
  std::vector<InputSpec> inputs_;
  std::vector<std::string> outputs_;
  std::vector<NodeRecord> nodes_;
};

// Shared with the weight tables, which use the same notation. `size` reads one size.
Result<TensorMeta> read_meta(const Place& meta, const std::function<Result<int64_t>(const Place&)>& size);
// Errors (unsupported): complex, quantized and 8-bit float element types.
Result<DType> scalar_type(const Place& code);

}  // namespace quoin::import::pt2
