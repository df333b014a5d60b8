#include "program/view/tables.hpp"

#include <program_generated.h>

#include <cstddef>
#include <cstring>
#include <iterator>

#include "program/format.hpp"
#include "program/view/bad.hpp"

namespace quoin::program::view {
namespace {

// What a field holds, and where it goes: scalars by their bytes; texts as string_view; lists as RawList.
enum Kind : uint8_t { scalar1, scalar4, scalar8, index4, text, long_text, list4, list8, struct16, table, tables };
enum Need : uint8_t { optional, required };
enum Type : uint8_t { kProgram, kMethod, kGraph, kValue, kNode, kAttr, kState, kDelegate, kNamed, kQParams, kPair };

struct Field {
  uint16_t slot;  // in the vtable
  uint16_t at;    // offset in the struct
  Kind kind;
  Need need;
  Type type;  // of tables
};

constexpr Field kFields[] = {
    {fb::Program::VT_NAME, offsetof(Program, name), text, required, {}},
    {fb::Program::VT_QPARAMS, offsetof(Program, qparams), tables, optional, kQParams},
    {fb::Program::VT_METHODS, offsetof(Program, methods), tables, required, kMethod},
    {fb::Program::VT_DELEGATES, offsetof(Program, delegates), tables, optional, kDelegate},
    {fb::Program::VT_METADATA, offsetof(Program, metadata), tables, optional, kPair},

    {fb::Method::VT_NAME, offsetof(Method, name), text, required, {}},
    {fb::Method::VT_GRAPH, offsetof(Method, graphs), table, required, kGraph},

    {fb::Graph::VT_VALUES, offsetof(Graph, values), tables, required, kValue},
    {fb::Graph::VT_NODES, offsetof(Graph, nodes), tables, required, kNode},
    {fb::Graph::VT_INPUTS, offsetof(Graph, inputs), list4, optional, {}},
    {fb::Graph::VT_OUTPUTS, offsetof(Graph, outputs), list4, optional, {}},
    {fb::Graph::VT_ARENA_SIZE, offsetof(Graph, arena_size), scalar8, optional, {}},
    {fb::Graph::VT_STATES, offsetof(Graph, states), tables, optional, kState},

    {fb::Value::VT_NAME, offsetof(Value, name), text, required, {}},
    {fb::Value::VT_DTYPE, offsetof(Value, dtype), scalar4, optional, {}},
    {fb::Value::VT_SHAPE, offsetof(Value, shape), list8, optional, {}},
    {fb::Value::VT_QPARAMS, offsetof(Value, stored_qparams), index4, optional, {}},
    {fb::Value::VT_CONSTANT, offsetof(Value, stored), struct16, optional, {}},
    {fb::Value::VT_OFFSET, offsetof(Value, offset), scalar8, optional, {}},
    {fb::Value::VT_DYNAMIC, offsetof(Value, dynamic), scalar4, optional, {}},

    {fb::Node::VT_OP, offsetof(Node, op), text, required, {}},
    {fb::Node::VT_OP_VERSION, offsetof(Node, op_version), scalar4, optional, {}},
    {fb::Node::VT_DELEGATE, offsetof(Node, delegate), index4, optional, {}},
    {fb::Node::VT_INPUTS, offsetof(Node, inputs), list4, optional, {}},
    {fb::Node::VT_OUTPUTS, offsetof(Node, outputs), list4, optional, {}},
    {fb::Node::VT_ATTRS, offsetof(Node, attrs), tables, optional, kAttr},
    {fb::Node::VT_NAME, offsetof(Node, name), text, required, {}},
    {fb::Node::VT_MODULE_PATH, offsetof(Node, module), text, required, {}},
    {fb::Node::VT_DEBUG_ID, offsetof(Node, debug_id), scalar8, optional, {}},

    {fb::Attr::VT_NAME, offsetof(Attr, name), text, required, {}},
    {fb::Attr::VT_KIND, offsetof(Attr, kind), scalar1, optional, {}},
    {fb::Attr::VT_INTEGER, offsetof(Attr, integer), scalar8, optional, {}},
    {fb::Attr::VT_NUMBER, offsetof(Attr, number), scalar8, optional, {}},
    {fb::Attr::VT_TEXT, offsetof(Attr, text), text, optional, {}},
    {fb::Attr::VT_INTEGERS, offsetof(Attr, integers), list8, optional, {}},
    {fb::Attr::VT_NUMBERS, offsetof(Attr, numbers), list8, optional, {}},

    {fb::State::VT_NAME, offsetof(State, name), text, required, {}},
    {fb::State::VT_INPUT, offsetof(State, input), scalar4, optional, {}},
    {fb::State::VT_OUTPUT, offsetof(State, output), scalar4, optional, {}},
    {fb::State::VT_IN_PLACE, offsetof(State, in_place), scalar1, optional, {}},

    {fb::Delegate::VT_PLUGIN, offsetof(Delegate, plugin), text, required, {}},
    {fb::Delegate::VT_VERSION, offsetof(Delegate, version), text, required, {}},
    {fb::Delegate::VT_TAG, offsetof(Delegate, tag), text, required, {}},
    {fb::Delegate::VT_BLOB_FORMAT, offsetof(Delegate, blob_format), scalar4, optional, {}},
    {fb::Delegate::VT_ISA, offsetof(Delegate, isa), scalar8, optional, {}},
    {fb::Delegate::VT_SEGMENT, offsetof(Delegate, segment), scalar4, optional, {}},
    {fb::Delegate::VT_NAMED, offsetof(Delegate, named), tables, optional, kNamed},
    {fb::Delegate::VT_ORIGINAL, offsetof(Delegate, originals), table, optional, kGraph},
    {fb::Delegate::VT_DEBUG_IDS, offsetof(Delegate, debug_ids), list8, optional, {}},
    {fb::Delegate::VT_MACS, offsetof(Delegate, macs), list8, optional, {}},

    {fb::Named::VT_KEY, offsetof(Named, key), text, required, {}},
    {fb::Named::VT_DATA, offsetof(Named, stored), struct16, required, {}},

    {fb::QParams::VT_DTYPE, offsetof(QParams, dtype), scalar4, optional, {}},
    {fb::QParams::VT_SCHEME, offsetof(QParams, scheme), scalar4, optional, {}},
    {fb::QParams::VT_AXIS, offsetof(QParams, axis), scalar4, optional, {}},
    {fb::QParams::VT_GROUP, offsetof(QParams, group), scalar4, optional, {}},
    {fb::QParams::VT_QMIN, offsetof(QParams, qmin), scalar4, optional, {}},
    {fb::QParams::VT_QMAX, offsetof(QParams, qmax), scalar4, optional, {}},
    {fb::QParams::VT_SCALE, offsetof(QParams, scale), list4, optional, {}},
    {fb::QParams::VT_ZERO_POINT, offsetof(QParams, zero_point), list4, optional, {}},
    {fb::QParams::VT_BLOCK, offsetof(QParams, block), list8, optional, {}},

    {fb::Pair::VT_KEY, offsetof(Pair, key), text, required, {}},
    {fb::Pair::VT_VALUE, offsetof(Pair, value), long_text, required, {}},
};

// By Type. `most`: tables in one list, or over the whole buffer where that is what has a limit.
struct Layout {
  char name[10];
  uint8_t fields;  // of kFields, behind those of the types before
  bool in_total;
  uint16_t size;  // of the struct
  uint32_t most;
};
constexpr Layout kLayouts[] = {
    {"program", 5, false, sizeof(Program), 1},
    {"method", 2, false, sizeof(Method), kMaxMethods},
    {"graph", 6, false, sizeof(Graph), 1},
    {"value", 7, true, sizeof(Value), kMaxValues},
    {"node", 9, true, sizeof(Node), kMaxNodes},
    {"attribute", 7, false, sizeof(Attr), kMaxAttrs},
    {"state", 4, false, sizeof(State), kMaxStates},
    {"delegate", 10, false, sizeof(Delegate), kMaxDelegates},
    {"named", 2, false, sizeof(Named), UINT32_MAX},
    {"qparams", 9, false, sizeof(QParams), UINT32_MAX},
    {"metadata", 2, false, sizeof(Pair), UINT32_MAX},
};

constexpr size_t count_fields() {
  size_t sum = 0;
  for (const Layout& layout : kLayouts) sum += layout.fields;
  return sum;
}
static_assert(count_fields() == std::size(kFields));

constexpr uint64_t kTableBytes = 12;  // the least that a table takes: its entry in a list, its vtable link, a field

class Reader {
 public:
  Reader(Bytes buffer, Arena& arena, Fault& fault)
      : bytes_(buffer.data()), size_(buffer.size()), budget_(size_), arena_(arena), fault_(fault) {}
  bool read(Program& to);

