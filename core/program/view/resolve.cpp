#include "program/view/resolve.hpp"

#include "ops/schema.hpp"
#include "ops/short_text.hpp"
#include "ops/tensor.hpp"
#include "program/view/bad.hpp"

namespace quoin::program::view {
namespace {

// Structs that read_tables() made lie in an arena, where nobody else sees them yet.
template <class T>
std::span<T> edit(const List<T>& list) {
  return {const_cast<T*>(list.begin()), list.size};
}

class Resolver {
 public:
  Resolver(Program& program, const Layout& layout, Bytes weights, Fault& fault)
      : program_(program), layout_(layout), weights_(weights), fault_(fault) {}
  bool run(Arena& arena);

 private:
  bool dtype(DType dtype) {
    return bits(dtype) != 0 || bad(fault_, "element type code {}", static_cast<uint32_t>(dtype));
  }
  bool place(const Stored& stored, Bytes& to);
  bool qparams(QParams& q);
  bool value(Value& value);
  bool constant(Value& value);
  bool attrs(const Node& node);
  bool graph(const Graph& graph);
  bool delegate(Delegate& delegate);
  bool metadata();

  Program& program_;
  const Layout& layout_;
  const Bytes weights_;
  Fault& fault_;
  std::span<bool> blob_used_;  // by segment
};

bool Resolver::place(const Stored& stored, Bytes& to) {
  if (stored.offset % kDataAlignment != 0) return bad(fault_, "data at {}, not a multiple of 64", stored.offset);
  if (stored.offset > weights_.size() || stored.size > weights_.size() - stored.offset)
    return bad(fault_, "data {} + {} is outside the segment WGTS of {} bytes", stored.offset, stored.size,
               weights_.size());
  to = weights_.subspan(stored.offset, stored.size);
  return true;
}

bool Resolver::qparams(QParams& q) {
  if (q.scheme > QUOIN_PER_BLOCK) return bad(fault_, "scheme code {}", q.scheme);
  q.abi = abi_of(q);
  return dtype(q.dtype);
}

bool Resolver::constant(Value& value) {
  Bytes bytes;
  if (!place(value.stored[0], bytes)) return false;
  if (bytes.size() != value.bytes)
    return bad(fault_, "{} bytes of data, {} takes {}", bytes.size(),
               quoin::type_text(value.dtype, value.shape.span()).text(), value.bytes);
  value.constant = bytes.data();
  return true;
}

bool Resolver::value(Value& value) {
  if (!dtype(value.dtype)) return false;
  int64_t elements = 0;
  if (const char* what = shape_fault(value.shape.span(), elements))
    return fault_.fail(Code::limit, "shape {} {}", shape_text(value.shape.span()).text(), what);
  value.bytes = static_cast<uint64_t>(byte_size(value.dtype, value.shape.span()));
  if (value.stored_qparams != QUOIN_NONE) {
    if (value.stored_qparams >= program_.qparams.size)
      return bad(fault_, "qparams {} of {}", value.stored_qparams, program_.qparams.size);
    value.qparams = &program_.qparams[value.stored_qparams];
  }
  return value.stored.empty() || constant(value);
}

bool Resolver::attrs(const Node& node) {
  std::string_view before;
  for (const Attr& attr : node.attrs) {
    if (&attr != node.attrs.begin() && attr.name <= before)
      return bad(fault_, "attribute {} is not in sorted order", attr.name);
    before = attr.name;
    if (attr.kind > AttrKind::numbers)
      return bad(fault_, "attribute {}: attribute kind {}", attr.name, static_cast<uint32_t>(attr.kind));
    if (attr.kind == AttrKind::boolean && attr.integer != 0 && attr.integer != 1)
      return bad(fault_, "attribute {}: boolean {}", attr.name, attr.integer);
  }
  return true;
}

bool Resolver::graph(const Graph& graph) {
  for (uint64_t i = 0; i < graph.values.size; ++i)
    if (!value(edit(graph.values)[i])) return fault_.at("value {} ({})", i, graph.values[i].name);
  for (uint64_t i = 0; kHasOperators && i < graph.nodes.size; ++i)
    if (!attrs(graph.nodes[i])) return fault_.at("node {} ({})", i, graph.nodes[i].name);
  return true;
}

bool Resolver::delegate(Delegate& delegate) {
  if (delegate.segment >= layout_.segments.size || layout_.segments[delegate.segment].entry.kind != kBlobSegment)
    return bad(fault_, "segment {} is not a BLOB", delegate.segment);
  if (blob_used_[delegate.segment]) return bad(fault_, "segment {} belongs to another delegate", delegate.segment);
  blob_used_[delegate.segment] = true;
  delegate.blob = layout_.segments[delegate.segment].bytes;
  std::string_view before;
  for (Named& named : edit(delegate.named)) {
    if (&named != delegate.named.begin() && named.key <= before)
      return bad(fault_, "data {} is not in sorted order", named.key);
    before = named.key;
    if (!place(named.stored[0], named.bytes)) return fault_.at("data {}", named.key);
  }
  if (delegate.originals.empty() || !kHasOperators) return true;
  return graph(delegate.originals[0]) || fault_.at("original");
}

bool Resolver::metadata() {
  std::string_view before;
  for (const Pair& pair : program_.metadata) {
    if (&pair != program_.metadata.begin() && pair.key <= before)
      return bad(fault_, "metadata {} is not in sorted order", pair.key);
    before = pair.key;
  }
  return true;
}

bool Resolver::run(Arena& arena) {
  if (!arena.make(layout_.segments.size, blob_used_, fault_)) return false;
  for (uint64_t i = 0; i < program_.qparams.size; ++i)
    if (!qparams(edit(program_.qparams)[i])) return fault_.at("qparams {}", i);
  for (uint64_t i = 0; i < program_.methods.size; ++i)
    if (!graph(program_.methods[i].graph())) return fault_.at("method {} ({})", i, program_.methods[i].name);
  for (uint64_t i = 0; i < program_.delegates.size; ++i)
    if (!delegate(edit(program_.delegates)[i])) return fault_.at("delegate {}", i);
  for (uint64_t i = 0; i < layout_.segments.size; ++i)
    if (layout_.segments[i].entry.kind == kBlobSegment && !blob_used_[i])
      return bad(fault_, "segment {} (BLOB) belongs to no delegate", i);
  return metadata();
}

}  // namespace

bool resolve(Program& program, const Layout& layout, Bytes weights, Arena& arena, Fault& fault) {
  return Resolver(program, layout, weights, fault).run(arena);
}

}  // namespace quoin::program::view
