// A program in memory: what the lowering produces, the file stores and the runtime runs.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ops/schema.hpp"

namespace quoin::program {

inline constexpr uint32_t kNone = QUOIN_NONE;
inline constexpr uint16_t kFormatMajor = 1, kFormatMinor = 0;

struct Value {
  std::string name;
  TensorType type;
  std::optional<Tensor> constant;  // in files: borrowed from the mapped weights segment
  uint64_t offset = 0;             // into the arena; meaningful for neither constants nor graph inputs and outputs
};

struct Node {
  std::string op;  // empty: call of delegate number `delegate`
  uint32_t delegate = kNone;
  std::vector<uint32_t> inputs, outputs;  // value indices; kNone: absent operand
  Attrs attrs;
  std::string name, module;
  uint64_t debug_id = 0;
};

struct Graph {
  std::vector<Value> values;
  std::vector<Node> nodes;  // topological
  std::vector<uint32_t> inputs, outputs;
  uint64_t arena_size = 0;  // bytes; every intermediate lies in [offset, offset + size)
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
};

struct Model {
  std::string name;
  Graph graph;
  std::vector<Delegate> delegates;
  std::map<std::string, std::string> metadata;  // provenance: recipe, tool version, model digest
};

}  // namespace quoin::program
