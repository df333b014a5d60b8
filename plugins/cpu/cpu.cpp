// The cpu backend: x86-64 from the scalar tier up to AMX, chosen when a program is loaded.
#include <quoin/rules.hpp>

#include "builder.hpp"
#include "executor.hpp"
#include "kernels/operators.hpp"
#include "rules.hpp"

namespace quoin::cpu {
namespace {

constexpr quoin_str kPasses[] = {sdk::str("fold-batch-norm"), sdk::str("scalar-to-constant")};

class Cpu : public sdk::RuleBackend<Cpu> {
 public:
  static constexpr std::string_view vendor = "Quoin";
  static constexpr uint32_t blob_format = kBlobFormat;
  static constexpr bool reentrant = true;
  static constexpr std::span<const quoin_str> passes = kPasses;
  static constexpr std::span<const quoin_preset> presets = kPresets;
  static const sdk::RuleTable& rules() { return cpu::rules(); }
  static std::span<const quoin_kernel> kernels() { return operator_kernels(); }

  Cpu(const quoin_host& host, sdk::Params) : host_(host) {}
  void compile(const sdk::LowerRequest& request, sdk::Blob& blob) { cpu::compile(request.graph, host_, blob); }

  class Delegate : public Executor {
   public:
    Delegate(Cpu& backend, const sdk::Load& load) : Executor(backend.host_, load) {}
  };

 private:
  const quoin_host& host_;
};

}  // namespace
}  // namespace quoin::cpu

QUOIN_PLUGIN(quoin::cpu::Cpu, "cpu", "0.1.0")
