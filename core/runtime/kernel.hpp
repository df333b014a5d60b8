// A kernel bound to a node.
#pragma once

#include <utility>

#include "base/fault.hpp"
#include "kernels/select.hpp"

namespace quoin::runtime {

// Counts who holds it, one at first: a step, and what is kept for other lengths. Releases the kernel's state.
class PreparedKernel {
 public:
  PreparedKernel(kernels::Choice choice, const quoin_host& host)
      : kernel_(std::move(choice.kernel)), provider_(std::move(choice.provider)), host_(&host) {}
  PreparedKernel(const PreparedKernel&) = delete;
  PreparedKernel& operator=(const PreparedKernel&) = delete;
  ~PreparedKernel();
  PreparedKernel* hold() {
    ++holders_;
    return this;
  }
  static void let_go(PreparedKernel* kernel) {  // may be null
    if (kernel != nullptr && --kernel->holders_ == 0) delete kernel;
  }
  // Errors: the kernel's own. Writes what memory a run needs.
  bool prepare(const quoin_graph* graph, uint32_t node, quoin_memory_need& need, Fault& fault);
  bool run(const quoin_run& run, Fault& fault) const;
  const char* name() const { return kernel_->name; }

 private:
  uint32_t holders_ = 1;
  std::shared_ptr<const quoin_kernel> kernel_;
  std::string provider_;
  const quoin_host* host_;
  void* state_ = nullptr;
};

}  // namespace quoin::runtime
