// What run() executes: prepared calls in their order, with their tensors bound to memory.
#pragma once

#include "program/view/view.hpp"
#include "runtime/kernel.hpp"
#include "runtime/setting.hpp"

namespace quoin::runtime {

namespace view = program::view;

class GraphView;

// Where a tensor's bytes are.
struct Location {
  enum Kind : uint8_t { absent, arena, input, output, constant, state } kind;
  uint64_t at;  // arena, state: offset; input, output: position in run()'s lists; constant: address
  friend bool operator==(const Location&, const Location&) = default;
};

// One graph that steps come from, and how kernels see it.
struct Source {
  const view::Graph* graph;
  GraphView* kernels_view;  // null where no operators are known
  Source* next;
};

// A node bound to a kernel or to a loaded delegate: exactly one of them. Lies in the arena of the instance; close()
// ends its use.
struct Step {
  const view::Node* node;
  const Source* source;
  uint32_t index;          // of the node in its graph
  uint32_t delegate;       // of the program, or none; also for steps of its original
  bool dynamic;            // it reads or makes a value that follows the length of the run
  PreparedKernel* kernel;  // held
  Plugin plugin;           // of `handle`
  quoin_delegate* handle;  // the loaded delegate
  // Inputs, then outputs; in the arena of the instance.
  std::span<quoin_tensor> tensors;
  std::span<Location> locations;  // of each
  uint32_t inputs;                // how many of `tensors`
  Step* next;

  bool is_delegate() const { return handle != nullptr; }
  uint32_t value_id(size_t tensor) const {
    return tensor < inputs ? node->inputs[tensor] : node->outputs[tensor - inputs];
  }
  // Precondition: value_id() is a value.
  const view::Value& value(size_t tensor) const { return source->graph->values[value_id(tensor)]; }
  quoin_array input_array() const { return {tensors.data(), inputs, sizeof(quoin_tensor)}; }
  quoin_array output_array() const {
    return {tensors.data() + inputs, static_cast<uint32_t>(tensors.size()) - inputs, sizeof(quoin_tensor)};
  }
  const char* runner() const { return is_delegate() ? plugin.table->name : kernel->name(); }  // plugin or kernel
};
// Destroys the delegate, then lets go of the plugin; lets go of the kernel.
void close(Step& step);

// "node conv2d_3 (aten.conv2d.default, module features.2)" in front. False.
bool at_node(const view::Node& node, Fault& fault);

}  // namespace quoin::runtime
