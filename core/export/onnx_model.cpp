#include "export/onnx_model.hpp"

#include <algorithm>
#include <unordered_set>

#include "export/onnx_modules.hpp"

namespace quoin::exporter {
namespace {

constexpr size_t kShared = 4096;  // bytes up to which constants of equal content are one

void set_attr(onnx::AttributeProto& to, const std::string& key, const Attr& value) {
  using Proto = onnx::AttributeProto;
  to.set_name(key);
  if (const auto* flag = std::get_if<bool>(&value)) {
    to.set_type(Proto::INT);
    to.set_i(*flag ? 1 : 0);
  } else if (const auto* integer = std::get_if<int64_t>(&value)) {
    to.set_type(Proto::INT);
    to.set_i(*integer);
  } else if (const auto* number = std::get_if<double>(&value)) {
    to.set_type(Proto::FLOAT);
    to.set_f(static_cast<float>(*number));
  } else if (const auto* text = std::get_if<std::string>(&value)) {
    to.set_type(Proto::STRING);
    to.set_s(*text);
  } else if (const auto* integers = std::get_if<std::vector<int64_t>>(&value)) {
    to.set_type(Proto::INTS);
    for (const int64_t each : *integers) to.add_ints(each);
  } else {
    to.set_type(Proto::FLOATS);
    for (const double each : std::get<std::vector<double>>(value)) to.add_floats(static_cast<float>(each));
  }
}

}  // namespace

Result<int32_t> onnx_type(DType dtype) {
  using Proto = onnx::TensorProto;
  switch (dtype) {
    case DType::f32:
      return Proto::FLOAT;
    case DType::f16:
      return Proto::FLOAT16;
    case DType::bf16:
      return Proto::BFLOAT16;
    case DType::f64:
      return Proto::DOUBLE;
    case DType::s8:
      return Proto::INT8;
    case DType::u8:
      return Proto::UINT8;
    case DType::s16:
      return Proto::INT16;
    case DType::u16:
      return Proto::UINT16;
    case DType::s32:
      return Proto::INT32;
    case DType::s64:
      return Proto::INT64;
    case DType::boolean:
      return Proto::BOOL;
    default:
      return fail(Code::unsupported, "tensors of type {} have no ONNX form", name(dtype));
  }
}

OnnxGraph::OnnxGraph(const ir::Graph& graph, const Names& outputs)
    : graph_(graph), names_(graph.value_capacity()), written_(graph.value_capacity()) {
  proto_.set_name(graph.name.empty() ? "graph" : graph.name);
  name_values(outputs);
}

void OnnxGraph::name_values(const Names& outputs) {
  std::unordered_map<std::string, ir::ValueId> holders;
  for (ir::ValueId id = 0; id < names_.size(); ++id) {
    if (!graph_.value(id).alive) continue;
    names_[id] = graph_.value(id).name;
    holders[names_[id]] = id;
    taken_.insert(names_[id]);
  }
  std::set<ir::ValueId> seen(graph_.inputs().begin(), graph_.inputs().end());
  for (size_t i = 0; i < graph_.outputs().size(); ++i) {
    const ir::ValueId id = graph_.outputs()[i];
    const std::string wanted = i < outputs.size() ? outputs[i] : graph_.value(id).name;
    const bool computed = seen.insert(id).second && !graph_.is_constant(id);
    if (computed && names_[id] != wanted) {
      if (const auto holder = holders.find(wanted); holder != holders.end()) {
        names_[holder->second] = names_[id];
        holders[names_[id]] = holder->second;
      }
      names_[id] = wanted;
      holders[wanted] = id;
      taken_.insert(wanted);
    }
    outputs_.push_back(wanted);
  }
}

std::string OnnxGraph::unique(const std::string& base) {
  std::string name = base;
  for (size_t i = 1; !taken_.insert(name).second; ++i) name = fmt::format("{}_{}", base, i);
  return name;
}

Result<std::string> OnnxGraph::value(ir::ValueId id) {
  const ir::Value& value = graph_.value(id);
  if (value.constant && !written_[id]) {
    QUOIN_TRY(const int32_t type, onnx_type(value.type.dtype));
    initializers_.push_back({names_[id], type, value.type.shape, *value.constant});
    written_[id] = true;
  }
  return names_[id];
}

std::string OnnxGraph::constant(const std::string& base, Tensor bytes, int32_t code, Shape shape) {
  std::string key;
  if (bytes.bytes() <= kShared) {
    key = fmt::format("{} {} ", code, to_string(shape));
    key.append(static_cast<const char*>(bytes.data()), bytes.bytes());
    if (const auto found = shared_.find(key); found != shared_.end()) return found->second;
  }
  const std::string name = unique(base);
  initializers_.push_back({name, code, std::move(shape), std::move(bytes)});
  if (!key.empty()) shared_[key] = name;
  return name;
}

std::string OnnxGraph::constant(const std::string& base, Tensor tensor) {
  const int32_t code = *onnx_type(tensor.dtype());
  Shape shape = tensor.shape();
  return constant(base, std::move(tensor), code, std::move(shape));
}

onnx::NodeProto& OnnxGraph::add_node(const std::string& op, const Names& inputs, const Names& outputs,
                                     const Attrs& attrs) {
  onnx::NodeProto& node = *proto_.add_node();
  node.set_op_type(op);
  for (const std::string& input : inputs) node.add_input(input);
  for (const std::string& output : outputs) node.add_output(output);
  for (const auto& [key, value] : attrs) set_attr(*node.add_attribute(), key, value);
  return node;
}

std::string OnnxGraph::cast(const std::string& name, DType from, DType to) {
  if (from == to) return name;
  std::string& out = casts_[{name, to}];
  if (!out.empty()) return out;
  out = unique(fmt::format("{}.{}", name, quoin::name(to)));
  add_node("Cast", {name}, {out}, {{"to", int64_t{*onnx_type(to)}}}).set_name(out);
  return out;
}

Status OnnxGraph::describe(onnx::ValueInfoProto& info, const std::string& name, const TensorType& type) const {
  QUOIN_TRY(const int32_t code, onnx_type(type.dtype));
  info.set_name(name);
  auto& tensor = *info.mutable_type()->mutable_tensor_type();
  tensor.set_elem_type(code);
  tensor.mutable_shape();  // present even for scalars
  for (const int64_t dim : type.shape) tensor.mutable_shape()->add_dim()->set_dim_value(dim);
  return {};
}

// A result that is returned twice, or that is an input or a constant of another name, is copied.
Status OnnxGraph::add_outputs() {
  std::set<std::string> seen;
  for (size_t i = 0; i < outputs_.size(); ++i) {
    const ir::ValueId id = graph_.outputs()[i];
    QUOIN_TRY(const std::string from, value(id));
    std::string to = outputs_[i];
    if (from != to || seen.contains(to)) {
      to = unique(to);
      add_node("Identity", {from}, {to}, {}).set_name(to);
    }
    seen.insert(to);
    QUOIN_CHECK(describe(*proto_.add_output(), to, graph_.value(id).type));
  }
  return {};
}

void OnnxGraph::drop_unread() {
  std::unordered_set<std::string> read;
  for (const auto& output : proto_.output()) read.insert(output.name());
  std::vector<bool> keep(static_cast<size_t>(proto_.node_size()));
  for (int i = proto_.node_size(); i-- > 0;) {
    const onnx::NodeProto& node = proto_.node(i);
    keep[static_cast<size_t>(i)] =
        std::ranges::any_of(node.output(), [&](const std::string& name) { return read.contains(name); });
    if (keep[static_cast<size_t>(i)]) read.insert(node.input().begin(), node.input().end());
  }
  int kept = 0;
  for (int i = 0; i < proto_.node_size(); ++i)
    if (keep[static_cast<size_t>(i)]) proto_.mutable_node()->SwapElements(kept++, i);
  proto_.mutable_node()->DeleteSubrange(kept, proto_.node_size() - kept);
  std::erase_if(initializers_, [&](const Initializer& each) { return !read.contains(each.name); });
}

Status OnnxGraph::finish() {
  for (const ir::ValueId id : graph_.inputs())
    QUOIN_CHECK(describe(*proto_.add_input(), names_[id], graph_.value(id).type));
  QUOIN_CHECK(add_outputs());
  drop_unread();
  return {};
}

}  // namespace quoin::exporter
