#include "program/encode.hpp"

#include <program_generated.h>
#include <xxhash.h>

#include <cstring>
#include <map>
#include <unordered_map>

#include "base/checked.hpp"

namespace quoin::program {
namespace {

using flatbuffers::FlatBufferBuilder;
using flatbuffers::Offset;

constexpr uint32_t kFirstBlob = 2;  // segments: GRPH, WGTS, then one BLOB per delegate

// Lays spans out in the weights segment; equal bytes are stored once.
class WeightStore {
 public:
  fb::Span place(Bytes bytes) {
    const auto [here, is_new] = at_address_.try_emplace({bytes.data(), bytes.size()});
    if (is_new) here->second = place_content(bytes);
    return here->second;
  }
  std::vector<Bytes> take_pieces() { return std::move(pieces_); }

 private:
  fb::Span place_content(Bytes bytes) {
    const uint64_t key = XXH3_64bits(bytes.data(), bytes.size());
    auto [at, end] = placed_.equal_range(key);
    for (; at != end; ++at)
      if (equal(at->second.bytes, bytes)) return at->second.span;
    const uint64_t offset = align_up(size_, kDataAlignment);
    pieces_.push_back(zeros(offset - size_));
    pieces_.push_back(bytes);
    size_ = offset + bytes.size();
    const fb::Span span(offset, bytes.size());
    placed_.insert({key, {bytes, span}});
    return span;
  }
  struct Placed {
    Bytes bytes;
    fb::Span span;
  };
  static bool equal(Bytes a, Bytes b) {
    if (a.size() != b.size()) return false;
    return a.data() == b.data() || a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0;
  }
  std::map<std::pair<const std::byte*, size_t>, fb::Span> at_address_;  // what methods share is not hashed again
  std::unordered_multimap<uint64_t, Placed> placed_;
  std::vector<Bytes> pieces_;
  uint64_t size_ = 0;
};

class Encoder {
 public:
  Offset<fb::Program> program(const Model& model);
  FlatBufferBuilder builder{1 << 16};
  WeightStore weights;

 private:
  template <class T>
  Offset<flatbuffers::Vector<T>> list(const std::vector<T>& items) {
    return items.empty() ? 0 : builder.CreateVector(items);
  }
  uint32_t qparams_index(const std::shared_ptr<const QParams>& qparams);
  Offset<fb::QParams> qparams(const QParams& q);
  Offset<fb::Value> value(const Value& from);
  Offset<fb::Attr> attr(const std::string& name, const Attr& from);
  Offset<fb::Node> node(const Node& from);
  Offset<fb::Graph> graph(const Graph& from);
  Offset<fb::Delegate> delegate(const Delegate& from, uint32_t index);

