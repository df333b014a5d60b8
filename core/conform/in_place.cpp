// Kernels whose results are written over an operand, as memory plans ask for.
#include <algorithm>
#include <cstring>

#include "base/checked.hpp"
#include "conform/accuracy.hpp"
#include "ir/snapshot.hpp"
#include "ops/abi_read.hpp"
#include "program/view/lifetime.hpp"
#include "runtime/kernel.hpp"

namespace quoin::conform {
namespace {

// A prepared kernel and the tensors of its node.
class OneNode {
 public:
  OneNode(const Material& material, const ir::Snapshot& snapshot, uint32_t index)
      : material_(material),
        snapshot_(snapshot),
        index_(index),
        node_(material.graph.node(snapshot.node_ids()[index])) {}

  // The result, written over a copy of operand `slot` or, without one, into memory of its own.
  Result<Tensor> run(const kernels::Choice& choice, const quoin_host& host, std::optional<size_t> slot) const {
    runtime::PreparedKernel kernel(choice, host);
    quoin_memory_need need{};
    need.struct_size = sizeof need;
    Fault fault;
    if (!kernel.prepare(snapshot_.view(), index_, need, fault)) return fault.failure();
    const ir::ValueId result = node_.outputs[0];
    std::vector<Tensor> operands;
    std::vector<quoin_tensor> inputs;
    for (const ir::ValueId id : node_.inputs) {
      operands.push_back(id == ir::kNone ? Tensor() : copy_of(id));
      inputs.push_back(id == ir::kNone ? quoin_tensor{} : describe(id, operands.back()));
    }
    const TensorType& type = material_.graph.value(result).type;
    Tensor own = slot ? operands[*slot] : Tensor(type.dtype, type.shape);
    quoin_tensor output = describe(result, own);
    const Tensor scratch(DType::u8, {static_cast<int64_t>(need.scratch + need.alignment)});
    const auto address = reinterpret_cast<uintptr_t>(scratch.data());
    quoin_run call{};
    call.struct_size = sizeof call;
    call.inputs = {inputs.data(), static_cast<uint32_t>(inputs.size()), sizeof(quoin_tensor)};
    call.outputs = {&output, 1, sizeof(quoin_tensor)};
    call.scratch = reinterpret_cast<void*>(align_up(address, std::max<uint64_t>(need.alignment, 1)));
    call.scratch_size = need.scratch;
    if (!kernel.run(call, fault)) return fault.failure();
    return own;
  }

 private:
  Tensor copy_of(ir::ValueId id) const {
    const ir::Value& value = material_.graph.value(id);
    const Tensor& from = value.constant ? *value.constant : material_.values.at(id);
    Tensor copy(from.dtype(), from.shape());
    std::memcpy(copy.data(), from.data(), from.bytes());
    return copy;
  }
  quoin_tensor describe(ir::ValueId id, Tensor& tensor) const {
    const auto& ids = snapshot_.value_ids();
    const auto at = static_cast<uint32_t>(std::ranges::find(ids, id) - ids.begin());
    const auto value = element<quoin_value>(snapshot_.view()->values, at);
    return {value.dtype,   value.rank,     const_cast<int64_t*>(tensor.shape().data()),
            tensor.data(), tensor.bytes(), value.qparams};
  }

  const Material& material_;
  const ir::Snapshot& snapshot_;
  uint32_t index_;
  const ir::Node& node_;
};

}  // namespace

std::string compare_in_place(const Material& material, const kernels::KernelSet& set, const quoin_host& host) {
  const ir::Graph& graph = material.graph;
  const ir::Snapshot snapshot = ir::Snapshot::of(graph);
  for (uint32_t i = 0; i < snapshot.node_ids().size(); ++i) {
    const ir::Node& node = graph.node(snapshot.node_ids()[i]);
    const auto choice = set.select(snapshot.view(), i, host.isa);
    if (!choice || choice->provider == kernels::kPortable || node.outputs.size() != 1) continue;
    if ((choice->kernel->flags & QUOIN_IN_PLACE) == 0) continue;
    const OneNode one(material, snapshot, i);
    for (size_t slot = 0; slot < node.inputs.size(); ++slot) {
      const auto dense = [&](ir::ValueId id) {
        const TensorType& type = graph.value(id).type;
        return program::view::Dense{type.dtype, type.shape};
      };
      if (node.inputs[slot] == ir::kNone ||
          !program::view::can_overwrite(*node.schema, dense(node.inputs[slot]), dense(node.outputs[0])))
        continue;
      const auto apart = one.run(*choice, host, std::nullopt), over = one.run(*choice, host, slot);
      if (!apart || !over) return (apart ? over : apart).error().text();
      if (std::memcmp(apart->data(), over->data(), apart->bytes()) != 0)
        return fmt::format("{} ({}): other results when they are written over operand {}", material.name,
                           graph.describe(snapshot.node_ids()[i]), slot);
    }
  }
  return {};
}

}  // namespace quoin::conform
