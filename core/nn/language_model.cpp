#include "nn/language_model.hpp"

#include <array>

#include "ir/dynamic.hpp"
#include "ir/verify.hpp"
#include "nn/build.hpp"
#include "nn/emitter.hpp"

namespace quoin::nn {
namespace {

using ir::ValueId;

constexpr int64_t kMaxTokens = 1 << 20;  // of one exported graph

Failure bad_option(std::string what) { return fail(Code::input, "{}", what).at("language model"); }

ValueId add_frequencies(Emitter& emitter, const Config& config) {
  const auto count = static_cast<int64_t>(config.rope_frequencies.size());
  return emitter.graph.add_constant("model.rotary_emb.inv_freq",
                                    Tensor::of<float>(DType::f32, {count}, config.rope_frequencies));
}

// Shapes of the parts of a layer's cache, in the order of graph inputs.
struct CachePart {
  ValueId Cache::*slot;
  const char* suffix;
  TensorType type;
};
std::vector<CachePart> cache_parts(const Config& config, int64_t rows, bool int8) {
  const TensorType elements{int8 ? DType::s8 : DType::f32, {rows, config.kv_heads, config.head_dim}, nullptr};
  const TensorType affine{DType::f32, {rows, config.kv_heads, 2}, nullptr};
  if (!int8) return {{&Cache::keys, "k", elements}, {&Cache::values, "v", elements}};
  return {{&Cache::keys, "k", elements},
          {&Cache::key_affine, "k_affine", affine},
          {&Cache::values, "v", elements},
          {&Cache::value_affine, "v_affine", affine}};
}

std::string cache_name(size_t layer, const char* suffix) { return fmt::format("layers.{}.{}", layer, suffix); }

ValueId add_tokens(Emitter& emitter, const char* name, int64_t tokens, bool dynamic) {
  const ValueId value = emitter.graph.add_input(name, {DType::s64, {tokens}, nullptr});
  if (dynamic && tokens > 1) emitter.graph.value(value).dynamic = 1;
  return value;
}

Result<ir::Graph> finish(Emitter& emitter, std::string name) {
  emitter.graph.name = std::move(name);
  QUOIN_CHECK(ir::mark_dynamic(emitter.graph));
  QUOIN_CHECK(ir::verify(emitter.graph));
  return std::move(emitter.graph);
}

}  // namespace

std::string_view name(Method method) {
  constexpr std::array<std::string_view, 3> kNames = {"prefill", "decode", "score"};
  return kNames[static_cast<size_t>(method)];
}

struct LanguageModel::State {
  Config config;
  std::unique_ptr<CausalDecoder> root;

