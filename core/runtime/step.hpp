// What run() executes: a flat list of prepared calls with their tensors bound to memory.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "host/call.hpp"
#include "kernels/select.hpp"
#include "program/model.hpp"
#include "runtime/graph_view.hpp"

namespace quoin::runtime {

// A kernel bound to a node. Releases its state.
class PreparedKernel {
 public:
  PreparedKernel(kernels::Choice choice, const quoin_host& host)
      : kernel_(std::move(choice.kernel)), provider_(std::move(choice.provider)), host_(&host) {}
  PreparedKernel(PreparedKernel&& other) noexcept
      : kernel_(std::move(other.kernel_)),
        provider_(std::move(other.provider_)),
        host_(other.host_),
        state_(std::exchange(other.state_, nullptr)) {}
  PreparedKernel& operator=(PreparedKernel&&) = delete;
  ~PreparedKernel() {
    if (state_ == nullptr || kernel_->release == nullptr) return;
    host::call_last(provider_, *host_, [&] { kernel_->release(host_, state_); });
  }
  // Errors: the kernel's own. Writes what memory a run needs.
  Status prepare(const quoin_graph* graph, uint32_t node, quoin_memory_need& need);
  Status run(const quoin_run& run) const;
  const char* name() const { return kernel_->name; }

 private:
  std::shared_ptr<const quoin_kernel> kernel_;
  std::string provider_;
  const quoin_host* host_;
  void* state_ = nullptr;
};

// A blob loaded by its plugin. Destroys the delegate, then lets go of the plugin.
class LoadedDelegate {
 public:
  LoadedDelegate(std::shared_ptr<host::Backend> backend, quoin_delegate* handle)
      : name_(backend->name()), use_(std::move(backend), host::Use::delegate), handle_(handle) {}
  LoadedDelegate(LoadedDelegate&& other) noexcept
      : name_(std::move(other.name_)), use_(std::move(other.use_)), handle_(std::exchange(other.handle_, nullptr)) {}
  LoadedDelegate& operator=(LoadedDelegate&&) = delete;
  ~LoadedDelegate() {
    if (handle_ == nullptr) return;
    host::call_last(name_, backend().host(), [&] { backend().table().executor->destroy(handle_); });
  }
  Status run(const quoin_run& run) const;
  const host::Backend& backend() const { return use_.backend(); }
  const std::string& name() const { return name_; }
  quoin_delegate* handle() const { return handle_; }

 private:
  std::string name_;
  host::Use use_;
  quoin_delegate* handle_;
};

// Where a tensor's bytes are.
struct Location {
  enum Kind : uint8_t { absent, arena, input, output, constant, state } kind = absent;
  uint64_t at = 0;             // arena, state: offset; input, output: position in run()'s lists
  const void* data = nullptr;  // constant
  friend bool operator==(const Location&, const Location&) = default;
};

// One graph that steps come from, and how kernels see it.
struct Source {
  const program::Graph* graph = nullptr;
  GraphView* view = nullptr;
};

struct Step {
  const program::Node* node = nullptr;
  Source source;
  size_t index = 0;                        // of the node in its graph
  bool dynamic = false;                    // it reads or makes a value that follows the length of the run
  uint32_t delegate = program::kNone;      // of the program; also for steps of its original
  std::shared_ptr<PreparedKernel> kernel;  // exactly one of these two
  std::optional<LoadedDelegate> loaded;
  std::vector<quoin_tensor> tensors;  // inputs, then outputs
  std::vector<Location> locations;    // of each
  std::vector<Shape> dims;            // what tensors[i].dims points at
  uint32_t inputs = 0;                // how many of `tensors`
  uint32_t value_id(size_t tensor) const {
    return tensor < inputs ? node->inputs[tensor] : node->outputs[tensor - inputs];
  }
  quoin_array input_array() const { return {tensors.data(), inputs, sizeof(quoin_tensor)}; }
  quoin_array output_array() const {
    return {tensors.data() + inputs, static_cast<uint32_t>(tensors.size()) - inputs, sizeof(quoin_tensor)};
  }
};

std::string describe(const program::Node& node);  // "node conv2d_3 (aten.conv2d.default, module features.2)"

}  // namespace quoin::runtime
