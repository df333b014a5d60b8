// acme: convolutions and linear layers on int8. The rules say what it takes, compile() turns a layer into a blob,
// Delegate loads and runs one; the arithmetic is in kernels.hpp.
#include "kernels.hpp"

#include <quoin/specs.hpp>

namespace {

namespace sdk = quoin::sdk;

constexpr sdk::PresetSpecs kPresets[] = {{"int8", sdk::kInt8Layer}};
constexpr sdk::Rule kRules[] = {{.name = "layer",
                                 .pattern = sdk::kLayerPattern,
                                 .presets = kPresets,
                                 .forms = sdk::kInteger,
                                 .constraint = sdk::kLayerConstraint,
                                 .check = sdk::check_layer}};

class AcmeBackend : public sdk::RuleBackend<AcmeBackend> {
 public:
  static constexpr std::string_view vendor = "Acme";
  static constexpr quoin_preset presets[] = {{sdk::str("int8"), sdk::str("int8 convolutions and linear layers"), {}}};
  static constexpr quoin_str passes[] = {sdk::str("fold-batch-norm")};  // before the rules are tried
  static constexpr uint32_t blob_format = 1;                            // + 1 whenever compile() writes something else
  static constexpr bool reentrant = true;                               // run() changes nothing in the delegate

  AcmeBackend(const quoin_host& h, sdk::Params) : host(h) {}
  static const sdk::RuleTable& rules() {
    static const sdk::RuleTable table("acme", kRules);
    return table;
  }
  void partition(const sdk::LowerRequest& request, sdk::Claims& claims) { sdk::claim_layers(rules(), request, claims); }
  void compile(const sdk::LowerRequest& request, sdk::Blob& blob) {
    sdk::write_layer(sdk::read_layer(request.graph), blob);
  }

  class Delegate {
   public:
    Delegate(AcmeBackend& backend, const sdk::Load& load) : host_(backend.host), layer_(sdk::load_layer(load.blob)) {}
    void run(const sdk::Run& run) const {
      const quoin_tensor x = run.inputs[0], y = run.outputs[0];
      if (x.size != static_cast<uint64_t>(layer_.input_size()) || y.size != static_cast<uint64_t>(layer_.output_size()))
        throw sdk::Failure(QUOIN_INVALID, "acme: the tensors do not have the sizes of the layer");
      const sdk::Event event(run.raw.profiler, "acme.layer", layer_.debug_id);
      const auto planes = static_cast<uint64_t>(layer_.batch * layer_.out_channels);
      sdk::parallel_for(host_, planes, 1, [&](uint64_t begin, uint64_t end, uint32_t) noexcept {
        for (; begin < end && !run.cancelled(); ++begin)
          kernels::convolve(layer_, static_cast<const int8_t*>(x.data), begin, static_cast<int8_t*>(y.data));
      });
      if (run.cancelled()) throw sdk::Failure(QUOIN_CANCELLED, "acme: cancelled");
    }

   private:
    const quoin_host& host_;
    const sdk::Layer layer_;
  };

  const quoin_host& host;
};

}  // namespace

QUOIN_PLUGIN(AcmeBackend, "acme", "0.1.0")
