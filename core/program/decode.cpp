#include "program/decode.hpp"

#include <program_generated.h>

#include <cstring>

namespace quoin::program {
namespace {

tl::unexpected<Error> bad(std::string what) { return fail(Error{Code::program, std::move(what), {}, {}}); }

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
  Result<Model> model(const fb::Program& from);

 private:
  Status text(const flatbuffers::String* from, std::string& to, size_t limit = kMaxName);
  template <class T, class U>
  Status list(const flatbuffers::Vector<T>* from, std::vector<U>& to);
  Result<Bytes> span(const fb::Span& from);
  Result<QParams> qparams(const fb::QParams& from);
  Status type(const fb::Value& from, TensorType& to);
  Result<Value> value(const fb::Value& from);
  Result<Attr> attr(const fb::Attr& from);
  Status attrs(const fb::Node& from, Attrs& to);
  Result<Node> node(const fb::Node& from);
  Status states(const fb::Graph& from, Graph& to);
  Result<Graph> graph(const fb::Graph& from);
  Result<Method> method(const fb::Method& from);
  Status named(const fb::Delegate& from, Delegate& to);
  Result<Bytes> blob(uint32_t segment);
  Result<Delegate> delegate(const fb::Delegate& from);
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
  if (from->size() > limit)
    return fail(Error{Code::limit, fmt::format("a text of {} bytes, at most {}", from->size(), limit), {}, {}});
  QUOIN_CHECK(budget_.spend(from->size(), 1));
  to.assign(from->c_str(), from->size());
  return {};
}

template <class T, class U>
Status Decoder::list(const flatbuffers::Vector<T>* from, std::vector<U>& to) {
  static_assert(sizeof(T) == sizeof(U));
  to.clear();
  if (from == nullptr) return {};
  QUOIN_CHECK(budget_.spend(from->size(), sizeof(T)));
  // The verifier does not look at the alignment of elements, so they are not read in place.
  to.resize(from->size());
  if (!to.empty()) std::memcpy(to.data(), from->Data(), to.size() * sizeof(T));
  return {};
}

Result<Bytes> Decoder::span(const fb::Span& from) {
  if (from.offset() % kDataAlignment != 0) return bad(fmt::format("data at {}, not a multiple of 64", from.offset()));
  if (from.offset() > weights_.size() || from.size() > weights_.size() - from.offset())
    return bad(fmt::format("data {} + {} is outside the segment WGTS of {} bytes", from.offset(), from.size(),
                           weights_.size()));
  return weights_.subspan(from.offset(), from.size());
}

Result<QParams> Decoder::qparams(const fb::QParams& from) {
  QUOIN_CHECK(budget_.spend(1, kTableBytes));
  QParams out;
  const auto dtype = dtype_from_code(from.dtype());
  if (!dtype) return bad(fmt::format("element type code {}", from.dtype()));
  if (from.scheme() > QUOIN_PER_BLOCK) return bad(fmt::format("scheme code {}", from.scheme()));
  out.dtype = *dtype;
  out.scheme = static_cast<Scheme>(from.scheme());
  out.axis = from.axis();
  out.group = from.group();
  out.qmin = from.qmin();
  out.qmax = from.qmax();
  QUOIN_CHECK(list(from.scale(), out.scale));
  QUOIN_CHECK(list(from.zero_point(), out.zero_point));
  QUOIN_CHECK(list(from.block(), out.block));
  return out;
}

Status Decoder::type(const fb::Value& from, TensorType& to) {
  const auto dtype = dtype_from_code(from.dtype());
  if (!dtype) return bad(fmt::format("element type code {}", from.dtype()));
  to.dtype = *dtype;
  QUOIN_CHECK(list(from.shape(), to.shape));
  QUOIN_CHECK(checked_numel(to.shape));
  if (from.qparams() == kNone) return {};
  if (from.qparams() >= qparams_.size()) return bad(fmt::format("qparams {} of {}", from.qparams(), qparams_.size()));
  to.qparams = qparams_[from.qparams()];
  return {};
}

Result<Value> Decoder::value(const fb::Value& from) {
  QUOIN_CHECK(budget_.spend(1, kTableBytes));
  Value out;
  QUOIN_CHECK(text(from.name(), out.name));
  if (auto status = type(from, out.type); !status) return fail(in("(" + out.name + ")", std::move(status).error()));
  out.offset = from.offset();
  out.dynamic = from.dynamic();
  if (from.constant() == nullptr) return out;
  QUOIN_TRY(const Bytes bytes, span(*from.constant()));
  const auto expected = static_cast<uint64_t>(byte_size(out.type.dtype, out.type.shape));
  if (bytes.size() != expected)
    return bad(fmt::format("({}): {} bytes of data, {}{} takes {}", out.name, bytes.size(), quoin::name(out.type.dtype),
                           to_string(out.type.shape), expected));
  out.constant = Tensor(out.type.dtype, out.type.shape, owner_, bytes.data());
  return out;
}

Result<Attr> Decoder::attr(const fb::Attr& from) {
  switch (from.kind()) {
    case fb::AttrKind::boolean:
      if (from.integer() != 0 && from.integer() != 1) return bad(fmt::format("boolean {}", from.integer()));
      return Attr(from.integer() == 1);
    case fb::AttrKind::integer:
      return Attr(from.integer());
    case fb::AttrKind::number:
      return Attr(from.number());
    case fb::AttrKind::text: {
      std::string out;
      QUOIN_CHECK(text(from.text(), out));
      return Attr(std::move(out));
    }
    case fb::AttrKind::integers: {
      std::vector<int64_t> out;
      QUOIN_CHECK(list(from.integers(), out));
      return Attr(std::move(out));
    }
    case fb::AttrKind::numbers: {
      std::vector<double> out;
      QUOIN_CHECK(list(from.numbers(), out));
      return Attr(std::move(out));
    }
  }
  return bad(fmt::format("attribute kind {}", static_cast<int>(from.kind())));
}

Status Decoder::attrs(const fb::Node& from, Attrs& to) {
  if (from.attrs() == nullptr) return {};
  if (from.attrs()->size() > kMaxAttrs)
    return fail(Error{Code::limit, fmt::format("{} attributes, at most {}", from.attrs()->size(), kMaxAttrs), {}, {}});
  for (const fb::Attr* item : *from.attrs()) {
    QUOIN_CHECK(budget_.spend(1, kTableBytes));
    std::string name;
    QUOIN_CHECK(text(item->name(), name));
    if (!to.empty() && name <= to.rbegin()->first) return bad(fmt::format("attribute {} is not in sorted order", name));
    auto value = attr(*item);
    if (!value) return fail(in("attribute " + name, std::move(value).error()));
    to.emplace_hint(to.end(), std::move(name), *std::move(value));
  }
  return {};
}

Result<Node> Decoder::node(const fb::Node& from) {
  QUOIN_CHECK(budget_.spend(1, kTableBytes));
  Node out;
  QUOIN_CHECK(text(from.name(), out.name));
  const auto named = [&](Error error) { return fail(in("(" + out.name + ")", std::move(error))); };
  if (auto status = text(from.op(), out.op); !status) return named(std::move(status).error());
  const OpSchema* schema = out.op.empty() ? nullptr : find_op(out.op);
  if (schema != nullptr && from.op_version() != schema->version)
    return named({Code::program_version,
                  fmt::format("operator {} in version {}; this reader has version {}", out.op, from.op_version(),
                              schema->version),
                  {},
                  "lower the model again with this version of Quoin"});
  out.delegate = from.delegate();
  out.debug_id = from.debug_id();
  if (auto status = list(from.inputs(), out.inputs); !status) return named(std::move(status).error());
  if (auto status = list(from.outputs(), out.outputs); !status) return named(std::move(status).error());
  if (auto status = attrs(from, out.attrs); !status) return named(std::move(status).error());
  if (auto status = text(from.module_path(), out.module); !status) return named(std::move(status).error());
  return out;
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

Result<Graph> Decoder::graph(const fb::Graph& from) {
  values_ += from.values()->size();
  nodes_ += from.nodes()->size();
  if (values_ > kMaxValues) return fail(Code::limit, "{} values, at most {}", values_, kMaxValues);
  if (nodes_ > kMaxNodes) return fail(Code::limit, "{} nodes, at most {}", nodes_, kMaxNodes);
  Graph out;
  for (const fb::Value* item : *from.values()) {
    auto decoded = value(*item);
    if (!decoded) return fail(in(fmt::format("value {}", out.values.size()), std::move(decoded).error()));
    out.values.push_back(*std::move(decoded));
  }
  for (const fb::Node* item : *from.nodes()) {
    auto decoded = node(*item);
    if (!decoded) return fail(in(fmt::format("node {}", out.nodes.size()), std::move(decoded).error()));
    out.nodes.push_back(*std::move(decoded));
  }
  QUOIN_CHECK(list(from.inputs(), out.inputs));
  QUOIN_CHECK(list(from.outputs(), out.outputs));
  out.arena_size = from.arena_size();
  QUOIN_CHECK(states(from, out));
  return out;
}

Result<Method> Decoder::method(const fb::Method& from) {
  QUOIN_CHECK(budget_.spend(1, kTableBytes));
  Method out;
  QUOIN_CHECK(text(from.name(), out.name));
  auto decoded = graph(*from.graph());
  if (!decoded) return fail(in("(" + out.name + ")", std::move(decoded).error()));
  out.graph = *std::move(decoded);
  return out;
}

Status Decoder::named(const fb::Delegate& from, Delegate& to) {
  if (from.named() == nullptr) return {};
  for (const fb::Named* item : *from.named()) {
    QUOIN_CHECK(budget_.spend(1, kTableBytes));
    std::string key;
    QUOIN_CHECK(text(item->key(), key));
    if (!to.named.empty() && key <= to.named.rbegin()->first)
      return bad(fmt::format("data {} is not in sorted order", key));
    auto bytes = span(*item->data());
    if (!bytes) return fail(in("data " + key, std::move(bytes).error()));
    to.named.emplace_hint(to.named.end(), std::move(key), *bytes);
  }
  return {};
}

Result<Bytes> Decoder::blob(uint32_t segment) {
  if (segment >= segments_.size() || segments_[segment].kind != kBlobSegment)
    return bad(fmt::format("segment {} is not a BLOB", segment));
  if (blob_used_[segment]) return bad(fmt::format("segment {} belongs to another delegate", segment));
  blob_used_[segment] = true;
  return segments_[segment].bytes;
}

Result<Delegate> Decoder::delegate(const fb::Delegate& from) {
  QUOIN_CHECK(budget_.spend(1, kTableBytes));
  Delegate out;
  QUOIN_CHECK(text(from.plugin(), out.plugin));
  QUOIN_CHECK(text(from.version(), out.version));
  QUOIN_CHECK(text(from.tag(), out.tag));
  out.blob_format = from.blob_format();
  out.isa = from.isa();
  out.owner = owner_;
  QUOIN_TRY(out.blob, blob(from.segment()));
  QUOIN_CHECK(named(from, out));
  QUOIN_CHECK(list(from.debug_ids(), out.debug_ids));
  QUOIN_CHECK(list(from.macs(), out.macs));
  if (from.original() == nullptr || all_ops().empty()) return out;  // without operators it could not run
  auto original = graph(*from.original());
  if (!original) return fail(in("original", std::move(original).error()));
  out.original = *std::move(original);
  return out;
}

Status Decoder::metadata(const fb::Program& from, Model& to) {
  if (from.metadata() == nullptr) return {};
  for (const fb::Pair* item : *from.metadata()) {
    QUOIN_CHECK(budget_.spend(1, kTableBytes));
    std::string key, value;
    QUOIN_CHECK(text(item->key(), key));
    QUOIN_CHECK(text(item->value(), value, kMaxMetadata));
    if (!to.metadata.empty() && key <= to.metadata.rbegin()->first)
      return bad(fmt::format("metadata {} is not in sorted order", key));
    to.metadata.emplace_hint(to.metadata.end(), std::move(key), std::move(value));
  }
  return {};
}

Status Decoder::all_blobs_used() const {
  for (size_t i = 0; i < segments_.size(); ++i)
    if (segments_[i].kind == kBlobSegment && !blob_used_[i])
      return bad(fmt::format("segment {} (BLOB) belongs to no delegate", i));
  return {};
}

Result<Model> Decoder::model(const fb::Program& from) {
  Model out;
  blob_used_.resize(segments_.size());
  QUOIN_CHECK(text(from.name(), out.name));
  if (from.qparams() != nullptr)
    for (const fb::QParams* item : *from.qparams()) {
      auto decoded = qparams(*item);
      if (!decoded) return fail(in(fmt::format("qparams {}", qparams_.size()), std::move(decoded).error()));
      qparams_.push_back(std::make_shared<const QParams>(*std::move(decoded)));
    }
  if (from.methods()->size() > kMaxMethods)
    return fail(Code::limit, "{} methods, at most {}", from.methods()->size(), kMaxMethods);
  for (const fb::Method* item : *from.methods()) {
    auto decoded = method(*item);
    if (!decoded) return fail(in(fmt::format("method {}", out.methods.size()), std::move(decoded).error()));
    out.methods.push_back(*std::move(decoded));
  }
  if (from.delegates() != nullptr)
    for (const fb::Delegate* item : *from.delegates()) {
      auto decoded = delegate(*item);
      if (!decoded) return fail(in(fmt::format("delegate {}", out.delegates.size()), std::move(decoded).error()));
      out.delegates.push_back(*std::move(decoded));
    }
  QUOIN_CHECK(metadata(from, out));
  QUOIN_CHECK(all_blobs_used());
  return out;
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
    if (found != nullptr) return bad(fmt::format("two segments of kind {}", kind_name(kind)));
    found = &segment;
  }
  if (found == nullptr) return bad(fmt::format("there is no segment {}", kind_name(kind)));
  return found->bytes;
}

Result<Model> decode(const std::vector<Segment>& segments, Bytes weights, const std::shared_ptr<const void>& owner) {
  QUOIN_TRY(const Bytes graph, only_segment(segments, kGraphSegment));
  if (graph.size() > kMaxGraphBytes)
    return fail(
        Error{Code::limit, fmt::format("{} bytes, at most {}", graph.size(), kMaxGraphBytes), "segment GRPH", {}});
  const PrivateCopy copy(graph);
  constexpr flatbuffers::uoffset_t kMaxDepth = 16;
  const auto max_tables = static_cast<flatbuffers::uoffset_t>(graph.size() / kTableBytes + 16);
  flatbuffers::Verifier verifier(copy.data(), graph.size(), kMaxDepth, max_tables);
  if (graph.size() < 8 || !fb::VerifyProgramBuffer(verifier))
    return fail(Error{Code::program, "its FlatBuffer is damaged", "segment GRPH", {}});
  auto model = Decoder(segments, graph, weights, owner).model(*fb::GetProgram(copy.data()));
  if (!model) return fail(in("segment GRPH", std::move(model).error()));
  return model;
}

}  // namespace quoin::program
