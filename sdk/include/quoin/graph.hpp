// What a plugin reads in C++: arrays and structs of any version, parameters, and the graph. Part of quoin/plugin.hpp.
#pragma once

#include <quoin/abi_frozen.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

namespace quoin::sdk {

class Failure : public std::runtime_error {
 public:
  Failure(quoin_status status, const std::string& what) : std::runtime_error(what), code(status) {}
  quoin_status code;
};

inline void check(quoin_status status, const char* what) {
  if (status != QUOIN_OK) throw Failure(status, what);
}
inline std::string_view view(quoin_str s) { return {s.data, static_cast<size_t>(s.size)}; }
constexpr quoin_str str(std::string_view s) { return {s.data(), s.size()}; }

// Reads elements written by an older or newer header: missing fields come out zero, unknown ones are ignored.
template <class T>
requires std::is_trivially_copyable_v<T>
class Array {
 public:
  Array(quoin_array raw) : raw_(raw) {}
  static constexpr quoin_array of(std::span<const T> items) {
    return {items.data(), static_cast<uint32_t>(items.size()), sizeof(T)};
  }
  uint32_t size() const { return raw_.count; }
  T operator[](uint32_t i) const {
    if (i >= raw_.count) throw Failure(QUOIN_INVALID, "index past the end of an ABI array");
    T out{};
    std::memcpy(&out, static_cast<const char*>(raw_.data) + size_t{i} * raw_.stride,
                std::min<size_t>(raw_.stride, sizeof(T)));
    return out;
  }

 private:
  quoin_array raw_;
};

// A struct passed by pointer, copied as far as its author and this header both know it.
template <class T>
T sized(const T* from) {
  T out{};
  std::memcpy(&out, from, std::min<size_t>(from->struct_size, sizeof(T)));
  return out;
}

// -- parameters and attributes

// Named, typed values: operator attributes, preset parameters, options. A missing name gives the fallback; the forms
// without one, and a value of another kind, throw INVALID. Spans borrow from the caller of the plugin.
class Params {
 public:
  Params(quoin_array raw) : items_(raw) {}
  std::optional<quoin_param> find(std::string_view name) const {
    for (uint32_t i = 0; i < items_.size(); ++i)
      if (const quoin_param p = items_[i]; view(p.name) == name) return p;
    return std::nullopt;
  }
  bool has(std::string_view name) const { return find(name).has_value(); }
  bool boolean(std::string_view name, bool fallback) const {
    return scalar<uint8_t>(name, QUOIN_PARAM_BOOL, fallback) != 0;
  }
  int64_t integer(std::string_view name, int64_t fallback) const {
    return scalar<int64_t>(name, QUOIN_PARAM_INT, fallback);
  }
  double number(std::string_view name, double fallback) const {  // integers are numbers too
    const auto p = find(name);
    if (p && p->kind == QUOIN_PARAM_INT) return static_cast<double>(scalar<int64_t>(name, QUOIN_PARAM_INT, 0));
    return scalar<double>(name, QUOIN_PARAM_FLOAT, fallback);
  }
  std::string_view text(std::string_view name, std::string_view fallback) const {
    return view(scalar<quoin_str>(name, QUOIN_PARAM_STR, str(fallback)));
  }
  std::span<const int64_t> integers(std::string_view name) const {
    const auto p = find(name);
    if (!p || p->kind != QUOIN_PARAM_INT) throw Failure(QUOIN_INVALID, "expected integers '" + std::string(name) + "'");
    return {static_cast<const int64_t*>(p->data), p->count};
  }

