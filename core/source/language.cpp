#include "source/language.hpp"

#include <numeric>

#include "source/engine.hpp"
#include "source/tree.hpp"

namespace quoin::source {
namespace {

Result<int64_t> length_of(std::span<const Sample> samples) {
  for (size_t i = 0; i < samples.size(); ++i) {
    const std::string where = fmt::format("calibration sample {}", i);
    if (samples[i].size() != 1 || samples[i][0].dtype() != DType::s64 || samples[i][0].shape().size() != 1)
      return fail(Code::input, "expected one tensor of token ids, s64 [tokens]").at("{}", where);
    if (samples[i][0].size() == samples[0][0].size() && samples[i][0].size() > 0) continue;
    return fail(Code::input, "{} tokens, the first sample has {}", samples[i][0].size(), samples[0][0].size())
        .at("{}", where)
        .hint("cut the text into samples of one length");
  }
  return samples[0][0].size();
}

// The parameters of a tree by name. Tied ones have one name; any of them will do.
std::map<std::string, nn::Parameter*> parameters_of(nn::Module& root) {
  std::map<std::string, nn::Parameter*> out;
  nn::visit(root, [&](nn::Module& module) {
    for (nn::Parameter* parameter : module.parameters()) out.emplace(parameter->name, parameter);
  });
  return out;
}

// A stage's graph, and what of it is taken over into the tree afterwards.
class Stage {
 public:
  Stage(ir::Graph graph, Catalogue& catalogue, std::map<std::string, nn::Parameter*>& parameters)
      : graph_(std::move(graph)), catalogue_(catalogue), parameters_(parameters) {
    for (ir::ValueId id = 0; id < graph_.value_capacity(); ++id)
      if (graph_.is_constant(id)) before_[id] = graph_.value(id).constant->data();
  }
  ir::Graph& graph() { return graph_; }

  const TreeLayer* layer_at(const ir::Graph& graph, ir::NodeId id, Target target) const {
    return catalogue_.find(graph.value(graph.input(id, weight_slot(target))).name, target);
  }

  void take_over() {
    for (const ir::NodeId id : graph_.order()) {
      const bool dynamic = graph_.node(id).op() == "quoin.linear_dynamic.default";
      const auto target = dynamic ? std::optional(Target::linear) : target_of(graph_.node(id));
      const TreeLayer* layer = target ? layer_at(graph_, id, *target) : nullptr;
      if (layer == nullptr) continue;
      const ir::Value& weight = graph_.value(graph_.input(id, weight_slot(*target)));
      if (!weight.type.qparams) continue;
      layer->weight->quantized = checkpoint::Quantized{*weight.constant, weight.type.qparams};
      if (layer->linear != nullptr) layer->linear->dynamic_activations = dynamic;
    }
    for (const auto& [id, data] : before_) {
      const ir::Value& value = graph_.value(id);
      const auto parameter = parameters_.find(value.name);
      const bool changed = value.alive && value.constant && !value.type.qparams && value.constant->data() != data;
      if (changed && parameter != parameters_.end()) parameter->second->replace(*value.constant);
    }
  }

 private:
  ir::Graph graph_;
  Catalogue& catalogue_;
  std::map<std::string, nn::Parameter*>& parameters_;
  std::map<ir::ValueId, const void*> before_;  // the bytes of every constant
};

// The inputs of a stage: what the stage before put out, and positions where it reads them.
void add_positions(Streams& streams, size_t inputs, const Tensor& positions) {
  for (auto* samples : {&streams.quantized, &streams.real})
    for (Sample& sample : *samples)
      if (sample.size() < inputs) sample.push_back(positions);
}

}  // namespace

Result<Report> quantize_language_model(nn::LanguageModel& model, const std::vector<Rule>& list,
                                       const Calibration& calibration, const Resources& resources) {
  if (resources.kernels == nullptr) return fail(Code::usage, "kernels are needed to run calibration samples");
  if (!calibration.mask.empty())
    return fail(Code::recipe, "language models have no input that masks tokens").hint("leave the mask out");
  QUOIN_TRY(const int64_t tokens, length_of(calibration.samples));
  QUOIN_TRY(Rules rules, Rules::of(list));
  QUOIN_TRY(Catalogue catalogue, Catalogue::of(model.root()));
  QUOIN_CHECK(catalogue.resolve(rules));
  for (const TreeLayer& layer : catalogue.layers())  // codes that a checkpoint holds give way to the rule's
    if (layer.rule != nullptr && layer.rule->config) layer.weight->quantized.reset();
  auto parameters = parameters_of(model.root());
  Tensor positions(DType::s64, {tokens});
  std::iota(positions.as<int64_t>().begin(), positions.as<int64_t>().end(), int64_t{0});
  Report report;
  report.samples = calibration.samples.size();
  Streams streams;
  streams.quantized.assign(calibration.samples.begin(), calibration.samples.end());
  streams.real = streams.quantized;
  for (size_t index = 0; index < model.stages(); ++index) {
    QUOIN_TRY(ir::Graph graph, model.export_stage(index, tokens));
    Stage stage(std::move(graph), catalogue, parameters);
    EngineOptions options;
    options.decide = [&](const ir::Graph& g, ir::NodeId id, Target target) -> const Rule* {
      const TreeLayer* layer = stage.layer_at(g, id, target);
      return layer == nullptr ? nullptr : layer->rule;
    };
    options.label = [&](const Rule& rule) { return rules.label(rule); };
    options.outputs = index + 1 < model.stages();
    options.insert_scales = false;
    add_positions(streams, stage.graph().inputs().size(), positions);
    QUOIN_CHECK_AT(Engine(stage.graph(), options, resources, report).run(streams), "stage {}", index);
    stage.take_over();
  }
  return report;
}

}  // namespace quoin::source
