#include "runtime/kernel.hpp"

#include "host/call.hpp"

namespace quoin::runtime {

PreparedKernel::~PreparedKernel() {
  if (state_ == nullptr || kernel_->release == nullptr) return;
  host::call_last(provider_, *host_, [&] { kernel_->release(host_, state_); });
}

bool PreparedKernel::prepare(const quoin_graph* graph, uint32_t node, quoin_memory_need& need, Fault& fault) {
  const auto body = [&](quoin_error* error) { return kernel_->prepare(host_, graph, node, &state_, &need, error); };
  if (host::call(provider_.c_str(), fault, body) == QUOIN_OK) return true;
  fault.drop_places();
  return fault.at("prepare kernel {}", kernel_->name);
}

bool PreparedKernel::run(const quoin_run& run, Fault& fault) const {
  const auto body = [&](quoin_error* error) { return kernel_->run(host_, state_, &run, error); };
  const quoin_status status = host::call(provider_.c_str(), fault, body);
  if (status == QUOIN_OK) return true;
  fault.drop_places();
  // What a kernel finds invalid once it runs is in the data: an index out of range.
  if (status == QUOIN_INVALID) fault.set_code(Code::input);
  return fault.at("kernel {}", kernel_->name);
}

}  // namespace quoin::runtime
