// A decoder-only language model of the Llama family as a tree of modules, and the graphs that run it.
#pragma once

#include <memory>
#include <string>

#include "base/diagnostics.hpp"
#include "ir/graph.hpp"
#include "nn/config.hpp"
#include "nn/module.hpp"

namespace quoin::nn {

// Inputs of every method, in order: tokens s64 [T], positions s64 [T], one input per state. Outputs: logits f32, one
// output per state. T is dynamic (at most `chunk`) in prefill and score, 1 in decode.
enum class Method {
  prefill,  // logits [1, vocabulary] of the last token
  decode,   // logits [1, vocabulary]
  score     // logits [T, vocabulary]
};
std::string_view name(Method method);  // "prefill"

struct ExportOptions {
  int64_t context = 2048;   // rows of the key/value caches
  int64_t chunk = 128;      // most tokens of one run of prefill and score
  bool int8_cache = false;  // codes with a scale per position and head instead of f32
};

class LanguageModel {
 public:
  // `path` as Checkpoint::open takes it; config.json lies beside safetensors. Weights are checked by name and shape and
  // not read. Errors: those of Checkpoint::open and read_config; model (a tensor is missing, has another shape than the
  // configuration says, or belongs to nothing).
  static Result<LanguageModel> open(const std::string& path, Diagnostics& diagnostics);
  LanguageModel(LanguageModel&&) noexcept;
  LanguageModel& operator=(LanguageModel&&) noexcept;
  ~LanguageModel();

  const Config& config() const;
  Module& root();

  // States: "layers.N.k" and "layers.N.v", f32 [context, kv_heads, head_dim]; with int8_cache s8 of the same shape and
  // "layers.N.k_affine", "layers.N.v_affine", f32 [context, kv_heads, 2]. Constants have the parameters' names, and
  // equal names of all methods share their bytes. Errors: input (options out of range), those of loading weights.
  Result<ir::Graph> export_method(Method method, const ExportOptions& options);

  // The model in pieces for quantizers that calibrate layer by layer, `tokens` rows each. Stage 0: tokens -> hidden;
  // 1 .. layers: (hidden, positions) -> hidden, from an empty cache of its own (positions must be 0 .. tokens - 1);
  // last: hidden -> logits.
  size_t stages() const;
  Result<ir::Graph> export_stage(size_t stage, int64_t tokens);

 private:
  struct State;
  explicit LanguageModel(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace quoin::nn
