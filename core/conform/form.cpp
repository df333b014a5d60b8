#include "conform/form.hpp"

#include "conform/grid.hpp"
#include "conform/rewire.hpp"
#include "ops/abi_read.hpp"
#include "quantize/quantize.hpp"
#include "quantize/quantizer_config.hpp"
#include "quantize/typed_rules.hpp"

namespace quoin::conform {
namespace {

constexpr float kCalibrated = 1.0f;  // magnitude of calibration data; inputs of runs go beyond, so that some saturate
constexpr const char* kSelf = "conformance kit";

class Samples final : public data::Dataset {
 public:
  explicit Samples(std::vector<std::vector<Tensor>> samples) : samples_(std::move(samples)) {}
  size_t size() const override { return samples_.size(); }
  Result<data::Sample> sample(size_t index) const override {
    return data::Sample{fmt::format("sample {}", index), samples_[index], {}, {}};
  }
  std::string describe() const override { return "random numbers"; }
  uint64_t digest() const override { return 0; }

 private:
  std::vector<std::vector<Tensor>> samples_;
};

quantize::Spec int8_spec() {
  quantize::Spec spec;
  spec.eps = 1.0 / 4096;
  return spec;
}

quantize::Spec weight_spec(const ir::Node& node) {
  quantize::Spec spec = int8_spec();
  spec.scheme = Scheme::per_channel;
  spec.axis = quantize::weight_axis(node);
  spec.qmin = -127;
  spec.symmetric = true;
  return spec;
}

quantize::Spec bias_spec(ir::NodeId id) {
  quantize::Spec spec;
  spec.kind = quantize::SpecKind::derived;
  spec.dtype = DType::s32;
  std::tie(spec.qmin, spec.qmax) = quantize::storage_range(DType::s32);
  spec.scheme = Scheme::per_channel;
  spec.axis = 0;
  spec.symmetric = true;
  spec.rule = QUOIN_RULE_PRODUCT;
  spec.sources = {{id, 0, false}, {id, 1, false}};
  return spec;
}

bool is_real(const ir::Graph& graph, ir::ValueId id) {
  return id != ir::kNone && graph.value(id).type.dtype == DType::f32;
}

Status annotate_node(const ir::Graph& graph, ir::NodeId id, quantize::Annotations& out) {
  using quantize::TypedRule;
  const ir::Node& node = graph.node(id);
  const TypedRule rule = quantize::typed_rule(node);
  const auto real = [&](ir::ValueId value) { return value == ir::kNone || is_real(graph, value); };
  if (rule == TypedRule::none || !std::ranges::all_of(node.inputs, real) || !real(node.outputs[0])) return {};
  if (rule == TypedRule::product && !graph.is_constant(node.inputs[1])) return {};
  const auto set = [&](uint32_t slot, bool output, quantize::Spec spec) {
    return out.set(graph, {id, slot, output}, std::move(spec), kSelf);
  };
  quantize::Spec shared;
  shared.kind = quantize::SpecKind::shared;
  shared.sources = {{id, 0, false}};
  for (uint32_t slot = 0; slot < node.inputs.size(); ++slot) {
    if (node.inputs[slot] == ir::kNone) continue;
    const bool weight = rule == TypedRule::product && slot == 1, bias = rule == TypedRule::product && slot == 2;
    const bool follows = rule == TypedRule::carries && slot > 0;
    QUOIN_CHECK(set(slot, false, weight ? weight_spec(node) : bias ? bias_spec(id) : follows ? shared : int8_spec()));
  }
  return set(0, true, rule == TypedRule::carries ? shared : int8_spec());
}

// Quantized by the plugin, or by the kit. The text says why nothing is annotated.
Result<quantize::Annotations> annotate(const Form& form, ir::Graph& graph,
                                       const std::shared_ptr<host::Backend>& backend, std::string& why_not) {
  if (form.preset.empty()) {
    why_not = "the kit's int8 knows no integer form of it";
    return annotate_int8(graph);
  }
  const auto config = quantize::QuantizerConfig(backend->name()).set_global(form.preset);
  Diagnostics diagnostics;
  QUOIN_TRY(quantize::Annotations out, quantize::annotate(graph, {config.assign(backend)}, diagnostics));
  for (const auto& [node, verdict] : out.verdicts)
    if (verdict.kind != quantize::Verdict::Kind::quantized) why_not = verdict.reason;
  return out;
}

Result<ir::Graph> quantized(const ir::Graph& graph, const quantize::Annotations& annotations, const quoin_host& host,
                            uint64_t seed) {
  QUOIN_TRY(quantize::Prepared prepared, quantize::prepare(graph, annotations, {"minmax", {}}));
  Dice dice(static_cast<uint32_t>(seed) + 17);
  const Samples samples({random_inputs(graph, dice, kCalibrated), random_inputs(graph, dice, kCalibrated)});
  Diagnostics diagnostics;
  const kernels::KernelSet portable;
  QUOIN_CHECK(quantize::calibrate(graph, prepared, &samples, portable, host, nullptr, diagnostics));
  QUOIN_TRY(const ir::Graph qdq, quantize::convert(graph, prepared, diagnostics));
  return quantize::to_typed(qdq, diagnostics);
}

// An empty tensor has no range that could be observed: larger inputs are calibrated in its place.
Result<Formed> form_empty(const Form& how, const ir::Graph& graph, const std::shared_ptr<host::Backend>& backend,
                          const quoin_host& host, uint64_t seed) {
  const std::vector<Shape> empty = input_shapes(graph);
  std::vector<Shape> full = empty;
  for (Shape& shape : full) std::ranges::replace(shape, 0, 2);
  QUOIN_TRY(ir::Graph larger, resized(graph, full));
  QUOIN_TRY(Formed out, form(how, std::move(larger), backend, host, seed));
  QUOIN_TRY(out.graph, resized(out.graph, empty));
  return out;
}

bool is_empty(const Shape& shape) { return std::ranges::find(shape, 0) != shape.end(); }

bool has_qparams(const ir::Graph& graph) {
  return std::ranges::any_of(graph.order(), [&](ir::NodeId id) {
    return std::ranges::any_of(graph.node(id).inputs,
                               [&](ir::ValueId v) { return v != ir::kNone && graph.value(v).type.qparams != nullptr; });
  });
}

}  // namespace

std::vector<Form> forms(const quoin_plugin& table) {
  std::vector<Form> out{{"float", {}, false}};
  if (table.quantizer == nullptr) {
    out.push_back({"int8", {}, true});
    return out;
  }
  for (const quoin_preset& preset : elements<quoin_preset>(table.quantizer->presets))
    out.push_back({text(preset.name), text(preset.name), true});
  return out;
}

Result<quantize::Annotations> annotate_int8(const ir::Graph& graph) {
  quantize::Annotations out;
  for (const ir::NodeId id : graph.order()) QUOIN_CHECK(annotate_node(graph, id, out));
  return out;
}

Result<Formed> form(const Form& how, ir::Graph graph, const std::shared_ptr<host::Backend>& backend,
                    const quoin_host& host, uint64_t seed) {
  graph.erase_dead();
  if (!how.integer) {
    QUOIN_CHECK(quantize::run_passes(graph, *backend, passes::Registry()));
    graph.erase_dead();
    return Formed{graph.compact(), {}};
  }
  if (std::ranges::any_of(input_shapes(graph), is_empty)) return form_empty(how, graph, backend, host, seed);
  std::string why_not;
  QUOIN_TRY(const quantize::Annotations annotations, annotate(how, graph, backend, why_not));
  QUOIN_TRY(ir::Graph typed, quantized(graph, annotations, host, seed));
  typed.erase_dead();
  Formed out{typed.compact(), {}};
  if (!has_qparams(out.graph)) out.why_float = why_not;
  return out;
}

}  // namespace quoin::conform