  std::vector<const QParams*> qparams_;
  std::unordered_map<const QParams*, uint32_t> by_address_;
  std::unordered_multimap<uint64_t, uint32_t> by_content_;
};

uint32_t Encoder::qparams_index(const std::shared_ptr<const QParams>& qparams) {
  if (!qparams) return kNone;
  if (const auto known = by_address_.find(qparams.get()); known != by_address_.end()) return known->second;
  const uint64_t key = XXH3_64bits(qparams->scale.data(), qparams->scale.size() * sizeof(float));
  auto [at, end] = by_content_.equal_range(key);
  for (; at != end; ++at)
    if (*qparams_[at->second] == *qparams) return by_address_[qparams.get()] = at->second;
  const auto index = static_cast<uint32_t>(qparams_.size());
  qparams_.push_back(qparams.get());
  by_content_.insert({key, index});
  return by_address_[qparams.get()] = index;
}

Offset<fb::QParams> Encoder::qparams(const QParams& q) {
  const auto scale = list(q.scale);
  const auto zero_point = list(q.zero_point);
  const auto block = list(q.block);
  return fb::CreateQParams(builder, static_cast<uint32_t>(q.dtype), static_cast<uint32_t>(q.scheme), q.axis, q.group,
                           q.qmin, q.qmax, scale, zero_point, block);
}

Offset<fb::Value> Encoder::value(const Value& from) {
  const auto name = builder.CreateString(from.name);
  const auto shape = list(from.type.shape);
  fb::ValueBuilder out(builder);
  out.add_name(name);
  out.add_dtype(static_cast<uint32_t>(from.type.dtype));
  if (!from.type.shape.empty()) out.add_shape(shape);
  out.add_qparams(qparams_index(from.type.qparams));
  out.add_offset(from.offset);
  out.add_dynamic(from.dynamic);
  if (from.constant) {
    const Bytes bytes(static_cast<const std::byte*>(from.constant->data()), from.constant->bytes());
    const fb::Span span = weights.place(bytes);
    out.add_constant(&span);
  }
  return out.Finish();
}

Offset<fb::Attr> Encoder::attr(const std::string& name, const Attr& from) {
  const auto key = builder.CreateString(name);
  const auto* text = std::get_if<std::string>(&from);
  const auto* integers = std::get_if<std::vector<int64_t>>(&from);
  const auto* numbers = std::get_if<std::vector<double>>(&from);
  const auto text_at = text ? builder.CreateString(*text) : 0;
  const auto integers_at = integers ? list(*integers) : 0;
  const auto numbers_at = numbers ? list(*numbers) : 0;
  const int64_t integer = std::holds_alternative<bool>(from)      ? std::get<bool>(from)
                          : std::holds_alternative<int64_t>(from) ? std::get<int64_t>(from)
                                                                  : 0;
  const double number = std::holds_alternative<double>(from) ? std::get<double>(from) : 0;
  return fb::CreateAttr(builder, key, static_cast<fb::AttrKind>(from.index()), integer, number, text_at, integers_at,
                        numbers_at);
}

Offset<fb::Node> Encoder::node(const Node& from) {
  std::vector<Offset<fb::Attr>> attrs;
  for (const auto& [name, value] : from.attrs) attrs.push_back(attr(name, value));
  const OpSchema* schema = from.op.empty() ? nullptr : find_op(from.op);
  const auto op = builder.CreateString(from.op);
  const auto inputs = list(from.inputs);
  const auto outputs = list(from.outputs);
  const auto attrs_at = list(attrs);
  const auto name = builder.CreateString(from.name);
  const auto module = builder.CreateString(from.module);
  return fb::CreateNode(builder, op, schema ? schema->version : 0, from.delegate, inputs, outputs, attrs_at, name,
                        module, from.debug_id);
}

Offset<fb::Graph> Encoder::graph(const Graph& from) {
  std::vector<Offset<fb::Value>> values;
  for (const Value& v : from.values) values.push_back(value(v));
  std::vector<Offset<fb::Node>> nodes;
  for (const Node& n : from.nodes) nodes.push_back(node(n));
  const auto values_at = builder.CreateVector(values);
  const auto nodes_at = builder.CreateVector(nodes);
  const auto inputs = list(from.inputs);
  const auto outputs = list(from.outputs);
  std::vector<Offset<fb::State>> states;
  for (const State& s : from.states)
    states.push_back(fb::CreateState(builder, builder.CreateString(s.name), s.input, s.output, s.in_place));
  const auto states_at = list(states);
  return fb::CreateGraph(builder, values_at, nodes_at, inputs, outputs, from.arena_size, states_at);
}

Offset<fb::Delegate> Encoder::delegate(const Delegate& from, uint32_t index) {
  std::vector<Offset<fb::Named>> named;
  for (const auto& [key, bytes] : from.named) {
    const auto key_at = builder.CreateString(key);
    const fb::Span span = weights.place(bytes);
    named.push_back(fb::CreateNamed(builder, key_at, &span));
  }
  const Offset<fb::Graph> original = from.original ? graph(*from.original) : 0;
  const auto plugin = builder.CreateString(from.plugin);
  const auto version = builder.CreateString(from.version);
  const auto tag = builder.CreateString(from.tag);
  const auto named_at = list(named);
  const auto debug_ids = list(from.debug_ids), macs = list(from.macs);
  return fb::CreateDelegate(builder, plugin, version, tag, from.blob_format, from.isa, kFirstBlob + index, named_at,
                            original, debug_ids, macs);
}

Offset<fb::Program> Encoder::program(const Model& model) {
  std::vector<Offset<fb::Method>> methods;
  for (const Method& method : model.methods) {
    const auto name = builder.CreateString(method.name);
    methods.push_back(fb::CreateMethod(builder, name, graph(method.graph)));
  }
  std::vector<Offset<fb::Delegate>> delegates;
  for (uint32_t i = 0; i < model.delegates.size(); ++i) delegates.push_back(delegate(model.delegates[i], i));
  std::vector<Offset<fb::QParams>> all;
  for (const QParams* q : qparams_) all.push_back(qparams(*q));
  std::vector<Offset<fb::Pair>> metadata;
  for (const auto& [key, value] : model.metadata) {
    const auto key_at = builder.CreateString(key);
    metadata.push_back(fb::CreatePair(builder, key_at, builder.CreateString(value)));
  }
  const auto name = builder.CreateString(model.name);
  const auto methods_at = builder.CreateVector(methods);
  const auto delegates_at = list(delegates);
  const auto qparams_at = list(all);
  const auto metadata_at = list(metadata);
  return fb::CreateProgram(builder, name, methods_at, delegates_at, qparams_at, metadata_at);
}

// At least as many bytes as the FlatBuffer of the graph takes: the builder cannot report that it ran over.
uint64_t estimate(const Graph& graph) {
  uint64_t bytes = 256;
  for (const State& s : graph.states) bytes += 64 + s.name.size();
  for (const Value& v : graph.values) {
    bytes += 160 + v.name.size() + v.type.shape.size() * sizeof(int64_t);
    if (v.type.qparams) bytes += 64 + (v.type.qparams->scale.size() + v.type.qparams->zero_point.size()) * 4;
  }
  for (const Node& n : graph.nodes) {
    bytes += 256 + n.op.size() + n.name.size() + n.module.size() + (n.inputs.size() + n.outputs.size()) * 4;
    for (const auto& [name, attr] : n.attrs) {
      bytes += 128 + name.size();
      if (const auto* text = std::get_if<std::string>(&attr)) bytes += text->size();
      if (const auto* integers = std::get_if<std::vector<int64_t>>(&attr)) bytes += integers->size() * 8;
      if (const auto* numbers = std::get_if<std::vector<double>>(&attr)) bytes += numbers->size() * 8;
    }
  }
  return bytes;
}

uint64_t estimate(const Model& model) {
  uint64_t bytes = 1024 + model.name.size();
  for (const Method& m : model.methods) bytes += 64 + m.name.size() + estimate(m.graph);
  for (const auto& [key, value] : model.metadata) bytes += 64 + key.size() + value.size();
  for (const Delegate& d : model.delegates) {
    bytes += 256 + d.plugin.size() + d.version.size() + d.tag.size() + (d.debug_ids.size() + d.macs.size()) * 8;
    for (const auto& [key, value] : d.named) bytes += 64 + key.size();
    if (d.original) bytes += estimate(*d.original);
  }
  return bytes;
}

}  // namespace

Result<Encoded> encode(const Model& model) {
  if (const uint64_t bytes = estimate(model); bytes > kMaxGraphBytes)
    return fail(Code::limit, "the graph with its quantization parameters takes about {} bytes, at most {}", bytes,
                kMaxGraphBytes)
        .hint("larger groups need fewer scales");
  Encoder encoder;
  fb::FinishProgramBuffer(encoder.builder, encoder.program(model));
  Encoded out{encoder.builder.Release(), {}};
  const Bytes graph(reinterpret_cast<const std::byte*>(out.graph.data()), out.graph.size());
  out.segments.push_back({kGraphSegment, kGraphAlignment, {graph}});
  out.segments.push_back({kWeightsSegment, kWeightsAlignment, encoder.weights.take_pieces()});
  for (const Delegate& delegate : model.delegates)
    out.segments.push_back({kBlobSegment, kBlobAlignment, {delegate.blob}});
  return out;
}

}  // namespace quoin::program
