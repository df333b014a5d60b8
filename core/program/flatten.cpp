#include "program/flatten.hpp"

#include <unordered_map>

#include "base/guard.hpp"
#include "program/check.hpp"

namespace quoin::program {
namespace {

template <class T>
view::List<T> list(const std::vector<T>& from) {
  return {{from.data(), from.size()}};
}

view::QParams flat_qparams(const QParams& from) {
  view::QParams out{from.dtype,       static_cast<uint32_t>(from.scheme),
                    from.axis,        from.group,
                    from.qmin,        from.qmax,
                    list(from.scale), list(from.zero_point),
                    list(from.block), {}};
  out.abi = view::abi_of(out);
  return out;
}

view::Attr flat_attr(const std::pair<const std::string, Attr>& from) {
  view::Attr out{};
  out.name = from.first;
  out.kind = static_cast<view::AttrKind>(from.second.index());
  const auto put = [&](const auto& content) {
    using T = std::remove_cvref_t<decltype(content)>;
    if constexpr (std::is_same_v<T, double>)
      out.number = content;
    else if constexpr (std::is_integral_v<T>)
      out.integer = content;
    else if constexpr (std::is_same_v<T, std::string>)
      out.text = content;
    else if constexpr (std::is_same_v<T, std::vector<int64_t>>)
      out.integers = list(content);
    else
      out.numbers = list(content);
  };
  std::visit(put, from.second);
  return out;
}

// Never null, also where there are no bytes.
const void* content_of(const Tensor& constant) {
  static constexpr std::byte kNothing{};
  return constant.data() == nullptr ? &kNothing : constant.data();
}

class Flattener {
 public:
  explicit Flattener(Arena& arena) : arena_(arena) {}
  view::Program* program(const Model& from);
  view::Graph& only_graph(const Graph& from);

 private:
  template <class T>
  std::span<T> make(size_t count) {
    Fault fault;
    std::span<T> out;
    if (!arena_.make(count, out, fault)) out_of_memory();
    return out;
  }
  // What `convert` makes of each item.
  template <class T, class Items, class F>
  view::List<T> each(const Items& items, const F& convert) {
    const std::span<T> out = make<T>(std::size(items));
    size_t i = 0;
    for (const auto& item : items) out[i++] = convert(item);
    return {{out.data(), out.size()}};
  }
  template <class T>
  view::List<T> one(const T& item) {
    return each<T>(std::span(&item, 1), [](const T& only) { return only; });
  }
  void number_qparams(const Graph& graph);
  void make_qparams();
  view::Value value(const Value& from);
  view::Node node(const Node& from);
  view::Graph graph(const Graph& from);
  view::Delegate delegate(const Delegate& from);

  Arena& arena_;
  std::unordered_map<const QParams*, uint32_t> numbers_;
  std::vector<const QParams*> stored_;  // by number
  view::List<view::QParams> qparams_;
};

void Flattener::number_qparams(const Graph& graph) {
  for (const Value& value : graph.values) {
    const QParams* q = value.type.qparams.get();
    if (q != nullptr && numbers_.try_emplace(q, static_cast<uint32_t>(stored_.size())).second) stored_.push_back(q);
  }
}

void Flattener::make_qparams() {
  qparams_ = each<view::QParams>(stored_, [](const QParams* q) { return flat_qparams(*q); });
}

view::Value Flattener::value(const Value& from) {
  view::Value out = flatten_dims(from);
  out.name = from.name;
  out.dtype = from.type.dtype;
  out.offset = from.offset;
  out.stored_qparams = kNone;
  if (from.type.qparams) {
    out.stored_qparams = numbers_.at(from.type.qparams.get());
    out.qparams = &qparams_[out.stored_qparams];
  }
  if (from.constant) out.constant = content_of(*from.constant);
  out.bytes = static_cast<uint64_t>(byte_size(from.type.dtype, from.type.shape));
  return out;
}

view::Node Flattener::node(const Node& from) {
  const OpSchema* schema = from.op.empty() ? nullptr : find_op(from.op);
  return {from.op,
          schema == nullptr ? 0 : schema->version,
          from.delegate,
          list(from.inputs),
          list(from.outputs),
          each<view::Attr>(from.attrs, flat_attr),
          from.name,
          from.module,
          from.debug_id};
}

view::Graph Flattener::graph(const Graph& from) {
  const auto state = [](const State& s) { return view::State{s.name, s.input, s.output, s.in_place, 0}; };
  return {each<view::Value>(from.values, [this](const Value& v) { return value(v); }),
          each<view::Node>(from.nodes, [this](const Node& n) { return node(n); }),
          list(from.inputs),
          list(from.outputs),
          each<view::State>(from.states, state),
          from.arena_size};
}

view::Delegate Flattener::delegate(const Delegate& from) {
  view::Delegate out{};
  out.plugin = from.plugin;
  out.version = from.version;
  out.tag = from.tag;
  out.blob_format = from.blob_format;
  out.isa = from.isa;
  out.named = each<view::Named>(from.named, [](const auto& item) { return view::Named{item.first, {}, item.second}; });
  if (from.original) out.originals = one(graph(*from.original));
  out.debug_ids = list(from.debug_ids);
  out.macs = list(from.macs);
  out.blob = from.blob;
  return out;
}

view::Program* Flattener::program(const Model& from) {
  for (const Method& method : from.methods) number_qparams(method.graph);
  for (const Delegate& delegate : from.delegates)
    if (delegate.original) number_qparams(*delegate.original);
  make_qparams();
  const auto method = [this](const Method& m) { return view::Method{m.name, one(graph(m.graph))}; };
  const auto pair = [](const auto& item) { return view::Pair{item.first, item.second}; };
  const std::span<view::Program> out = make<view::Program>(1);
  out[0].name = from.name;
  out[0].methods = each<view::Method>(from.methods, method);
  out[0].delegates = each<view::Delegate>(from.delegates, [this](const Delegate& d) { return delegate(d); });
  out[0].qparams = qparams_;
  out[0].metadata = each<view::Pair>(from.metadata, pair);
  return &out[0];
}

view::Graph& Flattener::only_graph(const Graph& from) {
  number_qparams(from);
  make_qparams();
  const std::span<view::Graph> out = make<view::Graph>(1);
  out[0] = graph(from);
  return out[0];
}

}  // namespace

Result<view::Program*> flatten(const Model& model, Arena& arena) {
  QUOIN_CHECK(check(model));
  return Flattener(arena).program(model);
}

view::Graph& flatten(const Graph& graph, Arena& arena) { return Flattener(arena).only_graph(graph); }

view::Value flatten_dims(const Value& value) {
  view::Value out{};
  out.shape = list(value.type.shape);
  out.dynamic = value.dynamic;
  return out;
}

}  // namespace quoin::program
