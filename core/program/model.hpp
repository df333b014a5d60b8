// A program in memory: what the lowering produces, the file stores and tools look at. Runtimes use view/view.hpp.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ops/schema.hpp"
#include "program/format.hpp"

namespace quoin::program {

inline constexpr uint32_t kNone = QUOIN_NONE;
inline constexpr const char* kOnlyMethod = "forward";  // name of the method of a program with one graph

struct Value {
  std::string name;
  TensorType type;
  std::optional<Tensor> constant{};  // in files: borrowed from the mapped weights segment
  uint64_t offset = 0;               // into the arena; meaningful for neither constants nor graph inputs and outputs
  uint32_t dynamic = 0;  // bit i: dim i is the length of the run, at most type.shape[i] (program/length.hpp)
};

struct Node {
  std::string op;  // empty: call of delegate number `delegate`
  uint32_t delegate = kNone;
  std::vector<uint32_t> inputs, outputs;  // value indices; kNone: absent operand
  Attrs attrs;
  std::string name, module;
  uint64_t debug_id = 0;
};

// A buffer that lives between runs and belongs to all methods that name it: graph input number `input` is what it holds
// before a run, output number `output` what it holds after it. Zero at first.
struct State {
  std::string name;
  uint32_t input = 0, output = 0;
  bool in_place = false;  // the node that makes the output writes it over the input, which nothing else reads
  friend bool operator==(const State&, const State&) = default;
};

struct Graph {
  std::vector<Value> values;
  std::vector<Node> nodes;  // topological
  std::vector<uint32_t> inputs, outputs;
  std::vector<State> states;  // their inputs and outputs are listed above, too
  uint64_t arena_size = 0;    // bytes; every intermediate lies in [offset, offset + size)
};

// One entry of a program. A model that computes one thing has one, "forward".
struct Method {
  std::string name;
  Graph graph;
};

struct Delegate {
  std::string plugin, version, tag;  // who compiled it
  uint32_t blob_format = 0;
  uint64_t isa = 0;                   // instruction sets without which the blob cannot run; 0: any
  std::shared_ptr<const void> owner;  // keeps `blob` alive
  std::span<const std::byte> blob;    // 64-byte aligned
  std::map<std::string, std::span<const std::byte>> named;
  std::optional<Graph> original;    // runs on kernels when the delegate cannot; same inputs and outputs
  std::vector<uint64_t> debug_ids;  // of the nodes inside
  std::vector<uint64_t> macs;       // multiply-adds of each of them, for profiles; empty: not known
};

struct Model {
  std::string name;
  std::vector<Method> methods;                  // at least one; names are unique
  std::vector<Delegate> delegates;              // of all methods; each is called once
  std::map<std::string, std::string> metadata;  // provenance: recipe, tool version, model digest
};

}  // namespace quoin::program
