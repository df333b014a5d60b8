#include <algorithm>

#include "ir/verify.hpp"
#include "quantize/guard.hpp"
#include "quantize/pack.hpp"
#include "quantize/qdq.hpp"
#include "quantize/quantize.hpp"
#include "quantize/typed_rules.hpp"

namespace quoin::quantize {
namespace {

constexpr std::string_view kLinear = "aten.linear.default";

using SharedQParams = std::shared_ptr<const QParams>;

// What every node of the QDQ graph means: static quantize or dequantize nodes with their qparams.
Result<std::vector<std::optional<Qdq>>> read_all(const ir::Graph& graph) {
  std::vector<std::optional<Qdq>> out(graph.node_capacity());
  for (const ir::NodeId id : graph.order()) {
    QUOIN_TRY(out[id], read_qdq(graph, id));
  }
  return out;
}

// The qparams in which a value is wanted: all its readers are quantize nodes with equal qparams, or one clamp or data
// movement whose result is wanted so (quantize moves above it). Null: it is wanted in float.
std::vector<SharedQParams> find_demand(const ir::Graph& graph, const std::vector<std::optional<Qdq>>& meaning) {
  std::vector<SharedQParams> demand(graph.value_capacity());
  const auto of_readers = [&](ir::ValueId value) -> SharedQParams {
    const auto& users = graph.value(value).users;
    if (users.empty() || graph.is_graph_output(value)) return nullptr;
    if (const ir::Node& first = graph.node(users[0].node); users.size() == 1 && quantize_may_rise(first))
      return demand[first.outputs[0]];
    const auto& reader = meaning[users[0].node];
    const auto same = [&](const ir::Use& use) {
      const auto& found = meaning[use.node];
      return use.slot == 0 && found && found->kind == QdqKind::quantize && found->qparams == reader->qparams;
    };
    if (!reader || !std::all_of(users.begin(), users.end(), same)) return nullptr;
    return std::make_shared<const QParams>(reader->qparams);
  };
  for (auto id = graph.order().rbegin(); id != graph.order().rend(); ++id)
    for (const ir::ValueId value : graph.node(*id).outputs) demand[value] = of_readers(value);
  return demand;
}

// Builds the typed graph in order. A value of the QDQ graph may exist in up to two forms there: `plain` (float, or
// integers without meaning) and `typed` (with qparams). The missing one is made when somebody needs it.
class Typer {
 public:
  Typer(const ir::Graph& graph, std::vector<std::optional<Qdq>> meaning, Diagnostics& diagnostics)
      : in_(graph),
        meaning_(std::move(meaning)),
        demand_(find_demand(graph, meaning_)),
        diagnostics_(diagnostics),
        forms_(graph.value_capacity()) {
    out_.name = graph.name;
  }

  Result<ir::Graph> run() {
    for (const ir::ValueId id : in_.inputs()) forms_[id].plain = out_.add_input(in_.value(id).name, in_.value(id).type);
    for (const ir::NodeId id : in_.order()) QUOIN_CHECK_AT(node(id), "{}", in_.describe(id));
    std::vector<ir::ValueId> outputs;
    for (const ir::ValueId id : in_.outputs()) {
      const bool integers = in_.value(id).type.dtype != DType::f32 && forms_[id].typed != ir::kNone;
      QUOIN_TRY(const ir::ValueId value, integers ? Result<ir::ValueId>(forms_[id].typed) : plain(id, {}));
      outputs.push_back(value);
    }
    out_.set_outputs(std::move(outputs));
    out_.erase_dead();
    pack_constants(out_);
    QUOIN_CHECK(ir::verify(out_));
    return std::move(out_);
  }

 private:
  struct Forms {
    ir::ValueId plain = ir::kNone, typed = ir::kNone;
    SharedQParams qparams;  // of typed
  };

