#include <algorithm>

#include "ir/verify.hpp"
#include "quantize/existing.hpp"
#include "quantize/guard.hpp"
#include "quantize/qdq.hpp"
#include "quantize/quantize.hpp"

#include <quoin/numerics.hpp>

namespace quoin::quantize {
namespace {

void inherit(ir::Node& node, ir::Provenance from) {
  node.modules = std::move(from.modules);
  node.source = std::move(from.source);
  node.debug_id = from.debug_id;
  node.origins = std::move(from.origins);
}

// Writes explicit quantize and dequantize nodes into a copy of the float graph. Node and value ids of the float graph
// stay valid in the copy, so annotated places do, too.
class Converter {
 public:
  Converter(const ir::Graph& graph, const Prepared& prepared, std::vector<std::optional<QParams>> qparams,
            const ConvertOptions& options)
      : source_(graph),
        prepared_(prepared),
        qparams_(std::move(qparams)),
        options_(options),
        out_(graph),
        emit_(out_) {}

  Result<ir::Graph> run() {
    const auto& order = source_.order();
    for (size_t i = 0; i < order.size(); ++i) {
      const ir::NodeId id = order[i], next = i + 1 < order.size() ? order[i + 1] : ir::kNone;
      for (uint32_t slot = 0; slot < source_.node(id).inputs.size(); ++slot) QUOIN_CHECK(input(id, slot));
      for (uint32_t slot = 0; slot < source_.node(id).outputs.size(); ++slot) QUOIN_CHECK(output(id, slot, next));
    }
    QUOIN_CHECK(one_dequantize_per_user());
    out_.erase_dead();
    QUOIN_CHECK(ir::verify(out_));
    return std::move(out_);
  }

 private:
  using Key = std::pair<ir::ValueId, size_t>;  // value of the float graph, group

  std::optional<size_t> group_at(ir::Place place) const {
    const auto found = prepared_.group_of.find(place);
    return found == prepared_.group_of.end() ? std::nullopt : std::optional(found->second);
  }
  bool is_annotated(ir::NodeId id) const {
    const auto first = prepared_.group_of.lower_bound(ir::Place{id, 0, false});
    return first != prepared_.group_of.end() && first->first.node == id;
  }
  ir::Provenance provenance_of(ir::NodeId id) const { return ir::provenance(out_.node(id)); }

  // The group of a place that is to be quantized here; not of one that the source graph quantizes already.
  Result<std::optional<size_t>> group_to_write(ir::Place place) const {
    const auto group = group_at(place);
    if (!group) return group;
    QUOIN_TRY(const auto existing, existing_spec(source_, place));
    return existing ? std::nullopt : group;
  }

  // A result: every reader gets its dequantized form.
  Status output(ir::NodeId id, uint32_t slot, ir::NodeId next) {
    QUOIN_TRY(const auto found, group_to_write({id, slot, true}));
    if (!found) return {};
    const size_t group = *found;
    const ir::ValueId value = out_.output(id, slot);
    QUOIN_TRY(const ir::ValueId q, emit_.quantize(value, *qparams_[group], provenance_of(id), next));
    QUOIN_TRY(const ir::ValueId dq, emit_.dequantize(q, *qparams_[group], provenance_of(id), next));
    const ir::NodeId quantize = out_.value(q).producer;
    out_.replace_uses(value, dq, [&](const ir::Use& use) { return use.node != quantize; });
    quantized_[{value, group}] = q;
    shared_.emplace_back(dq, group);
    return {};
  }

  Status input(ir::NodeId id, uint32_t slot) {
    QUOIN_TRY(const auto found, group_to_write({id, slot, false}));
    if (!found) return {};
    const size_t group = *found;
    const ir::ValueId value = source_.input(id, slot);
    if (prepared_.groups[group].spec.dynamic) return dynamic_input(id, slot, group);
    const ir::Value& origin = source_.value(value);
    if (origin.producer != ir::kNone && group_at({origin.producer, origin.output_index, true}) == group)
      return {};  // reads the dequantized result already
    if (!quantized_.contains({value, group})) QUOIN_CHECK(quantize_operand(id, slot, group));
    if (const auto twin = operand_.find({id, {value, group}}); twin != operand_.end()) {
      out_.set_input(id, slot, twin->second);  // add(x, x)
      return {};
    }
    QUOIN_TRY(const ir::ValueId dq,
              emit_.dequantize(quantized_.at({value, group}), *qparams_[group], provenance_of(id), id));
    operand_[{id, {value, group}}] = dq;
    out_.set_input(id, slot, dq);
    return {};
  }

