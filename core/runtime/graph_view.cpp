#include "runtime/graph_view.hpp"

#include <deque>

namespace quoin::runtime {
namespace {

quoin_str str(const std::string& text) { return {text.data(), text.size()}; }

template <class T>
quoin_array array(const std::vector<T>& items) {
  return {items.data(), static_cast<uint32_t>(items.size()), sizeof(T)};
}

}  // namespace

struct GraphView::Arrays {
  quoin_graph graph{};
  std::vector<quoin_value> values;
  std::vector<quoin_node> nodes;
  std::vector<uint32_t> node_index;  // graph node -> node here
  std::vector<std::vector<quoin_place>> users;
  std::deque<quoin_qparams> qparams;  // deques: pointers into them stay valid as they grow
  std::deque<std::vector<quoin_param>> params;
  std::deque<quoin_str> texts;

  void add_value(const program::Value& from);
  void add_node(const program::Node& from);
  quoin_param param(const std::string& key, const Attr& attr);
};

void GraphView::Arrays::add_value(const program::Value& from) {
  quoin_value value{};
  value.name = str(from.name);
  value.dtype = static_cast<quoin_dtype>(from.type.dtype);
  value.rank = static_cast<uint32_t>(from.type.shape.size());
  value.dims = from.type.shape.data();
  value.producer = QUOIN_NONE;
  if (from.constant) value.constant = {from.constant->data(), from.constant->bytes()};
  if (from.type.qparams) {
    qparams.push_back(quoin::view(*from.type.qparams));
    value.qparams = &qparams.back();
  }
  values.push_back(value);
}

quoin_param GraphView::Arrays::param(const std::string& key, const Attr& attr) {
  quoin_param out{str(key), 0, 1, nullptr};
  const auto set = [&](uint32_t kind, const void* data, size_t count = 1) {
    out.kind = kind;
    out.data = data;
    out.count = static_cast<uint32_t>(count);
  };
  static_assert(sizeof(bool) == 1, "QUOIN_PARAM_BOOL is read as uint8_t");
  if (const auto* flag = std::get_if<bool>(&attr)) set(QUOIN_PARAM_BOOL, flag);
  if (const auto* integer = std::get_if<int64_t>(&attr)) set(QUOIN_PARAM_INT, integer);
  if (const auto* number = std::get_if<double>(&attr)) set(QUOIN_PARAM_FLOAT, number);
  if (const auto* text = std::get_if<std::string>(&attr)) set(QUOIN_PARAM_STR, &texts.emplace_back(str(*text)));
  if (const auto* list = std::get_if<std::vector<int64_t>>(&attr)) set(QUOIN_PARAM_INT, list->data(), list->size());
  if (const auto* list = std::get_if<std::vector<double>>(&attr)) set(QUOIN_PARAM_FLOAT, list->data(), list->size());
  return out;
}

void GraphView::Arrays::add_node(const program::Node& from) {
  const auto index = static_cast<uint32_t>(nodes.size());
  node_index.push_back(from.op.empty() ? QUOIN_NONE : index);
  if (from.op.empty()) return;
  std::vector<quoin_param>& attrs = params.emplace_back();
  for (const auto& [key, attr] : from.attrs) attrs.push_back(param(key, attr));
  quoin_node node{};
  node.op = str(from.op);
  node.op_version = find_op(from.op)->version;
  node.num_inputs = static_cast<uint32_t>(from.inputs.size());
  node.num_outputs = static_cast<uint32_t>(from.outputs.size());
  node.inputs = from.inputs.data();
  node.outputs = from.outputs.data();
  node.attrs = array(attrs);
  node.scope = str(from.module);
  node.debug_id = from.debug_id;
  nodes.push_back(node);
  for (const uint32_t value : from.outputs) values[value].producer = index;
  for (uint32_t slot = 0; slot < from.inputs.size(); ++slot)
    if (from.inputs[slot] != program::kNone) users[from.inputs[slot]].push_back({index, slot, 0, 0});
}

GraphView::GraphView(const program::Graph& graph) : arrays_(std::make_unique<Arrays>()) {
  Arrays& a = *arrays_;
  for (const program::Value& value : graph.values) a.add_value(value);
  a.users.resize(graph.values.size());
  for (const program::Node& node : graph.nodes) a.add_node(node);
  for (size_t i = 0; i < a.values.size(); ++i) {
    a.values[i].users = a.users[i].data();
    a.values[i].num_users = static_cast<uint32_t>(a.users[i].size());
  }
  a.graph.struct_size = sizeof a.graph;
  a.graph.num_inputs = static_cast<uint32_t>(graph.inputs.size());
  a.graph.num_outputs = static_cast<uint32_t>(graph.outputs.size());
  a.graph.values = array(a.values);
  a.graph.nodes = array(a.nodes);
  a.graph.inputs = graph.inputs.data();
  a.graph.outputs = graph.outputs.data();
}

GraphView::GraphView(GraphView&&) noexcept = default;
GraphView::~GraphView() = default;
const quoin_graph* GraphView::graph() const { return &arrays_->graph; }
uint32_t GraphView::node(size_t graph_node) const { return arrays_->node_index[graph_node]; }
const quoin_qparams* GraphView::qparams(uint32_t value) const { return arrays_->values[value].qparams; }

}  // namespace quoin::runtime