  Decoder& decoder() { return root->decoder(); }
  Result<ValueId> emit_layers(Emitter& emitter, ValueId x, const Sequence& sequence, std::vector<Cache>& caches) {
    for (size_t i = 0; i < caches.size(); ++i) {
      QUOIN_TRY(x, decoder().layers()[i]->emit(emitter, x, sequence, caches[i]));
    }
    return x;
  }
  Result<ValueId> emit_head(Emitter& emitter, ValueId x) {
    {
      const Emitter::Scope scope(emitter, decoder());
      QUOIN_TRY(x, decoder().norm().emit(emitter, x));
    }
    return root->head().emit(emitter, x);
  }
};

LanguageModel::LanguageModel(std::unique_ptr<State> state) : state_(std::move(state)) {}
LanguageModel::LanguageModel(LanguageModel&&) noexcept = default;
LanguageModel& LanguageModel::operator=(LanguageModel&&) noexcept = default;
LanguageModel::~LanguageModel() = default;

Result<LanguageModel> LanguageModel::open(const std::string& path, Diagnostics& diagnostics) {
  QUOIN_TRY(checkpoint::Checkpoint checkpoint, checkpoint::Checkpoint::open(path));
  auto state = std::make_unique<State>();
  QUOIN_TRY(state->config, read_config(checkpoint, diagnostics));
  QUOIN_TRY(state->root, build(std::move(checkpoint), state->config, diagnostics));
  return LanguageModel(std::move(state));
}

const Config& LanguageModel::config() const { return state_->config; }
Module& LanguageModel::root() { return *state_->root; }

Result<ir::Graph> LanguageModel::export_method(Method method, const ExportOptions& options) {
  const Config& config = state_->config;
  if (options.context < 1 || options.context > config.max_positions)
    return bad_option(fmt::format("context of {} positions, the model has 1..{} ({} of {})", options.context,
                                  config.max_positions, config.keys.at("max_position_embeddings"), config.file));
  if (options.chunk < 1 || options.chunk > options.context)
    return bad_option(fmt::format("chunk of {} tokens, expected 1..{} (the context)", options.chunk, options.context));

  Emitter emitter;
  const Emitter::Scope root(emitter, *state_->root);
  const int64_t tokens = method == Method::decode ? 1 : options.chunk;
  const ValueId ids = add_tokens(emitter, "tokens", tokens, true);
  const ValueId positions = add_tokens(emitter, "positions", tokens, true);
  std::vector<Cache> caches(static_cast<size_t>(config.layers));
  const auto parts = cache_parts(config, options.context, options.int8_cache);
  for (size_t i = 0; i < caches.size(); ++i)
    for (const CachePart& part : parts) {
      const std::string state = cache_name(i, part.suffix);
      caches[i].*part.slot = emitter.graph.add_input(state, part.type);
      const auto at = static_cast<uint32_t>(emitter.graph.inputs().size() - 1);
      emitter.graph.states.push_back({state, at, at - 1});  // one input more than outputs before the states
    }

  ValueId x = ir::kNone;
  {
    const Emitter::Scope scope(emitter, state_->decoder());
    QUOIN_TRY(x, state_->decoder().embedding().emit(emitter, ids));
    const Sequence sequence{positions, add_frequencies(emitter, config), config.rope_scale, options.context};
    QUOIN_TRY(x, state_->emit_layers(emitter, x, sequence, caches));
    if (method == Method::prefill && tokens > 1) {  // the last row
      QUOIN_TRY(x, emitter.add("aten.slice.Tensor", {x}, {{"start", int64_t{-1}}}));
    }
  }
  QUOIN_TRY(x, state_->emit_head(emitter, x));
  std::vector<ValueId> outputs{x};
  for (const Cache& cache : caches)
    for (const CachePart& part : parts) outputs.push_back(cache.*part.slot);
  emitter.graph.set_outputs(std::move(outputs));
  return finish(emitter, std::string(name(method)));
}

size_t LanguageModel::stages() const { return static_cast<size_t>(state_->config.layers) + 2; }

Result<ir::Graph> LanguageModel::export_stage(size_t stage, int64_t tokens) {
  const Config& config = state_->config;
  if (stage >= stages()) return bad_option(fmt::format("stage {}, the model has {}", stage, stages()));
  if (tokens < 1 || tokens > std::min(kMaxTokens, config.max_positions))
    return bad_option(fmt::format("stage of {} tokens, the model has 1..{} positions", tokens, config.max_positions));
  Emitter emitter;
  const Emitter::Scope root(emitter, *state_->root);
  ValueId x = ir::kNone;
  if (stage == 0) {
    const Emitter::Scope scope(emitter, state_->decoder());
    QUOIN_TRY(x, state_->decoder().embedding().emit(emitter, add_tokens(emitter, "tokens", tokens, false)));
    emitter.graph.set_outputs({x});
    return finish(emitter, "embedding");
  }
  x = emitter.graph.add_input("hidden", {DType::f32, {tokens, config.hidden_size}, nullptr});
  if (stage + 1 == stages()) {
    QUOIN_TRY(x, state_->emit_head(emitter, x));
    emitter.graph.set_outputs({x});
    return finish(emitter, "head");
  }
  const Emitter::Scope scope(emitter, state_->decoder());
  const ValueId positions = add_tokens(emitter, "positions", tokens, false);
  const Sequence sequence{positions, add_frequencies(emitter, config), config.rope_scale, tokens};
  Cache cache;
  for (const CachePart& part : cache_parts(config, tokens, false))
    cache.*part.slot =
        emitter.graph.add_constant(cache_name(stage - 1, part.suffix), Tensor(DType::f32, part.type.shape));
  QUOIN_TRY(x, state_->decoder().layers()[stage - 1]->emit(emitter, x, sequence, cache));
  emitter.graph.set_outputs({x});
  return finish(emitter, fmt::format("layer_{}", stage - 1));
}

}  // namespace quoin::nn
