// A program as a device holds it: structs in one arena whose texts and lists lie in the bytes of the file. Read only.
#pragma once

#include <quoin/abi.h>

#include <span>
#include <string_view>

#include "base/file.hpp"
#include "ops/dtype.hpp"

namespace quoin::program::view {

// `size` elements in bytes that belong to somebody else. Plain data: tables are read into it by offset.
struct RawList {
  const void* data;
  uint64_t size;
};
template <class T>
struct List : RawList {
  const T* begin() const { return static_cast<const T*>(data); }
  const T* end() const { return begin() + size; }
  const T& operator[](uint64_t i) const { return begin()[i]; }
  bool empty() const { return size == 0; }
  std::span<const T> span() const { return {begin(), size}; }
};

// Bytes of the weights segment, as stored.
struct Stored {
  uint64_t offset, size;
};

struct QParams {
  DType dtype;
  uint32_t scheme;  // QUOIN_PER_*
  int32_t axis;
  uint32_t group;
  int32_t qmin, qmax;
  List<float> scale;
  List<int32_t> zero_point;
  List<int64_t> block;
  quoin_qparams abi;  // the same
};
// Borrows the lists.
inline quoin_qparams abi_of(const QParams& q) {
  return {sizeof(quoin_qparams),
          static_cast<quoin_dtype>(q.dtype),
          q.scheme,
          q.axis,
          q.group,
          static_cast<uint32_t>(q.scale.size),
          q.qmin,
          q.qmax,
          q.scale.begin(),
          q.zero_point.empty() ? nullptr : q.zero_point.begin(),
          q.block.begin(),
          q.block.size};
}

struct Value {
  std::string_view name;
  DType dtype;
  uint32_t dynamic;  // bit i: dim i is the length of the run, at most shape[i] (length.hpp)
  List<int64_t> shape;
  uint64_t offset;          // into the arena; meaningful for neither constants nor graph inputs and outputs
  uint32_t stored_qparams;  // index into Program::qparams, or none
  List<Stored> stored;      // at most one: it is a constant
  // Resolved:
  const QParams* qparams;  // null: the elements are the numbers themselves
  const void* constant;    // null: it is none
  uint64_t bytes;          // of the longest run

  const quoin_qparams* abi_qparams() const { return qparams == nullptr ? nullptr : &qparams->abi; }
};

enum class AttrKind : uint8_t { boolean, integer, number, text, integers, numbers };
// One of the contents is meaningful, by kind.
struct Attr {
  std::string_view name;
  AttrKind kind;
  int64_t integer;  // boolean: 0 or 1
  double number;
  std::string_view text;
  List<int64_t> integers;
  List<double> numbers;
};

struct Node {
  std::string_view op;  // empty: call of delegate number `delegate`
  uint32_t op_version, delegate;
  List<uint32_t> inputs, outputs;  // value indices; kNone: absent operand
  List<Attr> attrs;                // by name
  std::string_view name, module;
  uint64_t debug_id;

  bool is_call() const { return op.empty(); }
};

// program::State says what it is.
struct State {
  std::string_view name;
  uint32_t input, output;
  uint8_t in_place;  // not 0: yes
  uint32_t buffer;   // resolved: index into Program::buffers
};

struct Graph {
  List<Value> values;
  List<Node> nodes;  // topological
  List<uint32_t> inputs, outputs;
  List<State> states;
  uint64_t arena_size;
};

struct Method {
  std::string_view name;
  List<Graph> graphs;  // one
  const Graph& graph() const { return graphs[0]; }
};

struct Named {
  std::string_view key;
  List<Stored> stored;  // one
  Bytes bytes;          // resolved
};

struct Delegate {
  std::string_view plugin, version, tag;
  uint32_t blob_format;
  uint64_t isa;
  uint32_t segment;
  List<Named> named;      // by key
  List<Graph> originals;  // at most one
  List<uint64_t> debug_ids, macs;
  Bytes blob;  // resolved; 64-byte aligned
};

struct Pair {
  std::string_view key, value;
};

// The memory of states of one name, whichever methods they are in. Of the first of them:
struct Buffer {
  const Method* method;
  const State* state;
  const Value* value;      // before a run
  uint64_t offset, bytes;  // where it lies among all buffers
};

struct Program {
  std::string_view name;
  List<Method> methods;  // at least one
  List<Delegate> delegates;
  List<QParams> qparams;
  List<Pair> metadata;  // by key
  // Resolved:
  List<Buffer> buffers;  // by name
  uint64_t buffer_bytes;
};

}  // namespace quoin::program::view
