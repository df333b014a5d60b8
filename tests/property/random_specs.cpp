#include <quoin/plugin.hpp>

#include "random_config.hpp"

namespace quoin::property {
namespace {

// Sets specs on places of one request. What the host refuses as illegal at a place stays unset.
class RandomSpecs {
 public:
  RandomSpecs(const quoin_quant_request& request, const quoin_annotator& annotator, uint32_t seed)
      : request_(&request), annotator_(&annotator), dice_(seed), usual_(activation()) {}

  void run() {
    for (uint32_t i = 0; i < request_.graph.num_nodes(); ++i) {
      if (!request_.config(i)) continue;
      if (dice_.chance(15)) {
        annotator_.skip(i, "the dice say no");
        continue;
      }
      const sdk::Node node = request_.graph.node(i);
      const bool any = is_product(node) ? product(node) : other(node);
      if (any) annotator_.match(std::array{i}, "random");
    }
  }

 private:
  static bool is_product(const sdk::Node& node) {
    return node.op().starts_with("aten.conv") || node.op() == "aten.linear.default";
  }
  bool constant(const sdk::Node& node, uint32_t slot) const {
    return node.has_input(slot) && request_.graph.input(node, slot).is_constant();
  }

  bool product(const sdk::Node& node) {
    quoin_qspec data = usual();
    if (dice_.chance(12)) data = dynamic();
    const bool input = !constant(node, 0) && annotator_.input(node.id(), 0, data);
    const quoin_qspec weights = constant(node, 1) ? weight_spec(request_.graph.input(node, 1)) : spec(QUOIN_S8);
    const bool weight = constant(node, 1) && annotator_.input(node.id(), 1, weights);
    const bool is_dynamic = (data.flags & QUOIN_DYNAMIC) != 0;
    const bool bias_fits =  // it has a scale per output channel, or one
        weights.scheme == QUOIN_PER_TENSOR ||
        (weights.scheme == QUOIN_PER_CHANNEL && weights.axis == 0 && node.op() != "aten.conv_transpose2d.input");
    if (input && weight && bias_fits && !is_dynamic && constant(node, 2) && dice_.chance(30)) {
      const quoin_place sources[2] = {{node.id(), 0, 0, 0}, {node.id(), 1, 0, 0}};
      quoin_qspec bias = spec(QUOIN_S32);
      bias.kind = QUOIN_DERIVED;
      bias.rule = QUOIN_RULE_PRODUCT;
      bias.sources = sources;
      bias.num_sources = 2;
      annotator_.input(node.id(), 2, bias);
    }
    if (!dice_.chance(80) || is_dynamic) return input || weight;
    return annotator_.output(node.id(), 0, usual()) || input || weight;
  }

  bool other(const sdk::Node& node) {
    const bool one = dice_.chance(60);  // operands and result share
    bool first = false, any = false;
    const quoin_place source{node.id(), 0, 0, 0};
    for (uint32_t slot = 0; slot < node.raw.num_inputs; ++slot) {
      if (!node.has_input(slot) || dice_.chance(8)) continue;
      const bool set = annotator_.input(node.id(), slot, one && first ? shared(source) : usual());
      first = first || (slot == 0 && set);
      any = any || set;
    }
    if (dice_.chance(85)) any = annotator_.output(node.id(), 0, one && first ? shared(source) : usual()) || any;
    return any;
  }

  // -- specs

  static quoin_qspec spec(quoin_dtype dtype) {
    quoin_qspec out{};
    out.struct_size = sizeof out;
    out.dtype = dtype;
    return out;
  }
  static quoin_qspec shared(const quoin_place& place) {
    quoin_qspec out = spec(QUOIN_S8);
    out.kind = QUOIN_SHARED;
    out.sources = &place;
    out.num_sources = 1;
    return out;
  }
  quoin_qspec dynamic() {
    quoin_qspec out = spec(QUOIN_S8);
    out.flags = QUOIN_DYNAMIC | (dice_.chance(40) ? QUOIN_SYMMETRIC : 0);
    if (dice_.chance(50)) out.scheme = QUOIN_PER_TOKEN;
    return out;
  }
  quoin_qspec usual() { return dice_.chance(80) ? usual_ : activation(); }

  quoin_qspec activation() {
    quoin_qspec out = spec(dice_.of<quoin_dtype>(
        {QUOIN_S8, QUOIN_S8, QUOIN_S8, QUOIN_U8, QUOIN_U8, QUOIN_S16, QUOIN_U16, QUOIN_S4, QUOIN_U4}));
    if (dice_.chance(15)) {
      const bool is_signed = out.dtype == QUOIN_S8 || out.dtype == QUOIN_S16 || out.dtype == QUOIN_S4;
      out.qmin = is_signed ? -7 : 0;
      out.qmax = 7;
    }
    if (dice_.chance(30)) out.flags |= QUOIN_SYMMETRIC;
    if (dice_.chance(15)) out.flags |= QUOIN_POW2_SCALE;
    if (dice_.chance(15)) out.flags |= QUOIN_NO_IMPLICIT_SHARING;
    if (dice_.chance(30)) out.eps = 0x1p-12;
    if (dice_.chance(8)) {
      out.kind = QUOIN_FIXED;
      out.scale = dice_.uniform(0.01f, 0.2f);
      return out;
    }
    out.observer = str_of(dice_.of(observers_));
    return out;
  }

  quoin_qspec weight_spec(const sdk::Value& weight) {
    quoin_qspec out =
        spec(dice_.of<quoin_dtype>({QUOIN_S8, QUOIN_S8, QUOIN_S8, QUOIN_U8, QUOIN_S4, QUOIN_S2, QUOIN_S16}));
    if (dice_.chance(75)) out.flags |= QUOIN_SYMMETRIC;
    if (dice_.chance(10)) out.flags |= QUOIN_POW2_SCALE;
    const auto rank = weight.dims().size();
    switch (dice_.below(8)) {
      case 0:
        return out;  // per tensor
      case 1:
        out.scheme = QUOIN_PER_GROUP;
        out.group = dice_.of<uint32_t>({1, 2, 4});
        return out;
      case 2:
        out.scheme = QUOIN_PER_BLOCK;
        block_.assign(rank, 1);
        block_.back() = weight.dims().back();
        out.block = block_.data();
        out.block_rank = block_.size();
        return out;
      case 3:
        out.axis = static_cast<int32_t>(dice_.below(rank));
        break;
      default:
        out.axis = 0;
    }
    out.scheme = QUOIN_PER_CHANNEL;
    return out;
  }
  static quoin_str str_of(const std::string& text) { return {text.data(), text.size()}; }

  sdk::QuantRequest request_;
  sdk::Annotator annotator_;
  Dice dice_;
  std::vector<int64_t> block_;
  const std::vector<std::string> observers_{"",    "minmax",     "moving_average", "histogram",
                                            "mse", "percentile", "entropy"};
  quoin_qspec usual_;  // of most activations
};

}  // namespace

quoin_status annotate_at_random(const quoin_quant_request& request, const quoin_annotator& annotator, uint32_t seed) {
  RandomSpecs(request, annotator, seed).run();
  return QUOIN_OK;
}

}  // namespace quoin::property
