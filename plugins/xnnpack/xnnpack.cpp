// The xnnpack backend: quantizes float graphs as ExecuTorch's XNNPACKQuantizer does. It computes nothing itself.
#include "quantizer.hpp"

namespace quoin::xnnpack {
namespace {

constexpr quoin_str kPasses[] = {sdk::str("fold-batch-norm"), sdk::str("scalar-to-constant")};

class Xnnpack {
 public:
  static constexpr std::string_view vendor = "Quoin";
  static constexpr std::span<const quoin_str> passes = kPasses;
  static constexpr std::span<const quoin_preset> presets = kPresets;
  static const quoin_ext* extensions() { return rules().describe(); }

  Xnnpack(const quoin_host&, sdk::Params) {}
  void annotate(const sdk::QuantRequest& request, sdk::Annotator& annotator) { Quantizer(request, annotator).run(); }
};

}  // namespace
}  // namespace quoin::xnnpack

QUOIN_PLUGIN(quoin::xnnpack::Xnnpack, "xnnpack", "0.1.0")
