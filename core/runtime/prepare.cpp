#include "runtime/prepare.hpp"

#include <algorithm>
#include <bit>

#include "program/length.hpp"
#include "runtime/bind.hpp"
#include "runtime/delegate.hpp"

namespace quoin::runtime {
namespace {

constexpr uint64_t kMaxScratch = uint64_t{1} << 40;
constexpr uint64_t kMaxScratchAlignment = 4096;

void resize_tensors(Step& step, int64_t length) {
  for (size_t i = 0; i < step.tensors.size(); ++i) {
    const uint32_t id = step.value_id(i);
    if (id == program::kNone || step.source.graph->values[id].dynamic == 0) continue;
    const program::Value& value = step.source.graph->values[id];
    program::set_dims(value, length, step.dims[i]);  // tensors[i].dims points there
    step.tensors[i].size = static_cast<uint64_t>(byte_size(value.type.dtype, step.dims[i]));
  }
}

Status plan(Step& step, int64_t length, Scratch& scratch) {
  quoin_memory_need memory{};
  memory.struct_size = sizeof memory;
  QUOIN_TRY(const std::string reason, plan_delegate(step, length, memory));
  if (!reason.empty())
    return fail(Code::plugin, "{}", reason)
        .hint("plugin " + step.loaded->name() + " must take every length up to the longest");
  return scratch.add(memory);
}

// Whether the memory plan puts a result where an operand is.
bool writes_over_operand(const Step& step) {
  const std::span<const Location> all(step.locations);
  const std::span<const Location> operands = all.first(step.inputs), results = all.subspan(step.inputs);
  return std::ranges::any_of(operands, [&](const Location& operand) {
    return operand.kind == Location::arena && std::ranges::find(results, operand) != results.end();
  });
}

}  // namespace

Status Scratch::add(const quoin_memory_need& need) {
  const uint64_t wanted = need.alignment == 0 ? 64 : need.alignment;
  if (!std::has_single_bit(wanted) || wanted > kMaxScratchAlignment)
    return fail(Code::plugin, "asks for scratch memory aligned to {} bytes", wanted);
  if (need.scratch > kMaxScratch) return fail(Code::limit, "asks for {} bytes of scratch memory", need.scratch);
  bytes = std::max(bytes, need.scratch);
  alignment = std::max(alignment, wanted);
  return {};
}

Status prepare_kernel(Step& step, const kernels::KernelSet* kernels, const quoin_host& host, Scratch& scratch) {
  if (kernels == nullptr || all_ops().empty()) return fail(Code::internal, "no kernels were given to run it");
  const quoin_graph* graph = step.source.view->graph();
  const uint32_t id = step.source.view->node(step.index);
  QUOIN_TRY(kernels::Choice choice, kernels->select(graph, id, host.isa, writes_over_operand(step)));
  step.kernel = std::make_shared<PreparedKernel>(std::move(choice), host);
  quoin_memory_need memory{};
  memory.struct_size = sizeof memory;
  QUOIN_CHECK(step.kernel->prepare(graph, id, memory));
  return scratch.add(memory);
}

Status set_length(Bound& bound, int64_t length, const kernels::KernelSet* kernels, const quoin_host& host,
                  Scratch& scratch) {
  bound.length = 0;
  const auto ahead = std::ranges::find(bound.ahead, length, &Ahead::length);
  const bool is_ahead = ahead != bound.ahead.end();
  for (const Source& source : bound.sources) {
    if (!is_ahead) QUOIN_CHECK(program::verify_length(*source.graph, length));
    source.view->set_length(length);
  }
  size_t next = 0;  // among the kernels that follow the length
  for (Step& step : bound.steps) {
    if (!step.dynamic) continue;
    resize_tensors(step, length);
    if (is_ahead && !step.loaded) {
      step.kernel = ahead->kernels[next++];
      continue;
    }
    auto ready = step.loaded ? plan(step, length, scratch) : prepare_kernel(step, kernels, host, scratch);
    if (!ready) return std::move(ready).failure().at("{}", describe(*step.node));
  }
  bound.length = length;
  return {};
}

void keep_ahead(Bound& bound) {
  Ahead& kept = bound.ahead.emplace_back();
  kept.length = bound.length;
  for (const Step& step : bound.steps)
    if (step.dynamic && !step.loaded) kept.kernels.push_back(step.kernel);
}

}  // namespace quoin::runtime
