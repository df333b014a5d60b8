#include "program/decode.hpp"

#include <program_generated.h>

#include <cstring>

#include "program/fault.hpp"

namespace quoin::program {
namespace {

// Every table, string and vector of a well-formed segment is referred to once, so what is decoded can never be more
// than the segment holds. A file that refers to the same bytes again and again runs out of budget.
class Budget {
 public:
  explicit Budget(uint64_t bytes) : left_(bytes) {}
  Status spend(uint64_t count, uint64_t size) {
    if (count > left_ / size) return bad("more content than the segment has bytes: parts of it are referred to twice");
    left_ -= count * size;
    return {};
  }

 private:
  uint64_t left_;
};

constexpr uint64_t kTableBytes = 12;  // the least that a table takes: its entry in a vector, its vtable link, a field

class Decoder {
 public:
  Decoder(const std::vector<Segment>& segments, Bytes graph, Bytes weights, std::shared_ptr<const void> owner)
      : segments_(segments), weights_(weights), owner_(std::move(owner)), budget_(graph.size()) {}
  Status model(const fb::Program& from, Model& to);

 private:
  // Everything is decoded in its place: what is moved about takes code.
  Status text(const flatbuffers::String* from, std::string& to, size_t limit = kMaxName);
  template <class T, class U>
  Status list(const flatbuffers::Vector<T>* from, std::vector<U>& to);
  template <class T, class U>
  Status tables(const flatbuffers::Vector<flatbuffers::Offset<T>>* from, std::vector<U>& to, const char* what,
                Status (Decoder::*decode)(const T&, U&));
  Result<Bytes> span(const fb::Span& from);
  Status qparams(const fb::QParams& from, std::shared_ptr<const QParams>& to);
  Status type(const fb::Value& from, TensorType& to);
  Status value(const fb::Value& from, Value& to);
  Status content(const fb::Value& from, Value& to);
  Status attr(const fb::Attr& from, Attr& to);
  Status attrs(const fb::Node& from, Attrs& to);
  Status node(const fb::Node& from, Node& to);
  Status content(const fb::Node& from, Node& to);
  Status states(const fb::Graph& from, Graph& to);
  Status graph(const fb::Graph& from, Graph& to);
  Status method(const fb::Method& from, Method& to);
  Status named(const fb::Delegate& from, Delegate& to);
  Status blob(uint32_t segment, Bytes& to);
  Status delegate(const fb::Delegate& from, Delegate& to);
  Status metadata(const fb::Program& from, Model& to);
  Status all_blobs_used() const;

