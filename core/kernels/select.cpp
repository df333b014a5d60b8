#include "kernels/select.hpp"

#include <algorithm>
#include <cstring>

#include "base/guard.hpp"
#include "base/text.hpp"
#include "kernels/node_view.hpp"
#include "ops/abi_read.hpp"

namespace quoin::kernels {
namespace {

// A kernel that fits a node, with what decides between it and others.
struct Fit {
  size_t entry = 0;
  int32_t cost = 0;
  bool forced = false;
};

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

// The cost, or why the kernel does not take the node.
Result<int32_t> ask(const quoin_kernel& kernel, const quoin_graph* graph, uint32_t node) {
  int32_t cost = 0;
  if (kernel.accepts == nullptr) return cost;
  if (const auto breach = escaped([&] { cost = kernel.accepts(graph, node); }))
    return fail(Code::plugin, "let an exception escape from accepts(): {}", *breach);
  if (cost < 0) return fail(Code::unsupported, "does not accept these shapes, types or attributes");
  return cost;
}

}  // namespace

KernelSet::KernelSet() {
  for (const quoin_kernel& kernel : portable()) insert(kPortable, kernel, nullptr);
}

// The portable set comes last.
void KernelSet::insert(const std::string& provider, const quoin_kernel& kernel, std::shared_ptr<const void> keep) {
  struct Kept {
    quoin_kernel kernel;
    std::shared_ptr<const void> keep;
  };
  const auto kept = std::make_shared<const Kept>(Kept{kernel, std::move(keep)});
  const auto portable_set =
      std::find_if(entries_.begin(), entries_.end(), [](const Entry& entry) { return entry.provider == kPortable; });
  entries_.insert(provider == kPortable ? entries_.end() : portable_set, {provider, {kept, &kept->kernel}});
}

void KernelSet::add(const std::string& provider, quoin_array kernels, Diagnostics& diagnostics,
                    std::shared_ptr<const void> keep) {
  const std::vector<quoin_kernel> rows = elements<quoin_kernel>(kernels);
  for (size_t i = 0; i < rows.size(); ++i) {
    const std::string wrong = defect(rows[i]);
    if (wrong.empty())
      insert(provider, rows[i], keep);
    else
      diagnostics.warn("plugin " + provider,
                       fmt::format("kernel {}{} is left out: {}", i,
                                   rows[i].name == nullptr ? "" : fmt::format(" ({})", rows[i].name), wrong),
                       "report it to the plugin's author");
  }
}

void KernelSet::remove(const std::string& provider) {
  std::erase_if(entries_, [&](const Entry& entry) { return entry.provider == provider; });
}

Result<Choice> KernelSet::select(const quoin_graph* graph, uint32_t index, uint64_t isa, bool in_place) const {
  if (index >= graph->nodes.count) return fail(Code::internal, "node {} of {}", index, graph->nodes.count);
  const auto node = element<quoin_node>(graph->nodes, index);
  const auto forced = forced_.find(std::string(op_of(node)));
  std::vector<Fit> fits;
  Choice choice;
  for (size_t i = 0; i < entries_.size(); ++i) {
    const quoin_kernel& kernel = *entries_[i].kernel;
    if (op_of(node) != kernel.op) continue;
    const auto pass = [&](std::string_view reason) {
      choice.passed_over.push_back(fmt::format("{}: {}", kernel.name, reason));
    };
    if (kernel.op_version != node.op_version) {
      pass(fmt::format("made for version {} of the operator, the node has {}", kernel.op_version, node.op_version));
    } else if (denied_.count(kernel.name) != 0) {
      pass("denied by the recipe");
    } else if ((kernel.isa & ~isa) != 0) {
      pass("isa not available");
    } else if (in_place && (kernel.flags & QUOIN_IN_PLACE) == 0) {
      pass("does not write over its operands");
    } else if (const std::string conflict = signature_conflict(kernel, *graph, node); !conflict.empty()) {
      pass(conflict);
    } else if (const auto cost = ask(kernel, graph, index); !cost) {
      pass(cost.error().what);
    } else {
      fits.push_back({i, *cost, forced != forced_.end() && forced->second == kernel.name});
    }
  }
  if (fits.empty())
    return fail(
        Error{Code::unsupported,
              fmt::format("no kernel for {}", op_of(node)),
              {},
              choice.passed_over.empty() ? "no plugin offers one" : "candidates: " + join(choice.passed_over, ", ")});
  const auto better = [&](const Fit& a, const Fit& b) {
    const Entry &left = entries_[a.entry], &right = entries_[b.entry];
    if (a.forced != b.forced) return a.forced;
    const bool left_last = left.provider == kPortable, right_last = right.provider == kPortable;
    if (left_last != right_last) return right_last;
    if (left.kernel->priority != right.kernel->priority) return left.kernel->priority > right.kernel->priority;
    if (a.cost != b.cost) return a.cost < b.cost;
    if (left.provider != right.provider) return a.entry < b.entry;  // entries lie in provider order
    return std::strcmp(left.kernel->name, right.kernel->name) < 0;
  };
  const Fit best = *std::min_element(fits.begin(), fits.end(), better);
  for (const Fit& fit : fits)
    if (fit.entry != best.entry)
      choice.passed_over.push_back(
          fmt::format("{}: {} is preferred", entries_[fit.entry].kernel->name, entries_[best.entry].kernel->name));
  if (forced != forced_.end() && !best.forced)
    choice.passed_over.push_back(fmt::format("{}: forced by the recipe, but it cannot run this node", forced->second));
  choice.kernel = entries_[best.entry].kernel;
  choice.provider = entries_[best.entry].provider;
  return choice;
}

}  // namespace quoin::kernels