  Status node(ir::NodeId id) {
    if (meaning_[id]) return meaning_[id]->kind == QdqKind::quantize ? quantize(id) : dequantize(id);
    const TypedRule rule = typed_rule(in_.node(id));
    const auto chain = in_.node(id).op() == kLinear ? chain_of(in_.input(id, 0)) : std::nullopt;
    QUOIN_TRY(const Obstacle obstacle, chain ? why_float_dynamic(id, *chain) : why_float(id, rule));
    if (obstacle.none()) return chain ? dynamic_linear(id, *chain) : typed_node(id, rule);
    if (!obstacle.what.empty())
      diagnostics_.info(in_.describe(id), "computes in float: " + obstacle.what, obstacle.hint);
    return plain_node(id);
  }

  // -- forms of a value
  bool is_typed_constant(ir::ValueId id) const {
    return forms_[id].typed != ir::kNone && out_.is_constant(forms_[id].typed);
  }

  Result<ir::ValueId> plain(ir::ValueId id, ir::Provenance provenance) {
    Forms& forms = forms_[id];
    if (forms.plain != ir::kNone) return forms.plain;
    const ir::Value& value = in_.value(id);
    if (value.constant && forms.typed == ir::kNone) return forms.plain = out_.add_constant(value.name, *value.constant);
    if (value.type.dtype != DType::f32)
      return fail(Code::unsupported,
                  "quantized integers of {} are read by something that is neither dequantize nor data movement",
                  value.name);
    QUOIN_TRY(const auto node, out_.add_node("quoin.dequantize.default", {forms.typed}, {}, {}, std::move(provenance)));
    return forms.plain = out_.output(node);
  }
  Result<ir::ValueId> typed_result(std::string_view op, ir::ValueId from, const SharedQParams& q,
                                   const ir::Node& origin) {
    QUOIN_TRY(const auto node, out_.add_node(op, {from}, {}, {}, ir::provenance(origin)));
    set_type(out_.output(node), q);
    return out_.output(node);
  }
  void set_type(ir::ValueId id, const SharedQParams& q) {
    out_.value(id).type.dtype = q->dtype;
    out_.value(id).type.qparams = q;
  }
  // `value` in exactly these qparams: as it is, from integers with others, or from float.
  Result<ir::ValueId> in_qparams(ir::ValueId value, const SharedQParams& q, const ir::Node& origin) {
    Forms& forms = forms_[value];
    if (forms.typed != ir::kNone && *forms.qparams == *q) return forms.typed;
    for (const auto& [made, result] : extra_[value])
      if (*made == *q) return result;
    ir::ValueId result = ir::kNone;
    const bool both_tensor =
        forms.typed != ir::kNone && forms.qparams->scheme == Scheme::per_tensor && q->scheme == Scheme::per_tensor;
    if (in_.is_constant(value) && forms.typed == ir::kNone) {
      QUOIN_TRY(auto folded, quantize_constant(*in_.value(value).constant, *q));
      result = out_.add_constant(in_.value(value).name + "_quantized", std::move(folded), q);
    } else if (both_tensor) {
      QUOIN_TRY(result, typed_result("quoin.requantize.default", forms.typed, q, origin));
    } else {
      QUOIN_TRY(const auto real, plain(value, ir::provenance(origin)));
      QUOIN_TRY(result, typed_result("quoin.quantize.default", real, q, origin));
    }
    extra_[value].emplace_back(q, result);
    return result;
  }

  // -- quantize and dequantize nodes vanish into types
  Status quantize(ir::NodeId id) {
    const auto q = std::make_shared<const QParams>(meaning_[id]->qparams);
    QUOIN_TRY(const auto result, in_qparams(in_.input(id, 0), q, in_.node(id)));
    forms_[in_.output(id)] = {ir::kNone, result, q};
    return {};
  }

