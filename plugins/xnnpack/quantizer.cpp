#include "quantizer.hpp"

namespace quoin::xnnpack {
namespace {

using sdk::Match, sdk::Node, sdk::Value;

constexpr double kEps = 1.0 / 4096;  // smallest scale

quoin_place operand(uint32_t node, uint32_t slot) { return {node, slot, 0, 0}; }
quoin_place result(uint32_t node) { return {node, 0, 1, 0}; }

quoin_qspec int8(int32_t qmin, int32_t qmax, uint32_t flags) {
  quoin_qspec s{};
  s.struct_size = sizeof s;
  s.dtype = QUOIN_S8;
  s.scheme = QUOIN_PER_TENSOR;
  s.axis = -1;
  s.qmin = qmin;
  s.qmax = qmax;
  s.flags = flags;
  s.eps = kEps;
  return s;
}
quoin_qspec activation(const Settings& s) {
  const uint32_t dynamic = QUOIN_DYNAMIC;
  quoin_qspec spec = int8(s.act_qmin, s.act_qmax, s.dynamic ? dynamic : 0);
  if (s.moving && !s.dynamic) spec.observer = sdk::str("moving_average");
  return spec;
}
quoin_qspec weight(const Settings& s, int32_t channel_axis) {
  quoin_qspec spec = int8(s.weight_qmin, s.weight_qmax, QUOIN_SYMMETRIC);
  spec.observer = s.moving ? sdk::str("moving_average") : sdk::str("minmax");
  if (s.per_channel) {
    spec.scheme = QUOIN_PER_CHANNEL;
    spec.axis = channel_axis;
  }
  return spec;
}

bool is_transposed(const Node& node) { return node.op().starts_with("aten.conv_transpose"); }
bool is_convolution(const Node& node) { return node.op().starts_with("aten.conv"); }

}  // namespace

Settings settings_of(const sdk::QuantConfig& config, bool is_qat) {
  const sdk::Params& p = config.params;
  Settings s;
  s.moving = is_qat || p.boolean("is_qat", false);
  s.dynamic = config.preset == kDynamic;
  s.follow = config.preset == kFollow;
  s.per_channel = p.boolean("per_channel", s.per_channel);
  s.compatible = p.boolean("reference_compatible", s.compatible);
  s.scope = p.text("scope", s.scope);
  s.act_qmin = static_cast<int32_t>(p.integer("act_qmin", s.act_qmin));
  s.act_qmax = static_cast<int32_t>(p.integer("act_qmax", s.act_qmax));
  s.weight_qmin = static_cast<int32_t>(p.integer("weight_qmin", s.weight_qmin));
  s.weight_qmax = static_cast<int32_t>(p.integer("weight_qmax", s.weight_qmax));
  if (s.act_qmin == s.act_qmax) throw sdk::Failure(QUOIN_INVALID, "act_qmin and act_qmax are both 0");
  if (s.weight_qmin == s.weight_qmax) throw sdk::Failure(QUOIN_INVALID, "weight_qmin and weight_qmax are both 0");
  return s;
}

Quantizer::Quantizer(const sdk::QuantRequest& request, sdk::Annotator& out)
    : request_(request),
      graph_(request.graph),
      out_(out),
      done_(graph_.num_nodes()),
      result_specs_(graph_.num_nodes()),
      reasons_(graph_.num_nodes()) {
  for (uint32_t i = 0; i < graph_.num_nodes(); ++i) ++parts_[graph_.node(i).raw.debug_id];
  const sdk::Array<quoin_quant_config> configs(request.raw->configs);
  for (uint32_t i = 0; i < configs.size(); ++i)
    settings_.push_back(settings_of({sdk::view(configs[i].preset), sdk::Params(configs[i].params)}, request.is_qat()));
  const auto found =
      std::find_if(settings_.begin(), settings_.end(), [](const Settings& s) { return !s.dynamic && !s.follow; });
  if (found != settings_.end()) first_static_ = &*found;
}

const Settings* Quantizer::settings(uint32_t node) const {
  const uint32_t config = request_.raw->node_config[node];
  return config == QUOIN_NONE ? nullptr : &settings_[config];
}

void Quantizer::run() {
  for (const Step& step : steps()) look_for(step);
  for (uint32_t i = 0; i < graph_.num_nodes(); ++i) {
    if (!is_free(i)) continue;
    const std::string nothing = "no rule for " + std::string(graph_.node(i).op());
    out_.skip(i, reasons_[i].empty() ? nothing : reasons_[i]);
  }
}

// -- matching

void Quantizer::look_for(const Step& step) {
  const sdk::Pattern pattern(step.rule.pattern);
  for (uint32_t i = 0; i < graph_.num_nodes(); ++i)
    if (is_free(i)) try_at(step, pattern, i);
}

void Quantizer::try_at(const Step& step, const sdk::Pattern& pattern, uint32_t node) {
  const auto may_join = [&](uint32_t id) { return is_free(id) && joins(node, id); };
  const Match match{graph_, pattern.match(graph_, graph_.node(node), may_join)};
  if (match.nodes.empty()) return;
  const Settings* with = serving(step, node);
  std::string no;
  if (with == nullptr)
    no = "preset " + std::string(request_.config(node)->preset) + std::string(sdk::kLeftInFloat);
  else
    no = refuse(step, match, *with);
  if (no.empty() && apply(step.kind, match, *with)) {
    std::vector<uint32_t> ids;
    for (const Node& n : match.nodes) ids.push_back(n.id());
    for (const uint32_t id : ids) done_[id] = true;
    out_.match(ids, step.rule.name);
  } else if (reasons_[node].empty()) {
    reasons_[node] = "rule " + std::string(step.rule.name) + ": " + (no.empty() ? "another quantizer was here" : no);
  }
}

const Settings* Quantizer::serving(const Step& step, uint32_t node) const {
  const Settings* own = settings(node);
  if (serves(step.rule, request_.config(node)->preset)) return own;
  // The reference's search for cat ignores every filter, so any static configuration takes all of them.
  return step.kind == Kind::join && own->compatible ? first_static_ : nullptr;
}

// A relu has no scale of its own, so it may join a layer of another configuration unless it shall stay in float.
bool Quantizer::joins(uint32_t root, uint32_t node) const {
  const Settings &first = *settings(root), &other = *settings(node);
  if (!first.compatible) return true;
  if (first.scope == "operator") return other.scope != "module";
  return request_.raw->node_config[root] == request_.raw->node_config[node];
}

// The importer made several nodes of the operator that the model has there.
bool Quantizer::is_part(const Node& node) const { return node.raw.debug_id != 0 && parts_.at(node.raw.debug_id) > 1; }

std::string Quantizer::refuse(const Step& step, const Match& match, const Settings& settings) const {
  if (std::string no = step.rule.check(match); !no.empty()) return no;
  if (is_part(match.root()) && (step.kind == Kind::binary || settings.compatible))
    return "part of an operator that stays in float as a whole";
  if (settings.compatible)
    if (std::string no = refuse_as_reference(step, match, settings); !no.empty()) return no;
  if (step.kind == Kind::movement && !has_spec(match.input(0).raw.producer)) return "moves data that is not quantized";
  return step.kind == Kind::layer && is_convolution(match.root()) ? refuse_convolution(match, settings) : "";
}

std::string Quantizer::refuse_as_reference(const Step& step, const Match& match, const Settings& settings) const {
  if (step.weights_filtered && settings.scope == "module")
    return "the reference's filter rejects the weights, which belong to no module";
  if (match.root().op() == "aten.relu6.default") return "the reference does not know relu6";
  if (step.kind == Kind::pool && !sdk::view(match.root().raw.scope_type).ends_with("AdaptiveAvgPool2d"))
    return "the reference looks for the module AdaptiveAvgPool2d";
  return "";
}

std::string Quantizer::refuse_convolution(const Match& match, const Settings& settings) const {
  const Node root = match.root();
  if (settings.dynamic) {
    const Value w = match.input(1);
    if (w.raw.rank != 4) return "dynamic convolutions have weights of rank 4";
    if (root.attrs().integer("groups", 1) > 1 && w.dims()[1] == 1) return "dynamic convolutions are not depthwise";
  }
  if (settings.compatible) {
    for (uint32_t slot = 1; slot <= 2; ++slot)
      if (root.has_input(slot) && layer_constants_.contains(match.input(slot).id()))
        return "the reference leaves further convolutions with the same weight in float";
  }
  if (match.nodes.size() > 1) return "";
  const auto user = graph_.single_user(match.output());
  if (!user || user->op() != "aten.relu.default") return "";
  if (settings.compatible) return "the reference leaves it to the pattern with relu";
  return is_free(user->id()) && !settings.dynamic ? "left to the pattern with relu" : "";
}

// -- annotating

bool Quantizer::apply(Kind kind, const Match& match, const Settings& settings) {
  switch (kind) {
    case Kind::layer:
      return layer(match, settings);
    case Kind::pool:
      return pool(match, settings);
    case Kind::binary:
      return binary(match, settings);
    case Kind::join:
      return join(match, settings);
    case Kind::movement:
      return movement(match);
  }
  return false;
}

bool Quantizer::layer(const Match& match, const Settings& settings) {
  const uint32_t root = match.root().id();
  if (!observe(operand(root, 0), activation(settings))) return false;
  observe(operand(root, 1), weight(settings, is_transposed(match.root()) ? 1 : 0));
  if (!settings.dynamic) observe(result(match.last().id()), activation(settings));
  if (is_convolution(match.root()))
    for (uint32_t slot = 1; slot <= 2; ++slot)
      if (match.root().has_input(slot)) layer_constants_.insert(match.input(slot).id());
  return true;
}

bool Quantizer::pool(const Match& match, const Settings& settings) {
  const uint32_t root = match.root().id(), producer = match.input(0).raw.producer;
  const quoin_place in = operand(root, 0);
  const bool set = has_spec(producer) ? share(in, result(producer)) : observe(in, activation(settings));
  return set && share(result(root), in);
}

bool Quantizer::binary(const Match& match, const Settings& settings) {
  const uint32_t root = match.root().id();
  if (!observe(operand(root, 0), activation(settings))) return false;
  observe(operand(root, 1), activation(settings));
  observe(result(match.last().id()), activation(settings));
  return true;
}

bool Quantizer::join(const Match& match, const Settings& settings) {
  const uint32_t root = match.root().id(), count = match.root().raw.num_inputs;
  uint32_t source = 0;
  for (uint32_t slot = count; slot-- > 0;)
    if (has_spec(match.input(slot).raw.producer)) source = slot;
  if (!observe(operand(root, source), activation(settings))) return false;
  for (uint32_t slot = 0; slot < count; ++slot)
    if (slot != source) share(operand(root, slot), operand(root, source));
  share(result(root), operand(root, source));
  return true;
}

bool Quantizer::movement(const Match& match) {
  const uint32_t root = match.root().id();
  return share(operand(root, 0), result(match.input(0).raw.producer)) && share(result(root), operand(root, 0));
}

bool Quantizer::observe(quoin_place place, quoin_qspec spec) {
  if (!out_.set(place, spec)) return false;
  if (place.is_output != 0) result_specs_[place.node] = true;
  return true;
}

bool Quantizer::share(quoin_place place, quoin_place with) {
  quoin_qspec spec{};
  spec.struct_size = sizeof spec;
  spec.kind = QUOIN_SHARED;
  spec.sources = &with;
  spec.num_sources = 1;
  return observe(place, spec);
}

}  // namespace quoin::xnnpack
