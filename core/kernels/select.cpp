#include "kernels/select.hpp"

#include <algorithm>
#include <cstring>

#include "base/guard.hpp"
#include "base/text.hpp"
#include "kernels/node_view.hpp"
#include "ops/abi_read.hpp"

namespace quoin::kernels {
namespace {

std::string_view op_of(const quoin_node& node) { return {node.op.data, node.op.size}; }

// The name of the first dtype that the signature does not allow, or "" when all fit.
std::string signature_conflict(const quoin_kernel& kernel, const quoin_graph& graph, const quoin_node& node) {
  if (kernel.signature_size == 0) return {};
  const uint32_t places = node.num_inputs + node.num_outputs;
  if (kernel.signature_size != places)
    return fmt::format("made for {} operands and results, the node has {}", kernel.signature_size, places);
  for (uint32_t i = 0; i < places; ++i) {
    const uint32_t id = i < node.num_inputs ? node.inputs[i] : node.outputs[i - node.num_inputs];
    if (kernel.signature[i] == 0 || id == QUOIN_NONE || id >= graph.values.count) continue;
    const quoin_dtype found = element<quoin_value>(graph.values, id).dtype;
    if (found == kernel.signature[i]) continue;
    const auto want = dtype_from_code(kernel.signature[i]), have = dtype_from_code(found);
    return fmt::format("{} {} is {}, not {}", i < node.num_inputs ? "operand" : "result",
                       i < node.num_inputs ? i : i - node.num_inputs, have ? name(*have) : "?",
                       want ? name(*want) : "?");
  }
  return {};
}

// What keeps a kernel from being used at all, or "".
std::string defect(const quoin_kernel& kernel) {
  if (kernel.op == nullptr) return "it names no operator";
  if (kernel.name == nullptr) return "it has no name";
  if (kernel.prepare == nullptr) return "it has no prepare function";
  if (kernel.run == nullptr) return "it has no run function";
  if (kernel.signature == nullptr && kernel.signature_size != 0)
    return fmt::format("its signature has {} types at no address", kernel.signature_size);
  return {};
}

}  // namespace

// A kernel that fits a node, with what decides between it and others.
struct KernelSet::Fit {
  const quoin_kernel* kernel;
  const std::shared_ptr<const Entry>* entry;  // null: portable
  int32_t cost;
  bool forced;

  // Fits are in the order of the set.
  static bool better(const Fit& a, const Fit& b) {
    if (a.forced != b.forced) return a.forced;
    if (!a.entry != !b.entry) return a.entry != nullptr;
    if (a.kernel->priority != b.kernel->priority) return a.kernel->priority > b.kernel->priority;
    if (a.cost != b.cost) return a.cost < b.cost;
    if (a.entry != nullptr && (*a.entry)->provider != (*b.entry)->provider) return a.entry < b.entry;
    return std::strcmp(a.kernel->name, b.kernel->name) < 0;
  }
};

struct KernelSet::Request {
  const quoin_graph* graph;
  uint32_t index;
  quoin_node node;
  uint64_t isa;
  bool in_place;
};

void KernelSet::add(const std::string& provider, quoin_array kernels, Diagnostics& diagnostics,
                    std::shared_ptr<const void> keep) {
  const std::vector<quoin_kernel> rows = elements<quoin_kernel>(kernels);
  for (size_t i = 0; i < rows.size(); ++i) {
    const std::string wrong = defect(rows[i]);
    if (wrong.empty())
      entries_.push_back(std::make_shared<const Entry>(Entry{provider, rows[i], keep}));
    else
      diagnostics.warn("plugin " + provider,
                       fmt::format("kernel {}{} is left out: {}", i,
                                   rows[i].name == nullptr ? "" : fmt::format(" ({})", rows[i].name), wrong),
                       "report it to the plugin's author");
  }
}

void KernelSet::remove(const std::string& provider) {
  std::erase_if(entries_, [&](const auto& entry) { return entry->provider == provider; });
}

// Why a kernel of the operator does not take the node, or "" and its cost.
std::string KernelSet::refusal(const quoin_kernel& kernel, const Request& request, int32_t& cost) const {
  if (kernel.op_version != request.node.op_version)
    return fmt::format("made for version {} of the operator, the node has {}", kernel.op_version,
                       request.node.op_version);
  if (denied_.count(std::string_view(kernel.name)) != 0) return "denied by the recipe";
  if ((kernel.isa & ~request.isa) != 0) return "isa not available";
  if (request.in_place && (kernel.flags & QUOIN_IN_PLACE) == 0) return "does not write over its operands";
  if (std::string conflict = signature_conflict(kernel, *request.graph, request.node); !conflict.empty())
    return conflict;
  if (kernel.accepts == nullptr) return {};
  if (const auto breach = escaped([&] { cost = kernel.accepts(request.graph, request.index); }))
    return "let an exception escape from accepts(): " + *breach;
  return cost < 0 ? "does not accept these shapes, types or attributes" : "";
}

Result<Choice> KernelSet::select(const quoin_graph* graph, uint32_t index, uint64_t isa, bool in_place) const {
  if (index >= graph->nodes.count) return fail(Code::internal, "node {} of {}", index, graph->nodes.count);
  const Request request{graph, index, element<quoin_node>(graph->nodes, index), isa, in_place};
  const std::string_view op = op_of(request.node);
  const auto found = forced_.find(op);
  const std::string* forced = found == forced_.end() ? nullptr : &found->second;
  std::vector<Fit> fits;
  Choice choice;
  const auto pass = [&](std::string_view kernel, std::string_view reason) {
    choice.passed_over.push_back(fmt::format("{}: {}", kernel, reason));
  };
  const auto consider = [&](const quoin_kernel& kernel, const std::shared_ptr<const Entry>* entry) {
    if (op != kernel.op) return;
    int32_t cost = 0;
    if (const std::string reason = refusal(kernel, request, cost); !reason.empty()) return pass(kernel.name, reason);
    fits.push_back({&kernel, entry, cost, forced != nullptr && *forced == kernel.name});
  };
  for (const auto& entry : entries_) consider(entry->kernel, &entry);
  for (const quoin_kernel& kernel : portable()) consider(kernel, nullptr);
  if (fits.empty())
    return fail(
        Error{Code::unsupported,
              fmt::format("no kernel for {}", op),
              {},
              choice.passed_over.empty() ? "no plugin offers one" : "candidates: " + join(choice.passed_over, ", ")});
  const Fit best = *std::min_element(fits.begin(), fits.end(), Fit::better);
  for (const Fit& fit : fits)
    if (fit.kernel != best.kernel) pass(fit.kernel->name, fmt::format("{} is preferred", best.kernel->name));
  if (forced != nullptr && !best.forced) pass(*forced, "forced by the recipe, but it cannot run this node");
  const std::shared_ptr<const void> keep = best.entry == nullptr ? nullptr : *best.entry;
  choice.kernel = {keep, best.kernel};
  choice.provider = best.entry == nullptr ? kPortable : (*best.entry)->provider;
  return choice;
}

}  // namespace quoin::kernels