  const std::vector<Segment>& segments_;
  Bytes weights_;
  std::shared_ptr<const void> owner_;
  Budget budget_;
  std::vector<std::shared_ptr<const QParams>> qparams_;
  std::vector<bool> blob_used_;
  uint64_t values_ = 0, nodes_ = 0;
};

Status Decoder::text(const flatbuffers::String* from, std::string& to, size_t limit) {
  to.clear();
  if (from == nullptr) return {};
  if (from->size() > limit) return fail(Code::limit, "a text of {} bytes, at most {}", from->size(), limit);
  QUOIN_CHECK(budget_.spend(from->size(), 1));
  to.assign(from->c_str(), from->size());
  return {};
}

template <class T, class U>
Status Decoder::list(const flatbuffers::Vector<T>* from, std::vector<U>& to) {
  static_assert(sizeof(T) == sizeof(U));
  if (from == nullptr) return {};
  QUOIN_CHECK(budget_.spend(from->size(), sizeof(T)));
  // The verifier does not look at the alignment of elements, so they are not read in place.
  to = std::vector<U>(from->size());
  if (!to.empty()) std::memcpy(to.data(), from->Data(), to.size() * sizeof(T));
  return {};
}

template <class T, class U>
Status Decoder::tables(const flatbuffers::Vector<flatbuffers::Offset<T>>* from, std::vector<U>& to, const char* what,
                       Status (Decoder::*decode)(const T&, U&)) {
  if (from == nullptr) return {};
  QUOIN_CHECK(budget_.spend(from->size(), kTableBytes));
  to = std::vector<U>(from->size());  // all at once: no code that moves them as they grow
  for (uint32_t i = 0; i < from->size(); ++i) QUOIN_CHECK_AT((this->*decode)(*from->Get(i), to[i]), "{} {}", what, i);
  return {};
}

Result<Bytes> Decoder::span(const fb::Span& from) {
  if (from.offset() % kDataAlignment != 0) return bad("data at {}, not a multiple of 64", from.offset());
  if (from.offset() > weights_.size() || from.size() > weights_.size() - from.offset())
    return bad("data {} + {} is outside the segment WGTS of {} bytes", from.offset(), from.size(), weights_.size());
  return weights_.subspan(from.offset(), from.size());
}

Status Decoder::qparams(const fb::QParams& from, std::shared_ptr<const QParams>& to) {
  const auto out = std::make_shared<QParams>();
  to = out;
  const auto dtype = dtype_from_code(from.dtype());
  if (!dtype) return bad("element type code {}", from.dtype());
  if (from.scheme() > QUOIN_PER_BLOCK) return bad("scheme code {}", from.scheme());
  out->dtype = *dtype;
  out->scheme = static_cast<Scheme>(from.scheme());
  out->axis = from.axis();
  out->group = from.group();
  out->qmin = from.qmin();
  out->qmax = from.qmax();
  QUOIN_CHECK(list(from.scale(), out->scale));
  QUOIN_CHECK(list(from.zero_point(), out->zero_point));
  return list(from.block(), out->block);
}

Status Decoder::type(const fb::Value& from, TensorType& to) {
  const auto dtype = dtype_from_code(from.dtype());
  if (!dtype) return bad("element type code {}", from.dtype());
  to.dtype = *dtype;
  QUOIN_CHECK(list(from.shape(), to.shape));
  QUOIN_CHECK(checked_numel(to.shape));
  if (from.qparams() == kNone) return {};
  if (from.qparams() >= qparams_.size()) return bad("qparams {} of {}", from.qparams(), qparams_.size());
  to.qparams = qparams_[from.qparams()];
  return {};
}

Status Decoder::value(const fb::Value& from, Value& to) {
  QUOIN_CHECK(text(from.name(), to.name));
  QUOIN_CHECK_AT(content(from, to), "({})", to.name);
  return {};
}

Status Decoder::content(const fb::Value& from, Value& to) {
  QUOIN_CHECK(type(from, to.type));
  to.offset = from.offset();
  to.dynamic = from.dynamic();
  if (from.constant() == nullptr) return {};
  QUOIN_TRY(const Bytes bytes, span(*from.constant()));
  const auto expected = static_cast<uint64_t>(byte_size(to.type.dtype, to.type.shape));
  if (bytes.size() != expected)
    return bad("{} bytes of data, {}{} takes {}", bytes.size(), quoin::name(to.type.dtype), to_string(to.type.shape),
               expected);
  to.constant = Tensor(to.type.dtype, to.type.shape, owner_, bytes.data());
  return {};
}

Status Decoder::attr(const fb::Attr& from, Attr& to) {
  switch (from.kind()) {
    case fb::AttrKind::boolean:
      if (from.integer() != 0 && from.integer() != 1) return bad("boolean {}", from.integer());
      to = from.integer() == 1;
      return {};
    case fb::AttrKind::integer:
      to = from.integer();
      return {};
    case fb::AttrKind::number:
      to = from.number();
      return {};
    case fb::AttrKind::text:
      return text(from.text(), to.emplace<std::string>());
    case fb::AttrKind::integers:
      return list(from.integers(), to.emplace<std::vector<int64_t>>());
    case fb::AttrKind::numbers:
      return list(from.numbers(), to.emplace<std::vector<double>>());
  }
  return bad("attribute kind {}", static_cast<int>(from.kind()));
}

Status Decoder::attrs(const fb::Node& from, Attrs& to) {
  if (from.attrs() == nullptr) return {};
  if (from.attrs()->size() > kMaxAttrs)
    return fail(Code::limit, "{} attributes, at most {}", from.attrs()->size(), kMaxAttrs);
  for (const fb::Attr* item : *from.attrs()) {
    QUOIN_CHECK(budget_.spend(1, kTableBytes));
    std::string name;
    QUOIN_CHECK(text(item->name(), name));
    if (!to.empty() && name <= to.rbegin()->first) return bad("attribute {} is not in sorted order", name);
    Attr& value = to.emplace_hint(to.end(), name, false)->second;
    QUOIN_CHECK_AT(attr(*item, value), "attribute {}", name);
  }
  return {};
}

Status Decoder::node(const fb::Node& from, Node& to) {
  QUOIN_CHECK(text(from.name(), to.name));
  QUOIN_CHECK_AT(content(from, to), "({})", to.name);
  return {};
}

Status Decoder::content(const fb::Node& from, Node& to) {
  QUOIN_CHECK(text(from.op(), to.op));
  const OpSchema* schema = to.op.empty() ? nullptr : find_op(to.op);
  if (schema != nullptr && from.op_version() != schema->version)
    return fail(Code::program_version, "operator {} in version {}; this reader has version {}", to.op,
                from.op_version(), schema->version)
        .hint("lower the model again with this version of Quoin");
  to.delegate = from.delegate();
  to.debug_id = from.debug_id();
  QUOIN_CHECK(list(from.inputs(), to.inputs));
  QUOIN_CHECK(list(from.outputs(), to.outputs));
  QUOIN_CHECK(attrs(from, to.attrs));
  return text(from.module_path(), to.module);
}

Status Decoder::states(const fb::Graph& from, Graph& to) {
  if (from.states() == nullptr) return {};
  if (from.states()->size() > kMaxStates)
    return fail(Code::limit, "{} states, at most {}", from.states()->size(), kMaxStates);
  for (const fb::State* item : *from.states()) {
    QUOIN_CHECK(budget_.spend(1, kTableBytes));
    State state{{}, item->input(), item->output(), item->in_place()};
    QUOIN_CHECK(text(item->name(), state.name));
    to.states.push_back(std::move(state));
  }
  return {};
}

Status Decoder::graph(const fb::Graph& from, Graph& to) {
  values_ += from.values()->size();
  nodes_ += from.nodes()->size();
  if (values_ > kMaxValues) return fail(Code::limit, "{} values, at most {}", values_, kMaxValues);
  if (nodes_ > kMaxNodes) return fail(Code::limit, "{} nodes, at most {}", nodes_, kMaxNodes);
  QUOIN_CHECK(tables(from.values(), to.values, "value", &Decoder::value));
  QUOIN_CHECK(tables(from.nodes(), to.nodes, "node", &Decoder::node));
  QUOIN_CHECK(list(from.inputs(), to.inputs));
  QUOIN_CHECK(list(from.outputs(), to.outputs));
  to.arena_size = from.arena_size();
  return states(from, to);
}

Status Decoder::method(const fb::Method& from, Method& to) {
  QUOIN_CHECK(text(from.name(), to.name));
  QUOIN_CHECK_AT(graph(*from.graph(), to.graph), "({})", to.name);
  return {};
}

Status Decoder::named(const fb::Delegate& from, Delegate& to) {
  if (from.named() == nullptr) return {};
  for (const fb::Named* item : *from.named()) {
    QUOIN_CHECK(budget_.spend(1, kTableBytes));
    std::string key;
    QUOIN_CHECK(text(item->key(), key));
    if (!to.named.empty() && key <= to.named.rbegin()->first) return bad("data {} is not in sorted order", key);
    auto bytes = span(*item->data());
    if (!bytes) return std::move(bytes).failure().at("data {}", key);
    to.named.emplace_hint(to.named.end(), std::move(key), *bytes);
  }
  return {};
}

Status Decoder::blob(uint32_t segment, Bytes& to) {
  if (segment >= segments_.size() || segments_[segment].kind != kBlobSegment)
    return bad("segment {} is not a BLOB", segment);
  if (blob_used_[segment]) return bad("segment {} belongs to another delegate", segment);
  blob_used_[segment] = true;
  to = segments_[segment].bytes;
  return {};
}

Status Decoder::delegate(const fb::Delegate& from, Delegate& to) {
  QUOIN_CHECK(text(from.plugin(), to.plugin));
  QUOIN_CHECK(text(from.version(), to.version));
  QUOIN_CHECK(text(from.tag(), to.tag));
  to.blob_format = from.blob_format();
  to.isa = from.isa();
  to.owner = owner_;
  QUOIN_CHECK(blob(from.segment(), to.blob));
  QUOIN_CHECK(named(from, to));
  QUOIN_CHECK(list(from.debug_ids(), to.debug_ids));
  QUOIN_CHECK(list(from.macs(), to.macs));
  if (from.original() == nullptr || all_ops().empty()) return {};  // without operators it could not run
  QUOIN_CHECK_AT(graph(*from.original(), to.original.emplace()), "original");
  return {};
}

Status Decoder::metadata(const fb::Program& from, Model& to) {
  if (from.metadata() == nullptr) return {};
  for (const fb::Pair* item : *from.metadata()) {
    QUOIN_CHECK(budget_.spend(1, kTableBytes));
    std::string key, value;
    QUOIN_CHECK(text(item->key(), key));
    QUOIN_CHECK(text(item->value(), value, kMaxMetadata));
    if (!to.metadata.empty() && key <= to.metadata.rbegin()->first)
      return bad("metadata {} is not in sorted order", key);
    to.metadata.emplace_hint(to.metadata.end(), std::move(key), std::move(value));
  }
  return {};
}

Status Decoder::all_blobs_used() const {
  for (size_t i = 0; i < segments_.size(); ++i)
    if (segments_[i].kind == kBlobSegment && !blob_used_[i]) return bad("segment {} (BLOB) belongs to no delegate", i);
  return {};
}

Status Decoder::model(const fb::Program& from, Model& to) {
  blob_used_.resize(segments_.size());
  QUOIN_CHECK(text(from.name(), to.name));
  QUOIN_CHECK(tables(from.qparams(), qparams_, "qparams", &Decoder::qparams));
  if (from.methods()->size() > kMaxMethods)
    return fail(Code::limit, "{} methods, at most {}", from.methods()->size(), kMaxMethods);
  QUOIN_CHECK(tables(from.methods(), to.methods, "method", &Decoder::method));
  QUOIN_CHECK(tables(from.delegates(), to.delegates, "delegate", &Decoder::delegate));
  QUOIN_CHECK(metadata(from, to));
  return all_blobs_used();
}

// FlatBuffers reads offsets again after it verified them, so the verified bytes must be ours alone: another process
// may write to the mapped file at any time.
struct PrivateCopy {
  explicit PrivateCopy(Bytes from) : tensor(DType::u8, {static_cast<int64_t>(from.size())}) {
    if (!from.empty()) std::memcpy(tensor.data(), from.data(), from.size());
  }
  const uint8_t* data() const { return static_cast<const uint8_t*>(tensor.data()); }
  Tensor tensor;  // for its alignment
};

}  // namespace

Result<Bytes> only_segment(const std::vector<Segment>& segments, uint32_t kind) {
  const Segment* found = nullptr;
  for (const Segment& segment : segments) {
    if (segment.kind != kind) continue;
    if (found != nullptr) return bad("two segments of kind {}", kind_name(kind));
    found = &segment;
  }
  if (found == nullptr) return bad("there is no segment {}", kind_name(kind));
  return found->bytes;
}

Result<Model> decode(const std::vector<Segment>& segments, Bytes weights, const std::shared_ptr<const void>& owner) {
  QUOIN_TRY(const Bytes graph, only_segment(segments, kGraphSegment));
  if (graph.size() > kMaxGraphBytes)
    return fail(Code::limit, "{} bytes, at most {}", graph.size(), kMaxGraphBytes).at("segment GRPH");
  const PrivateCopy copy(graph);
  constexpr flatbuffers::uoffset_t kMaxDepth = 16;
  const auto max_tables = static_cast<flatbuffers::uoffset_t>(graph.size() / kTableBytes + 16);
  flatbuffers::Verifier verifier(copy.data(), graph.size(), kMaxDepth, max_tables);
  if (graph.size() < 8 || !fb::VerifyProgramBuffer(verifier))
    return fail(Code::program, "its FlatBuffer is damaged").at("segment GRPH");
  Model model;
  QUOIN_CHECK_AT(Decoder(segments, graph, weights, owner).model(*fb::GetProgram(copy.data()), model), "segment GRPH");
  return model;
}

}  // namespace quoin::program
