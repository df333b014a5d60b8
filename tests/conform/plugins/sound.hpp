// A small backend that keeps every rule of the contract, unless FAULT names the one it is to break: relu on int8, by a
// table of 256 answers. Whatever the conformance kit says of a fault, it says because of one changed line.
#pragma once

#include <quoin/rules.hpp>

#include <string_view>

#include "fault.hpp"
#include "process_faults.hpp"

namespace sound {

namespace sdk = quoin::sdk;

inline quoin_qspec int8(const sdk::Match&, const sdk::Params&) {
  quoin_qspec spec{};
  spec.struct_size = sizeof spec;
  spec.kind = QUOIN_OBSERVED;
  spec.dtype = QUOIN_S8;
  spec.scheme = is("illegal_axis") ? QUOIN_PER_CHANNEL : QUOIN_PER_TENSOR;
  spec.axis = is("illegal_axis") ? 77 : -1;
  spec.qmin = is("illegal_range") ? 5 : -128;
  spec.qmax = is("illegal_range") ? -5 : 127;
  return spec;
}

inline std::string check_relu(const sdk::Match& match) {
  const sdk::Value x = match.input(0), y = match.output();
  if (!x.is_static()) return "the shape is not static";
  if (x.dtype() != QUOIN_F32 && x.dtype() != QUOIN_S8) return "the operand is neither f32 nor s8";
  const auto qx = x.qparams(), qy = y.qparams();
  if (qx.has_value() != qy.has_value()) return "only one of operand and result is quantized";
  if (!qx) return {};
  const bool plain = qx->dtype == QUOIN_S8 && qx->scheme == QUOIN_PER_TENSOR && qy->scheme == QUOIN_PER_TENSOR;
  if (!plain || qx->scale[0] != qy->scale[0] || qx->zero_point() != qy->zero_point())
    return "operand and result do not share one int8 scale per tensor";
  return {};
}

constexpr sdk::Placement kInt8[] = {sdk::observe(sdk::operand(0), int8), sdk::share(sdk::result(), sdk::operand(0))};
constexpr sdk::PresetSpecs kPresets[] = {{"int8", kInt8}};
constexpr sdk::Rule kRules[] = {{.name = "relu",
                                 .pattern = "relu",
                                 .presets = kPresets,
                                 .forms = sdk::kInteger,
                                 .constraint = "operand and result share one scale, shapes are static",
                                 .check = check_relu}};

inline const int64_t kGrain = is("default_out_of_range") ? 0 : 4096;
inline constexpr uint32_t kMagic = 0x52454c55;

struct Header {  // all there is in a blob
  uint32_t magic;
  int32_t zero_point;
  int64_t count;
};

class Sound : public sdk::RuleBackend<Sound> {
 public:
  static constexpr quoin_preset presets[] = {{sdk::str("int8"), sdk::str("relu on 8 bits"), {}}};
  static constexpr uint32_t blob_format = 1;
  static constexpr bool reentrant = true;
  static inline const quoin_param_spec options[] = {
      sdk::param_spec("grain", QUOIN_SCOPE_BACKEND, kGrain, "elements that one piece of work has", 1, 65536)};

  Sound(const quoin_host& h, sdk::Params params);
  ~Sound();
  static const sdk::RuleTable& rules();

  void annotate(const sdk::QuantRequest& request, sdk::Annotator& annotator);
  void partition(const sdk::LowerRequest& request, sdk::Claims& claims);
  void compile(const sdk::LowerRequest& request, sdk::Blob& blob);
  void set_option(const quoin_param& option);
  quoin_param get_option(std::string_view name);
  static std::span<const quoin_kernel> kernels();

  class Delegate {
   public:
    Delegate(Sound& sound, const sdk::Load& load);
    ~Delegate();
    void plan(sdk::Array<quoin_tensor> inputs, sdk::Array<quoin_tensor> outputs, quoin_memory_need& need);
    void run(const sdk::Run& run);

   private:
    void check(const sdk::Array<quoin_tensor>& inputs, const sdk::Array<quoin_tensor>& outputs) const;
    void answer(const sdk::Run& run, uint64_t begin, uint64_t end) const;
    Sound& sound_;
    Header header_{};
    int8_t* table_ = nullptr;  // from the host; index q + 128
  };

  const quoin_host& host;

 private:
  int64_t grain_;
  uint32_t annotated_ = 0;             // of fault "not_idempotent"
  const quoin_graph* kept_ = nullptr;  // of fault "keeps_graph"
  ProcessFaults process_;
};

}  // namespace sound
