// A whole backend that a vendor could write: int8 linear layers, one blob per layer. Needs only the installed SDK.
#include <quoin/numerics.hpp>
#include <quoin/rules.hpp>

namespace {

namespace sdk = quoin::sdk;
namespace numerics = quoin::numerics;

quoin_qspec int8(uint32_t scheme, uint32_t flags) {
  quoin_qspec spec{};
  spec.kind = QUOIN_OBSERVED;
  spec.dtype = QUOIN_S8;
  spec.scheme = scheme;
  spec.axis = scheme == QUOIN_PER_CHANNEL ? 0 : -1;
  spec.flags = flags;
  spec.qmin = -128;
  spec.qmax = 127;
  return spec;
}
quoin_qspec activation(const sdk::Match&, const sdk::Params&) { return int8(QUOIN_PER_TENSOR, 0); }
quoin_qspec weight(const sdk::Match&, const sdk::Params&) { return int8(QUOIN_PER_CHANNEL, QUOIN_SYMMETRIC); }

// Before quantization the weight and bias are float constants, afterwards int8 and int32 ones.
std::string check_linear(const sdk::Match& m) {
  if (!m.input(1).is_constant()) return "the weight is not a constant";
  if (m.root().has_input(2) && !m.input(2).is_constant()) return "the bias is not a constant";
  if (!m.input(0).is_static()) return "the shape is not static";
  return {};
}

constexpr sdk::Placement kInt8[] = {sdk::observe(sdk::operand(0), activation), sdk::observe(sdk::operand(1), weight),
                                    sdk::observe(sdk::result(), activation)};
constexpr sdk::PresetSpecs kPresets[] = {{"int8", kInt8}};
constexpr sdk::Rule kRules[] = {{.name = "linear",
                                 .pattern = "linear",
                                 .presets = kPresets,
                                 .forms = sdk::kInteger,
                                 .constraint = "weight and bias are constants, shapes are static",
                                 .check = check_linear}};

struct Header {  // of a blob; then multipliers (float), biases (int32), weights (int8), row by row
  int64_t in, out;
  int32_t zero_x, zero_y, qmin, qmax;
};

class Acme : public sdk::RuleBackend<Acme> {
 public:
  static constexpr std::string_view vendor = "Acme Corporation";
  static constexpr quoin_preset presets[] = {{sdk::str("int8"), sdk::str("int8 linear layers"), {}}};
  static constexpr uint32_t blob_format = 1;
  static constexpr bool reentrant = true;

  Acme(const quoin_host& h, sdk::Params) : host(h) {}
  static const sdk::RuleTable& rules() {
    static const sdk::RuleTable table("acme", kRules);
    return table;
  }

  // One claim per layer, so that a blob is one matrix.
  void partition(const sdk::LowerRequest& request, sdk::Claims& claims) {
    for (uint32_t i = 0; i < request.graph.num_nodes(); ++i) {
      const std::string reason = rules().why_not(request.graph, request.graph.node(i));
      if (reason.empty())
        claims.claim(std::span(&i, 1), "acme.linear");
      else
        claims.decline(i, reason);
    }
  }

  void compile(const sdk::LowerRequest& request, sdk::Blob& blob) {
    const sdk::Node node = request.graph.node(0);
    const sdk::Value x = request.graph.input(node, 0), w = request.graph.input(node, 1);
    const auto qx = x.qparams(), qw = w.qparams(), qy = request.graph.output(node).qparams();
    if (!qx || !qw || !qy) throw sdk::Failure(QUOIN_INVALID, "an operand is not quantized");
    const Header header{w.dims()[1], w.dims()[0], qx->zero_point(), qy->zero_point(), qy->qmin, qy->qmax};
    blob.put(header);
    for (size_t o = 0; o < static_cast<size_t>(header.out); ++o) {
      const float scale = qw->scale[qw->scale.size() == 1 ? 0 : o];
      blob.put(numerics::requantize_multiplier(qx->scale[0], scale, qy->scale[0]));
    }
    const std::vector<int32_t> none(static_cast<size_t>(header.out));
    blob.array(node.has_input(2) ? request.graph.input(node, 2).constant<int32_t>() : std::span<const int32_t>(none));
    blob.array(w.constant<int8_t>());
  }

  class Delegate {
   public:
    Delegate(Acme& acme, const sdk::Load& load) : host_(acme.host) {
      sdk::Reader reader(load.blob);
      h_ = reader.get<Header>();
      if (h_.in <= 0 || h_.out <= 0 || h_.in > 1 << 24 || h_.out > 1 << 24)
        throw sdk::Failure(QUOIN_CORRUPT, "a matrix of impossible size");
      multipliers_ = reader.array<float>(static_cast<uint64_t>(h_.out));
      biases_ = reader.array<int32_t>(static_cast<uint64_t>(h_.out));
      weights_ = reader.array<int8_t>(static_cast<uint64_t>(h_.in * h_.out));
    }
    void run(const sdk::Run& run) const {
      const quoin_tensor x = run.inputs[0], y = run.outputs[0];
      const auto* in = static_cast<const int8_t*>(x.data);
      auto* out = static_cast<int8_t*>(y.data);
      sdk::parallel_for(host_, x.size / static_cast<uint64_t>(h_.in), 1,
                        [&](uint64_t row, uint64_t end, uint32_t) noexcept {
                          for (; row < end; ++row)
                            for (uint64_t o = 0; o < multipliers_.size(); ++o)
                              out[row * multipliers_.size() + o] = result(in + row * static_cast<uint64_t>(h_.in), o);
                        });
    }

   private:
    int8_t result(const int8_t* x, uint64_t o) const {
      const auto n = static_cast<uint64_t>(h_.in);
      int32_t sum = biases_[o];
      for (uint64_t i = 0; i < n; ++i) sum += (x[i] - h_.zero_x) * weights_[o * n + i];
      return static_cast<int8_t>(numerics::requantize(sum, multipliers_[o], h_.zero_y, h_.qmin, h_.qmax));
    }
    const quoin_host& host_;
    Header h_{};
    std::span<const float> multipliers_;
    std::span<const int32_t> biases_;
    std::span<const int8_t> weights_;
  };

  const quoin_host& host;
};

}  // namespace

QUOIN_PLUGIN(Acme, "acme", "1.0.0")