 private:
  bool damaged() { return bad(fault_, "its FlatBuffer is damaged"); }
  template <class T>
  T load(uint64_t at) const {  // precondition: it lies inside
    T out;
    std::memcpy(&out, bytes_ + at, sizeof out);
    return out;
  }
  bool inside(uint64_t at, uint64_t size, uint64_t alignment) {
    return (at % alignment == 0 && at <= size_ && size <= size_ - at) || damaged();
  }
  bool spend(uint64_t bytes);
  bool follow(uint64_t& at);
  bool read_list(uint64_t at, uint64_t element, RawList& to);
  bool read_text(uint64_t at, uint64_t most, std::string_view& to);
  bool read_table(uint64_t at, Type type, std::byte* to);
  bool read_tables(uint64_t at, bool many, Type type, RawList& to);
  bool read_field(uint64_t at, const Field& field, std::byte* to);

  const std::byte* const bytes_;
  const uint64_t size_;
  uint64_t budget_;
  uint64_t totals_[std::size(kLayouts)] = {};
  Arena& arena_;
  Fault& fault_;
};

bool Reader::spend(uint64_t bytes) {
  if (bytes > budget_) return bad(fault_, "more content than the segment has bytes: parts of it are referred to twice");
  budget_ -= bytes;
  return true;
}

// From an offset to what it leads to.
bool Reader::follow(uint64_t& at) {
  if (!inside(at, 4, 4)) return false;
  const uint32_t distance = load<uint32_t>(at);
  at += distance;
  return distance != 0 || damaged();
}

bool Reader::read_list(uint64_t at, uint64_t element, RawList& to) {
  if (!follow(at) || !inside(at, 4, 4)) return false;
  const uint64_t count = load<uint32_t>(at);
  if (!inside(at + 4, count * element, element) || !spend(count * element)) return false;
  to = {bytes_ + at + 4, count};
  return true;
}

bool Reader::read_text(uint64_t at, uint64_t most, std::string_view& to) {
  RawList list;
  if (!read_list(at, 1, list)) return false;
  to = {static_cast<const char*>(list.data), list.size};
  if (list.size > most) return fault_.fail(Code::limit, "a text of {} bytes, at most {}", list.size, most);
  const auto end = static_cast<uint64_t>(reinterpret_cast<const std::byte*>(to.end()) - bytes_);
  return (end < size_ && bytes_[end] == std::byte{0}) || damaged();
}

bool Reader::read_tables(uint64_t at, bool many, Type type, RawList& to) {
  const Layout& layout = kLayouts[type];
  RawList offsets{bytes_ + at, 1};
  if (many ? !read_list(at, 4, offsets) : !spend(4)) return false;
  const uint64_t count = layout.in_total ? totals_[type] += offsets.size : offsets.size;
  if (count > layout.most)
    return fault_.fail(Code::limit, "{} {}s, at most {}", count, std::string_view(layout.name), layout.most);
  if (!spend(offsets.size * (kTableBytes - 4))) return false;
  auto* const structs = static_cast<std::byte*>(arena_.take(offsets.size, layout.size, fault_));
  if (structs == nullptr) return false;
  to = {structs, offsets.size};
  for (uint64_t i = 0; i < offsets.size; ++i) {
    uint64_t table = static_cast<uint64_t>(static_cast<const std::byte*>(offsets.data) - bytes_) + 4 * i;
    if (!follow(table) || !read_table(table, type, structs + i * layout.size))
      return many ? fault_.at("{} {}", std::string_view(layout.name), i) : false;
  }
  return true;
}

bool Reader::read_field(uint64_t at, const Field& field, std::byte* to) {
  const auto scalar = [&](size_t size) {
    if (!inside(at, size, size)) return false;
    std::memcpy(to, bytes_ + at, size);
    return true;
  };
  switch (field.kind) {
    case scalar1:
      return scalar(1);
    case scalar4:
    case index4:
      return scalar(4);
    case scalar8:
      return scalar(8);
    case text:
    case long_text:
      return read_text(at, field.kind == text ? kMaxName : kMaxMetadata, *reinterpret_cast<std::string_view*>(to));
    case list4:
    case list8:
      return read_list(at, field.kind == list4 ? 4 : 8, *reinterpret_cast<RawList*>(to));
    case struct16:
      *reinterpret_cast<RawList*>(to) = {bytes_ + at, 1};
      return inside(at, 16, 8);
    default:
      return read_tables(at, field.kind == tables, field.type, *reinterpret_cast<RawList*>(to));
  }
}

bool Reader::read_table(uint64_t at, Type type, std::byte* to) {
  if (!inside(at, 4, 4)) return false;
  const uint64_t vtable = at - static_cast<uint64_t>(int64_t{load<int32_t>(at)});
  if (!inside(vtable, 4, 2)) return false;
  const uint64_t slots = load<uint16_t>(vtable);
  if (!inside(vtable, slots, 2)) return false;
  if (slots % 2 != 0) return damaged();
  const Field* field = kFields;
  for (size_t before = 0; before < type; ++before) field += kLayouts[before].fields;
  for (const Field* const end = field + kLayouts[type].fields; field != end; ++field) {
    const uint64_t offset = field->slot + 2u <= slots ? load<uint16_t>(vtable + field->slot) : 0;
    if (offset != 0 && !read_field(at + offset, *field, to + field->at)) return false;
    if (offset == 0 && field->need == required) return damaged();
    if (offset == 0 && field->kind == index4) std::memset(to + field->at, 0xff, 4);  // none
  }
  return true;
}

bool Reader::read(Program& to) {
  if (!inside(0, 8, 8) || std::memcmp(bytes_ + 4, fb::ProgramIdentifier(), 4) != 0) return damaged();
  uint64_t root = 0;
  return follow(root) && read_table(root, kProgram, reinterpret_cast<std::byte*>(&to));
}

}  // namespace

bool read_tables(Bytes buffer, Arena& arena, Program& to, Fault& fault) {
  to = {};
  return Reader(buffer, arena, fault).read(to);
}

}  // namespace quoin::program::view