 private:
  template <class T>
  T scalar(std::string_view name, uint32_t kind, T fallback) const {
    const auto p = find(name);
    if (!p) return fallback;
    if (p->kind != kind || p->count != 1)
      throw Failure(QUOIN_INVALID, "'" + std::string(name) + "' has another type than expected");
    T out;
    std::memcpy(&out, p->data, sizeof out);
    return out;
  }
  Array<quoin_param> items_;
};

namespace detail {
template <class T>
constexpr uint32_t kind_of = std::is_same_v<T, uint8_t>     ? QUOIN_PARAM_BOOL
                             : std::is_same_v<T, int64_t>   ? QUOIN_PARAM_INT
                             : std::is_same_v<T, double>    ? QUOIN_PARAM_FLOAT
                             : std::is_same_v<T, quoin_str> ? QUOIN_PARAM_STR
                                                            : 0;
}  // namespace detail

// One row of an options or preset table. `fallback` (uint8_t, int64_t, double or quoin_str) must have static storage.
template <class T>
constexpr quoin_param_spec param_spec(std::string_view name, uint32_t scope, const T& fallback, std::string_view doc,
                                      double low = 1, double high = 0) {
  constexpr uint32_t kind = detail::kind_of<T>;
  static_assert(kind != 0, "an option's default is a uint8_t (boolean), int64_t, double or quoin_str");
  return {str(name), kind, scope, {str(name), kind, 1, &fallback}, low, high, {}, str(doc)};
}
template <class T>
quoin_param_spec param_spec(std::string_view, uint32_t, const T&&, std::string_view, double = 1,
                            double = 0) = delete;  // the table would point at a temporary

// -- graph

// Borrowed view of quoin_qparams.
struct QParams {
  quoin_dtype dtype = 0;
  uint32_t scheme = QUOIN_PER_TENSOR;
  int32_t axis = -1;
  uint32_t group = 0;
  int32_t qmin = 0, qmax = 0;
  std::span<const float> scale;
  std::span<const int32_t> zero_points;  // empty: all zero
  std::span<const int64_t> block;        // PER_BLOCK: elements per block along every axis
  int32_t zero_point(size_t i = 0) const { return zero_points.empty() ? 0 : zero_points[i]; }
};

class Value {
 public:
  Value(uint32_t id, const quoin_value& from) : raw(from), id_(id) {}
  uint32_t id() const { return id_; }
  quoin_dtype dtype() const { return raw.dtype; }
  // Of the longest run, so that sizes made of them always suffice. All dynamic dims of a graph are one length, which
  // the executor gets anew in plan() whenever it changes.
  std::span<const int64_t> dims() const { return {raw.dims_max != nullptr ? raw.dims_max : raw.dims, raw.rank}; }
  bool is_dynamic(uint32_t dim) const { return dim < raw.rank && raw.dims[dim] < 0; }
  bool is_static() const {
    return std::none_of(raw.dims, raw.dims + raw.rank, [](int64_t d) { return d < 0; });
  }
  int64_t numel() const {  // of the longest run
    int64_t n = 1;
    for (const int64_t d : dims()) n *= d;
    return n;
  }
  bool is_constant() const { return raw.constant.data != nullptr; }
  // The elements of a constant, borrowed. Throws INVALID when it is none, or holds no whole, aligned T.
  template <class T>
  std::span<const T> constant() const {
    if (!is_constant() || raw.constant.size % sizeof(T) != 0 ||
        reinterpret_cast<uintptr_t>(raw.constant.data) % alignof(T) != 0)
      throw Failure(QUOIN_INVALID, "value '" + std::string(view(raw.name)) + "' is not a constant of this type");
    return {static_cast<const T*>(raw.constant.data), static_cast<size_t>(raw.constant.size / sizeof(T))};
  }
  std::optional<QParams> qparams() const {
    if (raw.qparams == nullptr) return std::nullopt;
    const quoin_qparams q = sized(raw.qparams);
    return QParams{q.dtype,
                   q.scheme,
                   q.axis,
                   q.group,
                   q.qmin,
                   q.qmax,
                   {q.scale, q.count},
                   {q.zero_point, q.zero_point != nullptr ? q.count : 0u},
                   {q.block, static_cast<size_t>(q.block_rank)}};
  }
  std::span<const quoin_place> users() const { return {raw.users, raw.num_users}; }
  quoin_value raw;

 private:
  uint32_t id_;
};

class Node {
 public:
  Node(uint32_t id, const quoin_node& from) : raw(from), id_(id) {}
  uint32_t id() const { return id_; }
  std::string_view op() const { return view(raw.op); }
  Params attrs() const { return Params(raw.attrs); }
  bool has_input(uint32_t slot) const { return slot < raw.num_inputs && raw.inputs[slot] != QUOIN_NONE; }
  std::span<const uint32_t> inputs() const { return {raw.inputs, raw.num_inputs}; }
  std::span<const uint32_t> outputs() const { return {raw.outputs, raw.num_outputs}; }
  quoin_node raw;

 private:
  uint32_t id_;
};

// The immutable snapshot a call works on; borrowed for the call.
class Graph {
 public:
  explicit Graph(const quoin_graph* from) : raw(from), values_(from->values), nodes_(from->nodes) {}
  uint32_t num_nodes() const { return nodes_.size(); }
  uint32_t num_values() const { return values_.size(); }
  Node node(uint32_t id) const { return {id, nodes_[id]}; }
  Value value(uint32_t id) const { return {id, values_[id]}; }
  std::span<const uint32_t> inputs() const { return {raw->inputs, raw->num_inputs}; }
  std::span<const uint32_t> outputs() const { return {raw->outputs, raw->num_outputs}; }
  Value input(const Node& n, uint32_t slot) const { return value(at(n.inputs(), slot)); }
  Value output(const Node& n, uint32_t slot = 0) const { return value(at(n.outputs(), slot)); }
  bool is_output(uint32_t value) const {
    return std::find(outputs().begin(), outputs().end(), value) != outputs().end();
  }
  // The only reader of the value, or nothing when there are several or the graph returns it.
  std::optional<Node> single_user(const Value& v) const {
    if (v.raw.num_users != 1 || is_output(v.id())) return std::nullopt;
    return node(v.raw.users[0].node);
  }
  std::optional<Node> producer(const Value& v) const {
    if (v.raw.producer == QUOIN_NONE) return std::nullopt;
    return node(v.raw.producer);
  }
  const quoin_graph* raw;

 private:
  static uint32_t at(std::span<const uint32_t> ids, uint32_t slot) {
    if (slot >= ids.size() || ids[slot] == QUOIN_NONE) throw Failure(QUOIN_INVALID, "operand is absent");
    return ids[slot];
  }
  Array<quoin_value> values_;
  Array<quoin_node> nodes_;
};

}  // namespace quoin::sdk
