// Group 5: what a quantizer answers is legal, complete, and depends on the graph only.
#include <algorithm>
#include <numeric>

#include "conform/graph_copy.hpp"
#include "conform/rewire.hpp"
#include "conform/workbench.hpp"
#include "host/call_result.hpp"
#include "ir/snapshot.hpp"
#include "ops/abi_read.hpp"
#include "passes/registry.hpp"
#include "quantize/abi_spec.hpp"
#include "quantize/preset.hpp"

namespace quoin::conform {
namespace {

// What one annotate() call answered, in words that do not depend on ids.
struct Annotated {
  std::map<std::string, std::string> specs;  // place -> spec
  std::map<std::string, std::string> nodes;  // node -> "matched by linear", "skipped: ..."
  std::string fault;                         // the first illegal thing
};

std::string spec_words(const ir::Graph& graph, const quantize::Spec& spec) {
  std::string out = quantize::summary(graph, spec);
  if (!spec.implicit_sharing) out += ", no implicit sharing";
  for (const ir::Place& source : spec.sources) out += ", from " + quantize::describe(graph, source);
  return out;
}

class Recorder {
 public:
  Recorder(const ir::Graph& graph, const std::vector<ir::NodeId>& ids, const std::vector<uint32_t>& configs,
           std::shared_ptr<host::Backend> backend)
      : graph_(graph), ids_(ids), configs_(configs), backend_(std::move(backend)) {}

  quoin_annotator table() {
    return {sizeof(quoin_annotator),
            0,
            this,
            [](void* self, quoin_place place, const quoin_qspec* spec) {
              return static_cast<Recorder*>(self)->set(place, spec);
            },
            [](void* self, const uint32_t* nodes, uint32_t count, quoin_str rule) {
              static_cast<Recorder*>(self)->match(nodes, count, rule);
            },
            [](void* self, uint32_t node, quoin_str reason) { static_cast<Recorder*>(self)->skip(node, reason); }};
  }
  Annotated take() { return std::move(out_); }

 private:
  quoin_status fault(std::string what) {
    if (out_.fault.empty()) out_.fault = std::move(what);
    return QUOIN_INVALID;
  }
  // The node, which must exist and be selected.
  bool selected(uint32_t node, const char* function) {
    if (node >= ids_.size()) {
      fault(fmt::format("{}() for node {} of a graph with {}", function, node, ids_.size()));
      return false;
    }
    if (configs_[node] != QUOIN_NONE) return true;
    fault(fmt::format("{}() for {}, which the request leaves in float", function, graph_.describe(ids_[node])));
    return false;
  }
  quoin_status set(quoin_place place, const quoin_qspec* given) {
    if (!selected(place.node, "set")) return QUOIN_INVALID;
    const auto at = quantize::place_from(ids_, place);
    if (!at) return fault(at.error().text());
    const auto spec = quantize::spec_from(ids_, given, backend_);
    if (!spec) return fault(spec.error().text());
    if (const Status legal = specs_.set(graph_, *at, *spec, "this call"); !legal) return fault(legal.error().text());
    out_.specs[quantize::describe(graph_, *at)] = spec_words(graph_, *spec);
    return QUOIN_OK;
  }
  void match(const uint32_t* nodes, uint32_t count, quoin_str rule) {
    for (uint32_t i = 0; nodes != nullptr && i < count; ++i)
      if (selected(nodes[i], "match")) answer(nodes[i], "matched by " + text(rule));
  }
  void skip(uint32_t node, quoin_str reason) {
    if (node < ids_.size() && configs_[node] == QUOIN_NONE) return;  // harmless: the host knows better
    if (!selected(node, "skip")) return;
    if (reason.size == 0) fault(graph_.describe(ids_[node]) + " is skipped without a reason");
    answer(node, "skipped: " + text(reason));
  }
  void answer(uint32_t node, std::string what) { out_.nodes.emplace(graph_.node(ids_[node]).name, std::move(what)); }

  const ir::Graph& graph_;
  const std::vector<ir::NodeId>& ids_;
  const std::vector<uint32_t>& configs_;
  std::shared_ptr<host::Backend> backend_;
  quantize::Annotations specs_;
  Annotated out_;
};

// One question to the quantizer.
struct Question {
  std::string preset;
  bool is_qat = false;
  std::function<bool(const std::string&)> selected = [](const std::string&) { return true; };  // by node name
  std::vector<uint32_t> values = {};  // numbering of the values, see GraphCopy
};

class Asker {
 public:
  explicit Asker(Workbench& bench) : bench_(bench) {}

