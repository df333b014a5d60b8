#include "program/view/open.hpp"

#include <cstring>

#include "base/checked.hpp"
#include "ops/schema.hpp"
#include "program/view/bad.hpp"
#include "program/view/external.hpp"
#include "program/view/lifetime.hpp"
#include "program/view/resolve.hpp"
#include "program/view/tables.hpp"
#include "program/view/verify.hpp"

namespace quoin::program::view {
namespace {

bool copy(Bytes& bytes, Arena& arena, Fault& fault) {
  static_assert(kDataAlignment == Arena::kAlignment);
  void* memory = arena.take(align_up(bytes.size() + 1, kDataAlignment), 1, fault);
  if (memory == nullptr) return false;
  if (!bytes.empty()) std::memcpy(memory, bytes.data(), bytes.size());
  bytes = {static_cast<const std::byte*>(memory), bytes.size()};
  return true;
}

// Tensors and blobs are used in place, so the first byte must be as aligned as a file offset of 0 is.
bool align(Bytes& bytes, Arena& arena, Fault& fault) {
  if (bytes.data() != nullptr && reinterpret_cast<uintptr_t>(bytes.data()) % kDataAlignment == 0) return true;
  return copy(bytes, arena, fault);
}

// What constants and named data are spans of.
bool weights_of(const Layout& layout, const Options& options, Arena& arena, Bytes& to, Fault& fault) {
  if ((layout.features & kExternalWeights) == 0) return only_segment(layout, kWeightsSegment, to, fault);
  Bytes reference;
  ExternalWeights named;
  if (!only_segment(layout, kExternalSegment, reference, fault) || !read_reference(reference, named, fault))
    return false;
  if (options.second.open == nullptr) {
    fault.fail(Code::not_found, "its weights are in the file {}", named.name);
    return fault.hint("say in which folder that lies");
  }
  return options.second.open(options.second.self, named.name, to, fault) &&
         check_weights(named, to, options.trust_weights, fault) && align(to, arena, fault);
}

bool write_in_place(const Graph& graph, Arena& memory, bool& any, Fault& fault) {
  std::span<bool> arena;
  if (!in_arena(graph, memory, arena, fault)) return false;
  any = any || runs_in_place(graph, arena);
  return true;
}

// Without operators, originals of delegates are not read, and nothing else can write over an operand.
bool check_features(const Program& program, uint32_t features, const Allocator& from, Fault& fault) {
  bool in_place = false;
  if (!find_in_place(program, from, in_place, fault)) return false;
  if (in_place == ((features & kInPlace) != 0)) return true;
  bad(fault, "the features named are not those of the graph");
  return fault.at("header");
}

}  // namespace

bool find_in_place(const Program& program, const Allocator& from, bool& any, Fault& fault) {
  Arena memory(from);
  any = false;
  for (const Method& method : program.methods)
    if (!write_in_place(method.graph(), memory, any, fault)) return false;
  for (const Delegate& delegate : program.delegates)
    if (!delegate.originals.empty() && !write_in_place(delegate.originals[0], memory, any, fault)) return false;
  return true;
}

// Tables are read again after they were checked, so their bytes must be ours alone: another process may write to the
// mapped file at any time.
bool read_graphs(const Layout& layout, Arena& arena, Program& to, Fault& fault) {
  Bytes graph;
  if (!only_segment(layout, kGraphSegment, graph, fault)) return false;
  const bool read = graph.size() > kMaxGraphBytes
                        ? fault.fail(Code::limit, "{} bytes, at most {}", graph.size(), kMaxGraphBytes)
                        : copy(graph, arena, fault) && read_tables(graph, arena, to, fault);
  return read || fault.at("segment GRPH");
}

const Program* open(Bytes file, const Options& options, Arena& arena, Fault& fault) {
  std::span<Program> made;
  Layout layout;
  Bytes weights;
  if (!arena.make(1, made, fault)) return nullptr;
  Program& program = made[0];
  if (!align(file, arena, fault) || !read_layout(file, options.trust_weights, arena, layout, fault) ||
      !weights_of(layout, options, arena, weights, fault) || !read_graphs(layout, arena, program, fault))
    return nullptr;
  if (!resolve(program, layout, weights, arena, fault) || !verify(program, arena, fault)) {
    fault.at("segment GRPH");
    return nullptr;
  }
  return kHasOperators && !check_features(program, layout.features, arena.allocator(), fault) ? nullptr : &program;
}

}  // namespace quoin::program::view