  Status dequantize(ir::NodeId id) {
    const ir::ValueId from = in_.input(id, 0);
    Forms& forms = forms_[from];
    if (forms.typed == ir::kNone && !in_.is_constant(from)) return plain_node(id);
    const auto q = std::make_shared<const QParams>(meaning_[id]->qparams);
    if (forms.typed == ir::kNone)
      forms = {forms.plain, out_.add_constant(in_.value(from).name, *in_.value(from).constant, q), q};
    if (*forms.qparams != *q) {
      if (!in_.is_constant(from))
        return fail(Code::unsupported, "dequantizes with other qparams than its input was quantized with");
      forms_[in_.output(id)] = {ir::kNone, out_.add_constant(in_.value(from).name, *in_.value(from).constant, q), q};
      return {};
    }
    forms_[in_.output(id)] = {ir::kNone, forms.typed, forms.qparams};
    return {};
  }

  // -- compute nodes

  // Why a node computes in float and what a user can do about it; nothing: it computes on integers.
  struct Obstacle {
    std::string what, hint;
    bool quiet = false;  // nothing around the node is quantized: no reason is due
    bool none() const { return what.empty() && !quiet; }
  };
  std::optional<DynamicChain> chain_of(ir::ValueId id) const {
    const ir::NodeId producer = id == ir::kNone ? ir::kNone : in_.value(id).producer;
    return producer == ir::kNone ? std::nullopt : read_dynamic(in_, producer);
  }
  bool is_typed(ir::ValueId id) const { return id != ir::kNone && forms_[id].typed != ir::kNone; }

  Result<Obstacle> why_float(ir::NodeId id, TypedRule rule) const {
    const ir::Node& node = in_.node(id);
    if (moves_integers(node, rule)) return Obstacle{};
    const auto dynamic = [&](ir::ValueId input) { return chain_of(input).has_value(); };
    const auto quantized = [&](ir::ValueId input) { return is_typed(input) || dynamic(input); };
    if (node.op().starts_with("quantized_decomposed.") || std::ranges::none_of(node.inputs, quantized))
      return Obstacle{{}, {}, true};
    if (rule == TypedRule::none)
      return Obstacle{fmt::format("{} has no integer form", node.op()), "its operands are dequantized before it"};
    if (std::ranges::any_of(node.inputs, dynamic))
      return Obstacle{"its input gets its scale at run time, which only linear layers compute with on integers",
                      "use a static preset for it"};
    const size_t data = rule == TypedRule::product ? 2 : node.inputs.size();
    for (size_t slot = 0; slot < data; ++slot)
      if (!is_typed(node.inputs[slot]))
        return Obstacle{fmt::format("operand {} is not quantized", slot),
                        "quantize the operand, or leave the whole node in float"};
    const SharedQParams& wanted = demand_[node.outputs[0]];
    if (!wanted)
      return Obstacle{"its result is not quantized, or its readers want different qparams",
                      "quantize its result with one spec for all readers"};
    for (size_t slot = 0; slot < data; ++slot)
      if (const QParams& q = *forms_[node.inputs[slot]].qparams; !fits_operand(node, rule, slot, q))
        return Obstacle{fmt::format("integer kernels do not take {} as operand {}", kind_of(q), slot),
                        "see docs/quantization.md, Typed form, for the types they take"};
    if (!fits_data(rule, *wanted))
      return Obstacle{fmt::format("integer kernels do not give {} as result", kind_of(*wanted)),
                      "see docs/quantization.md, Typed form, for the types they give"};
    if (rule == TypedRule::product) return why_float_product(node);
    if (has(node.attrs, "alpha") && get_number(node.attrs, "alpha") != 1.0)
      return Obstacle{"alpha is not 1", "multiply the operand before"};
    return Obstacle{};
  }
  static bool fits_operand(const ir::Node& node, TypedRule rule, size_t slot, const QParams& q) {
    return rule == TypedRule::product && slot == 1 ? fits_weight(node, q) : fits_data(rule, q);
  }

