// A model of an integer-only accelerator, as a backend of its own: what it takes (rules.cpp), how it is programmed
// (compile.cpp), what it computes (kernels.cpp).
#include "compile.hpp"
#include "execute.hpp"
#include "options.hpp"
#include "rules.hpp"

namespace quoin::npu {
namespace {

constexpr quoin_str kPasses[] = {sdk::str("fold-batch-norm"), sdk::str("scalar-to-constant")};

class NpuRef : public sdk::RuleBackend<NpuRef> {
 public:
  static constexpr std::string_view vendor = "Quoin";
  static constexpr uint32_t blob_format = kBlobFormat;
  static constexpr bool reentrant = true;
  static constexpr std::span<const quoin_str> passes = kPasses;
  static constexpr std::span<const quoin_preset> presets = kPresets;
  static constexpr std::span<const quoin_param_spec> options = kOptions;
  static const sdk::RuleTable& rules() { return npu::rules(); }

  NpuRef(const quoin_host& host, sdk::Params params) : host_(host), options_(Options().with(params)) {}
  void set_option(const quoin_param& param) { options_.set(param); }
  quoin_param get_option(std::string_view name) const { return options_.get(name); }
  // The rules know the device's limits; how much memory this one has is asked here.
  void partition(const sdk::LowerRequest& request, sdk::Claims& claims) {
    npu::partition(request.graph, options_.with(request.params), claims);
  }
  void compile(const sdk::LowerRequest& request, sdk::Blob& blob) {
    npu::compile(request.graph, options_.with(request.params), blob);
  }

  class Delegate : public Executor {
   public:
    Delegate(NpuRef& backend, const sdk::Load& load) : Executor(backend.host_, load) {}
  };

 private:
  const quoin_host& host_;
  Options options_;
};

}  // namespace
}  // namespace quoin::npu

QUOIN_PLUGIN(quoin::npu::NpuRef, "npu_ref", "0.1.0")