  // Integer form of an operand: constants are folded, others get a quantize node before their first annotated reader
  // (after the producer's own dequantize, so that unequal qparams become q -> dq -> q -> dq).
  Status quantize_operand(ir::NodeId id, uint32_t slot, size_t group) {
    const ir::ValueId value = source_.input(id, slot), current = out_.input(id, slot);
    ir::ValueId& q = quantized_[{value, group}];
    if (!source_.is_constant(value) || !options_.fold_weights) {
      QUOIN_TRY(q, emit_.quantize(current, *qparams_[group], provenance_of(id), id));
      return {};
    }
    auto folded = quantize_constant(*source_.value(value).constant, *qparams_[group]);
    if (!folded) return std::move(folded).failure().at("{}", describe(source_, {id, slot, false}));
    q = out_.add_constant(source_.value(value).name + "_quantized", *std::move(folded));
    return {};
  }

  Status dynamic_input(ir::NodeId id, uint32_t slot, size_t group) {
    const Key key{source_.input(id, slot), group};
    if (!dynamic_.contains(key)) {
      auto chain = emit_.dynamic(out_.input(id, slot), prepared_.groups[group].spec, provenance_of(id), id);
      if (!chain) return std::move(chain).failure().at("{}", describe(source_, {id, slot, false}));
      dynamic_[key] = *chain;
    }
    out_.set_input(id, slot, dynamic_.at(key));
    return {};
  }

  // Several annotated nodes that read one dequantized result each get a dequantize node of their own, so that each can
  // be matched and typed alone; other readers keep sharing.
  Status one_dequantize_per_user() {
    for (const auto& [dq, group] : shared_) {
      std::vector<ir::NodeId> readers;
      for (const ir::Use& use : out_.value(dq).users)
        if (std::find(readers.begin(), readers.end(), use.node) == readers.end()) readers.push_back(use.node);
      const ir::NodeId dequantize = out_.value(dq).producer;
      if (readers.size() == 1 && !out_.is_graph_output(dq)) {
        if (is_annotated(readers[0])) inherit(out_.node(dequantize), provenance_of(readers[0]));
        continue;
      }
      const ir::ValueId q = out_.input(dequantize, 0);
      for (const ir::NodeId reader : readers) {
        if (!is_annotated(reader)) continue;
        QUOIN_TRY(const ir::ValueId own, emit_.dequantize(q, *qparams_[group], provenance_of(reader), reader));
        out_.replace_uses(
            dq, own, [&](const ir::Use& use) { return use.node == reader; }, false);
      }
    }
    return {};
  }

  const ir::Graph& source_;
  const Prepared& prepared_;
  const std::vector<std::optional<QParams>> qparams_;
  const ConvertOptions options_;
  ir::Graph out_;
  Emitter emit_;
  std::map<Key, ir::ValueId> quantized_;                       // integer forms
  std::map<std::pair<ir::NodeId, Key>, ir::ValueId> operand_;  // dequantized for one reader
  std::map<Key, ir::ValueId> dynamic_;
  std::vector<std::pair<ir::ValueId, size_t>> shared_;  // dequantized results
};

void report_constant_channels(const ir::Graph& graph, const Prepared& prepared,
                              const std::vector<std::optional<QParams>>& qparams, Diagnostics& diagnostics) {
  for (size_t i = 0; i < qparams.size(); ++i) {
    const Group& group = prepared.groups[i];
    if (!qparams[i] || group.spec.kind != SpecKind::observed) continue;
    const float eps = group.spec.eps > 0 ? static_cast<float>(group.spec.eps) : numerics::kDefaultEps;
    const auto flat = std::count(qparams[i]->scale.begin(), qparams[i]->scale.end(), eps);
    if (flat > 0)
      diagnostics.info(describe(graph, group.places[0]),
                       fmt::format("{} of {} scales are at the smallest value {}: the data there is (nearly) zero",
                                   flat, qparams[i]->scale.size(), eps));
  }
}

}  // namespace

Result<ir::Graph> convert(const ir::Graph& graph, const Prepared& prepared, Diagnostics& diagnostics,
                          const ConvertOptions& options) {
  QUOIN_TRY(auto qparams, all_qparams(graph, prepared));
  QUOIN_CHECK(guard_products(graph, prepared, qparams, diagnostics));
  report_constant_channels(graph, prepared, qparams, diagnostics);
  return Converter(graph, prepared, std::move(qparams), options).run();
}

}  // namespace quoin::quantize