  // Errors (plugin): annotate() failed, with its words.
  Result<Annotated> ask(const ir::Graph& graph, const Question& question) {
    QUOIN_TRY(const auto backend, bench_.backend());
    const quoin_quantizer& quantizer = *backend->table().quantizer;
    quantize::Configs configs;
    QUOIN_TRY(const uint32_t config, configs.add(quantizer, question.preset, {}, "conformance kit"));
    const ir::Snapshot snapshot = ir::Snapshot::of(graph);
    const GraphCopy copy(*snapshot.view(), question.values);
    std::vector<uint32_t> node_config;
    for (const ir::NodeId id : snapshot.node_ids())
      node_config.push_back(question.selected(graph.node(id).name) ? config : QUOIN_NONE);
    const quoin_quant_request request{sizeof request, question.is_qat, copy.view(), configs.view(), node_config.data()};
    Recorder recorder(graph, snapshot.node_ids(), node_config, backend);
    const quoin_annotator annotator = recorder.table();
    auto called = host::call(backend->name(), [&](quoin_error* error) {
      return quantizer.annotate(backend->handle(), &request, &annotator, error);
    });
    if (!called.ok()) return std::move(called.done).failure();
    return recorder.take();
  }

  // Generated graphs after the passes that the quantizer asks for. Errors: those of the passes.
  Result<const std::vector<ir::Graph>*> graphs() {
    if (!graphs_.empty()) return &graphs_;
    QUOIN_TRY(const auto backend, bench_.backend());
    std::vector<ir::Graph> made;
    const auto keep = [&](ir::Graph graph) -> Status {
      const passes::Registry registry;
      for (const quoin_str pass : elements<quoin_str>(backend->table().quantizer->passes))
        QUOIN_CHECK(registry.run(text(pass), graph));
      graph.erase_dead();
      made.push_back(graph.compact());
      return {};
    };
    const uint64_t seed = bench_.subject().seed(), networks = bench_.is_full() ? 300 : 25;
    for (uint64_t i = 0; i < networks; ++i) QUOIN_CHECK(keep(network(seed * 1000 + i)));
    for (const GridPoint& point : grid(bench_.subject().profile())) {
      QUOIN_TRY(ir::Graph graph, build(point, seed));
      QUOIN_CHECK(keep(std::move(graph)));
    }
    graphs_ = std::move(made);
    return &graphs_;
  }