  Result<Obstacle> why_float_product(const ir::Node& node) const {
    const ir::ValueId bias = node.inputs.size() > 2 ? node.inputs[2] : ir::kNone;
    if (bias != ir::kNone && !in_.is_constant(bias) && !is_typed_constant(bias))
      return Obstacle{"its bias is not a constant", "make the bias a parameter"};
    const QParams& x = *forms_[node.inputs[0]].qparams;
    ProductSums sums{
        node, in_.value(node.inputs[1]).type.shape, *forms_[node.inputs[1]].qparams, data_reach(x), x.scale[0], {}};
    Tensor real;
    if (bias != ir::kNone) {
      QUOIN_TRY(real, real_bias(bias));
      sums.bias = real.as<float>();
    }
    return overflow(sums, node.inputs[1]);
  }
  Result<Obstacle> why_float_dynamic(ir::NodeId id, const DynamicChain& chain) const {
    const ir::Node& node = in_.node(id);
    if (!is_typed_constant(node.inputs[1]))
      return Obstacle{"its weight is not a quantized constant", "quantize the weight, too"};
    const QParams& w = *forms_[node.inputs[1]].qparams;
    if (!fits_weight(node, w, true))
      return Obstacle{fmt::format("integer kernels do not take {} as weight", kind_of(w)),
                      "see docs/quantization.md, Typed form, for the types they take"};
    return overflow({node, in_.value(node.inputs[1]).type.shape, w, chain.qmax - chain.qmin, 1, {}}, node.inputs[1]);
  }
  Result<Obstacle> overflow(const ProductSums& sums, ir::ValueId weight) const {
    QUOIN_TRY(auto over, overflowing(sums, nullptr));
    if (!over.empty() && is_typed_constant(weight)) {
      QUOIN_TRY(over, overflowing(sums, &*out_.value(forms_[weight].typed).constant));
    }
    if (over.empty()) return Obstacle{};
    return Obstacle{fmt::format("{} of its {} sums could overflow int32", over.size(), sums.count()),
                    "quantize it here, which chooses scales that cannot, or use fewer bits"};
  }
  // Data movement between quantize and dequantize: acts on the integers themselves.
  bool moves_integers(const ir::Node& node, TypedRule rule) const {
    const ir::ValueId from = node.inputs[0];
    return rule == TypedRule::carries && node.inputs.size() == 1 && from != ir::kNone &&
           forms_[from].typed != ir::kNone && in_.value(from).type.dtype != DType::f32 &&
           forms_[from].qparams->scheme == Scheme::per_tensor;
  }

  Status typed_node(ir::NodeId id, TypedRule rule) {
    const ir::Node& node = in_.node(id);
    const SharedQParams q = moves_integers(node, rule) ? forms_[node.inputs[0]].qparams : demand_[node.outputs[0]];
    std::vector<ir::ValueId> inputs;
    for (size_t slot = 0; slot < node.inputs.size(); ++slot) {
      const ir::ValueId input = node.inputs[slot];
      ir::ValueId operand = ir::kNone;
      if (rule == TypedRule::carries) {
        QUOIN_TRY(operand, in_qparams(input, q, node));
      } else if (rule == TypedRule::product && slot == 2) {
        QUOIN_TRY(operand, integer_bias(node));
      } else {
        operand = forms_[input].typed;
      }
      inputs.push_back(operand);
    }
    QUOIN_TRY(const auto made,
              out_.add_node(node.op(), std::move(inputs), node.attrs, node.name, ir::provenance(node)));
    const ir::ValueId result = out_.output(made);
    set_type(result, q);
    forms_[node.outputs[0]] = {ir::kNone, result, q};
    return {};
  }

  Result<Tensor> real_bias(ir::ValueId bias) const {
    const Forms& forms = forms_[bias];
    if (forms.typed != ir::kNone) return dequantize_constant(*out_.value(forms.typed).constant, *forms.qparams);
    return *in_.value(bias).constant;
  }

