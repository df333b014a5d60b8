#include "program/lift.hpp"

#include "program/view/owned.hpp"

namespace quoin::program {
namespace {

template <class T>
std::vector<T> copy(const view::List<T>& from) {
  return {from.begin(), from.end()};
}

class Lifter {
 public:
  explicit Lifter(const std::shared_ptr<const void>& owner) : owner_(owner) {}
  Model program(const view::Program& from);

 private:
  Value value(const view::Value& from) const;
  Graph graph(const view::Graph& from) const;
  Delegate delegate(const view::Delegate& from) const;

  const std::shared_ptr<const void>& owner_;
  std::vector<std::shared_ptr<const QParams>> qparams_;  // by number
};

Value Lifter::value(const view::Value& from) const {
  Value out;
  out.name = from.name;
  out.type = {from.dtype, copy(from.shape), from.qparams == nullptr ? nullptr : qparams_[from.stored_qparams]};
  if (from.constant != nullptr) out.constant = Tensor(from.dtype, out.type.shape, owner_, from.constant);
  out.offset = from.offset;
  out.dynamic = from.dynamic;
  return out;
}

Node node(const view::Node& from) {
  return {std::string(from.op),    from.delegate,          copy(from.inputs),        copy(from.outputs),
          view::owned_attrs(from), std::string(from.name), std::string(from.module), from.debug_id};
}

Graph Lifter::graph(const view::Graph& from) const {
  Graph out;
  for (const view::Value& each : from.values) out.values.push_back(value(each));
  for (const view::Node& each : from.nodes) out.nodes.push_back(node(each));
  out.inputs = copy(from.inputs);
  out.outputs = copy(from.outputs);
  for (const view::State& each : from.states)
    out.states.push_back({std::string(each.name), each.input, each.output, each.in_place != 0});
  out.arena_size = from.arena_size;
  return out;
}

Delegate Lifter::delegate(const view::Delegate& from) const {
  Delegate out;
  out.plugin = from.plugin;
  out.version = from.version;
  out.tag = from.tag;
  out.blob_format = from.blob_format;
  out.isa = from.isa;
  out.owner = owner_;
  out.blob = from.blob;
  for (const view::Named& each : from.named) out.named.emplace_hint(out.named.end(), each.key, each.bytes);
  if (!from.originals.empty()) out.original = graph(from.originals[0]);
  out.debug_ids = copy(from.debug_ids);
  out.macs = copy(from.macs);
  return out;
}

Model Lifter::program(const view::Program& from) {
  for (const view::QParams& each : from.qparams)
    qparams_.push_back(std::make_shared<const QParams>(view::owned_qparams(each)));
  Model out;
  out.name = from.name;
  for (const view::Method& each : from.methods) out.methods.push_back({std::string(each.name), graph(each.graph())});
  for (const view::Delegate& each : from.delegates) out.delegates.push_back(delegate(each));
  for (const view::Pair& each : from.metadata) out.metadata.emplace_hint(out.metadata.end(), each.key, each.value);
  return out;
}

}  // namespace

Model lift(const view::Program& program, const std::shared_ptr<const void>& owner) {
  return Lifter(owner).program(program);
}

}  // namespace quoin::program
