#include "runtime/prepare.hpp"

#include <algorithm>

#include "base/checked.hpp"
#include "kernels/select.hpp"
#include "ops/schema.hpp"
#include "program/view/length.hpp"
#include "program/view/verify.hpp"
#include "runtime/delegate.hpp"
#include "runtime/graph_view.hpp"

namespace quoin::runtime {

struct Ahead {
  int64_t length;
  std::vector<PreparedKernel*> kernels;  // of the steps that follow the length, in their order
  Ahead* next;
};

namespace {

constexpr uint64_t kMaxScratch = uint64_t{1} << 40;
constexpr uint64_t kMaxScratchAlignment = 4096;

void resize_tensors(Step& step, int64_t length) {
  for (size_t i = 0; i < step.tensors.size(); ++i) {
    if (step.value_id(i) == QUOIN_NONE || step.value(i).dynamic == 0) continue;
    quoin_tensor& tensor = step.tensors[i];
    view::set_dims(step.value(i), length, tensor.dims);
    tensor.size = static_cast<uint64_t>(byte_size(step.value(i).dtype, {tensor.dims, tensor.rank}));
  }
}

bool plan(Step& step, int64_t length, Scratch& scratch, Fault& fault) {
  quoin_memory_need memory{};
  memory.struct_size = sizeof memory;
  const Outcome planned = plan_delegate(step, length, memory, fault);
  if (planned == Outcome::done) return scratch.add(memory, fault);
  if (planned == Outcome::failed) return false;
  fault.set_code(Code::plugin);
  return fault.hint("the plugin must take every length up to the longest");
}

// Whether the memory plan puts a result where an operand is.
bool writes_over_operand(const Step& step) {
  const std::span<const Location> operands = step.locations.first(step.inputs),
                                  results = step.locations.subspan(step.inputs);
  return std::ranges::any_of(operands, [&](const Location& operand) {
    return operand.kind == Location::arena && std::ranges::find(results, operand) != results.end();
  });
}

Ahead* find(const Method& method, int64_t length) {
  Ahead* ahead = method.ahead;
  while (ahead != nullptr && ahead->length != length) ahead = ahead->next;
  return ahead;
}

// Values outside of delegates: views that kernels read, and the rules of their operators.
bool resize_sources(Method& method, int64_t length, bool verify, Fault& fault) {
  for (Source* source = method.sources; source != nullptr; source = source->next) {
    if (verify && !view::verify_length(*source->graph, length, fault)) return false;
    source->kernels_view->set_length(length);
  }
  return true;
}

}  // namespace

bool Scratch::add(const quoin_memory_need& need, Fault& fault) {
  const uint64_t wanted = need.alignment == 0 ? 64 : need.alignment;
  if (!is_power_of_two(wanted) || wanted > kMaxScratchAlignment)
    return fault.fail(Code::plugin, "asks for scratch memory aligned to {} bytes", wanted);
  if (need.scratch > kMaxScratch) return fault.fail(Code::limit, "asks for {} bytes of scratch memory", need.scratch);
  bytes = std::max(bytes, need.scratch);
  alignment = std::max(alignment, wanted);
  return true;
}

bool prepare_kernel(Step& step, const kernels::KernelSet* kernels, const quoin_host& host, Scratch& scratch,
                    Fault& fault) {
  if (kernels == nullptr) return fault.fail(Code::internal, "no kernels were given to run it");
  const quoin_graph* graph = step.source->kernels_view->graph();
  const uint32_t id = step.source->kernels_view->node(step.index);
  auto choice = kernels->select(graph, id, host.isa, writes_over_operand(step));
  if (!choice) return fault.take(choice.error());
  PreparedKernel::let_go(std::exchange(step.kernel, new PreparedKernel(*std::move(choice), host)));
  quoin_memory_need memory{};
  memory.struct_size = sizeof memory;
  return step.kernel->prepare(graph, id, memory, fault) && scratch.add(memory, fault);
}

bool set_length(Method& method, int64_t length, const kernels::KernelSet* kernels, const quoin_host& host,
                Scratch& scratch, Fault& fault) {
  method.length = 0;
  const Ahead* ahead = kHasOperators ? find(method, length) : nullptr;
  if (kHasOperators && !resize_sources(method, length, ahead == nullptr, fault)) return false;
  size_t next = 0;  // among the kernels that follow the length
  for (Step* step = method.steps; step != nullptr; step = step->next) {
    if (!step->dynamic) continue;
    resize_tensors(*step, length);
    bool ready = true;
    if (step->is_delegate())
      ready = plan(*step, length, scratch, fault);
    else if (kHasOperators && ahead != nullptr)
      PreparedKernel::let_go(std::exchange(step->kernel, ahead->kernels[next++]->hold()));
    else if (kHasOperators)
      ready = prepare_kernel(*step, kernels, host, scratch, fault);
    if (!ready) return at_node(*step->node, fault);
  }
  method.length = length;
  return true;
}

bool is_ahead(const Method& method, int64_t length) { return find(method, length) != nullptr; }

void keep_ahead(Method& method) {
  auto* kept = new Ahead{method.length, {}, method.ahead};
  method.ahead = kept;
  for (const Step* step = method.steps; step != nullptr; step = step->next)
    if (step->dynamic && !step->is_delegate()) kept->kernels.push_back(step->kernel->hold());
}

void forget(Method& method) {
  for (Ahead* next = nullptr; method.ahead != nullptr; method.ahead = next) {
    next = method.ahead->next;
    for (PreparedKernel* kernel : method.ahead->kernels) PreparedKernel::let_go(kernel);
    delete method.ahead;
  }
  for (Source* source = method.sources; source != nullptr; source = source->next) delete source->kernels_view;
}

}  // namespace quoin::runtime