 private:
  Workbench& bench_;
  std::vector<ir::Graph> graphs_;
};

// The first thing that only one of the answers has, or "".
std::string difference(const std::map<std::string, std::string>& a, const std::map<std::string, std::string>& b) {
  for (const auto& [key, value] : a) {
    const auto other = b.find(key);
    if (other == b.end()) return fmt::format("{}: {}, then nothing", key, value);
    if (other->second != value) return fmt::format("{}: {}, then {}", key, value, other->second);
  }
  for (const auto& [key, value] : b)
    if (!a.contains(key)) return fmt::format("{}: nothing, then {}", key, value);
  return {};
}

std::string difference(const Annotated& a, const Annotated& b) {
  const std::string specs = difference(a.specs, b.specs);
  return specs.empty() ? difference(a.nodes, b.nodes) : specs;
}

// One property of one preset, over all graphs.
using Property = std::function<Result<std::string>(const ir::Graph&, Question)>;
Verdict check(Asker& asker, const std::string& preset, const Property& property) {
  const auto graphs = asker.graphs();
  if (!graphs) return failed(graphs.error().text());
  for (size_t i = 0; i < (*graphs)->size(); ++i) {
    const auto fault = property((**graphs)[i], {preset});
    if (!fault) return failed(fmt::format("graph {}: annotate() fails: {}", i, fault.error().text()));
    if (!fault->empty()) return failed(fmt::format("graph {}: {}", i, *fault));
  }
  return passed();
}

// -- properties

Result<std::string> is_legal(Asker& asker, const ir::Graph& graph, const Question& question) {
  QUOIN_TRY(const Annotated found, asker.ask(graph, question));
  return found.fault;
}

Result<std::string> is_complete(Asker& asker, const ir::Graph& graph, const Question& question) {
  QUOIN_TRY(const Annotated found, asker.ask(graph, question));
  for (const ir::NodeId id : graph.order())
    if (!found.nodes.contains(graph.node(id).name))
      return graph.describe(id) + " is neither matched nor skipped with a reason";
  return std::string();
}

Result<std::string> is_repeatable(Asker& asker, const ir::Graph& graph, const Question& question) {
  QUOIN_TRY(const Annotated first, asker.ask(graph, question));
  QUOIN_TRY(const Annotated second, asker.ask(graph, question));
  return difference(first, second);
}

// Every second node, so that patterns are cut in two.
Result<std::string> leaves_alone(Asker& asker, const ir::Graph& graph, Question question) {
  std::map<std::string, bool> selected;
  for (const ir::NodeId id : graph.order()) selected.emplace(graph.node(id).name, selected.size() % 2 == 0);
  question.selected = [&](const std::string& name) { return selected.at(name); };
  QUOIN_TRY(const Annotated found, asker.ask(graph, question));
  return found.fault;
}

Result<std::string> ignores_value_ids(Asker& asker, const ir::Graph& graph, Question question) {
  QUOIN_TRY(const Annotated first, asker.ask(graph, question));
  question.values.resize(ir::Snapshot::of(graph).value_ids().size());
  std::iota(question.values.rbegin(), question.values.rend(), 0u);
  QUOIN_TRY(const Annotated second, asker.ask(graph, question));
  return difference(first, second);
}

Result<std::string> ignores_order(Asker& asker, const ir::Graph& graph, const Question& question, uint64_t seed) {
  QUOIN_TRY(const Annotated first, asker.ask(graph, question));
  Dice dice(static_cast<uint32_t>(seed));
  QUOIN_TRY(const Annotated second, asker.ask(shuffled(graph, dice), question));
  return difference(first, second);
}

// A quantizer may refuse to train, with a reason.
Verdict trains(Asker& asker, const std::string& preset) {
  const auto graphs = asker.graphs();
  if (!graphs) return failed(graphs.error().text());
  Question question{preset};
  question.is_qat = true;
  for (const ir::Graph& graph : **graphs) {
    const auto found = asker.ask(graph, question);
    if (!found) return skipped("annotate() refuses is_qat: " + found.error().text());
    if (!found->fault.empty()) return failed(found->fault);
  }
  return passed();
}

Verdict empty_graph(Asker& asker, const std::string& preset) {
  ir::Graph graph;
  graph.set_outputs({graph.add_input("x", {DType::f32, {1, 4}, nullptr})});
  const auto found = asker.ask(graph, {preset});
  if (!found) return failed("annotate() fails on a graph without nodes: " + found.error().text());
  return found->fault.empty() ? passed() : failed(found->fault);
}

}  // namespace

std::vector<Case> annotate_cases(const Subject& subject) {
  const auto table = subject.table();
  if (!table) return cannot_load(table.error());
  if ((*table)->quantizer == nullptr) return {{"quantizer", [] { return skipped("the plugin has no quantizer"); }}};
  const auto bench = std::make_shared<Workbench>(subject);
  const auto asker = std::shared_ptr<Asker>(new Asker(*bench), [bench](Asker* own) { delete own; });
  std::vector<Case> out;
  for (const quoin_preset& row : elements<quoin_preset>((*table)->quantizer->presets)) {
    const std::string preset = text(row.name);
    const auto add = [&](const char* name, auto property) {
      out.push_back({preset + "/" + name, [asker, preset, property] {
                       return check(*asker, preset,
                                    [&](const ir::Graph& g, const Question& q) { return property(*asker, g, q); });
                     }});
    };
    add("legal", is_legal);
    add("complete", is_complete);
    add("repeatable", is_repeatable);
    add("left-in-float", leaves_alone);
    add("value-ids", ignores_value_ids);
    add("node-order", [seed = subject.seed()](Asker& a, const ir::Graph& g, const Question& q) {
      return ignores_order(a, g, q, seed);
    });
    out.push_back({preset + "/is-qat", [asker, preset] { return trains(*asker, preset); }});
    out.push_back({preset + "/empty-graph", [asker, preset] { return empty_graph(*asker, preset); }});
  }
  return out;
}

}  // namespace quoin::conform