  // Bias as s32 with scale s_input * s_weight, zero point 0: the unit of the integer accumulator.
  Result<ir::ValueId> integer_bias(const ir::Node& node) {
    const ir::ValueId bias = node.inputs[2];
    if (bias == ir::kNone) return ir::kNone;
    const QParams &x = *forms_[node.inputs[0]].qparams, &w = *forms_[node.inputs[1]].qparams;
    QParams q{DType::s32, w.scheme, w.scheme == Scheme::per_channel ? 0 : -1, 0, INT32_MIN, INT32_MAX, w.scale, {}};
    for (float& scale : q.scale) scale = x.scale[0] * scale;
    if (q.scheme == Scheme::per_channel)  // groups of a transposed convolution have the same scales
      for (const auto count = static_cast<size_t>(in_.value(bias).type.shape[0]); q.scale.size() < count;)
        q.scale.push_back(q.scale[q.scale.size() - w.scale.size()]);
    q.zero_point.assign(q.scale.size(), 0);
    const Forms& forms = forms_[bias];
    if (forms.typed != ir::kNone && forms.qparams->dtype == DType::s32 && forms.qparams->scale == q.scale &&
        forms.qparams->zero_point == q.zero_point)
      return forms.typed;
    QUOIN_TRY(const Tensor real, real_bias(bias));
    QUOIN_TRY(auto folded, quantize_constant(real, q));
    return out_.add_constant(in_.value(bias).name + "_quantized", std::move(folded),
                             std::make_shared<const QParams>(q));
  }

  Status dynamic_linear(ir::NodeId id, const DynamicChain& chain) {
    const ir::Node& node = in_.node(id);
    const ir::Provenance provenance = ir::provenance(node);
    QUOIN_TRY(const auto input, plain(chain.source, provenance));
    std::vector<ir::ValueId> inputs{input, forms_[node.inputs[1]].typed};
    if (node.inputs.size() > 2 && node.inputs[2] != ir::kNone) {
      QUOIN_TRY(const auto bias, plain(node.inputs[2], provenance));
      inputs.push_back(bias);
    } else {
      inputs.push_back(ir::kNone);
    }
    Attrs attrs{{"granularity", std::string(chain.granularity)},
                {"scheme", std::string(chain.scheme)},
                {"qmin", chain.qmin},
                {"qmax", chain.qmax},
                {"eps", chain.eps}};
    QUOIN_TRY(const auto made, out_.add_node("quoin.linear_dynamic.default", std::move(inputs), std::move(attrs),
                                             node.name, provenance));
    forms_[node.outputs[0]].plain = out_.output(made);
    return {};
  }

  Status plain_node(ir::NodeId id) {
    const ir::Node& node = in_.node(id);
    const ir::Provenance provenance = ir::provenance(node);
    std::vector<ir::ValueId> inputs;
    for (const ir::ValueId input : node.inputs) {
      QUOIN_TRY(const auto operand, input == ir::kNone ? Result<ir::ValueId>(ir::kNone) : plain(input, provenance));
      inputs.push_back(operand);
    }
    QUOIN_TRY(const auto made, out_.add_node(node.op(), std::move(inputs), node.attrs, node.name, provenance));
    for (size_t i = 0; i < node.outputs.size(); ++i)
      forms_[node.outputs[i]].plain = out_.output(made, static_cast<uint32_t>(i));
    return {};
  }

  const ir::Graph& in_;
  const std::vector<std::optional<Qdq>> meaning_;
  const std::vector<SharedQParams> demand_;
  Diagnostics& diagnostics_;
  ir::Graph out_;
  std::vector<Forms> forms_;                                                         // by value of in_
  std::map<ir::ValueId, std::vector<std::pair<SharedQParams, ir::ValueId>>> extra_;  // further typed forms
};

}  // namespace

Result<ir::Graph> to_typed(const ir::Graph& qdq, Diagnostics& diagnostics) {
  QUOIN_TRY(auto meaning, read_all(qdq));
  return Typer(qdq, std::move(meaning), diagnostics).run();
}

}  // namespace quoin::quantize
