#include "nn/weights.hpp"

#include <array>
#include <charconv>
#include <cstring>

#include "base/text.hpp"
#include "nn/architecture.hpp"

namespace quoin::nn {
namespace {

using checkpoint::Checkpoint;
using checkpoint::Format;
using checkpoint::Info;

// Hugging Face's name -> llama.cpp's, without ".weight" or ".bias".
struct GgufName {
  std::string_view name, gguf;
};
constexpr std::array kOuter = {
    GgufName{"model.embed_tokens", "token_embd"},
    GgufName{"model.norm", "output_norm"},
    GgufName{"lm_head", "output"},
};
constexpr std::array kInner = {
    GgufName{"input_layernorm", "attn_norm"},    GgufName{"self_attn.q_proj", "attn_q"},
    GgufName{"self_attn.k_proj", "attn_k"},      GgufName{"self_attn.v_proj", "attn_v"},
    GgufName{"self_attn.o_proj", "attn_output"}, GgufName{"self_attn.q_norm", "attn_q_norm"},
    GgufName{"self_attn.k_norm", "attn_k_norm"}, GgufName{"post_attention_layernorm", "ffn_norm"},
    GgufName{"mlp.gate_proj", "ffn_gate"},       GgufName{"mlp.up_proj", "ffn_up"},
    GgufName{"mlp.down_proj", "ffn_down"},
};
constexpr std::string_view kLayers = "model.layers.", kBlocks = "blk.", kHead = "lm_head.weight",
                           kGgufFrequencies = "rope_freqs.weight";

std::string gguf_name(std::string_view name) {
  const size_t dot = name.rfind('.');
  const std::string_view base = name.substr(0, dot), kind = name.substr(dot);
  for (const GgufName& row : kOuter)
    if (row.name == base) return std::string(row.gguf) + std::string(kind);
  const size_t end = base.find('.', kLayers.size());
  for (const GgufName& row : kInner)
    if (row.name == base.substr(end + 1))
      return fmt::format("{}{}.{}{}", kBlocks, base.substr(kLayers.size(), end - kLayers.size()), row.gguf, kind);
  return std::string(name);
}

// The layer that a tensor belongs to by its name, or -1.
int64_t layer_of(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return -1;
  int64_t layer = -1;
  std::from_chars(name.data() + prefix.size(), name.data() + name.size(), layer);
  return layer;
}

// Where row `row` of a head of `dim` rows lies among its paired rows.
int64_t paired_row(int64_t row, int64_t dim) { return row % (dim / 2) * 2 + row / (dim / 2); }

// Rows of `bytes`, of heads of `dim` rows each, from pairs back to halves.
void unpair(std::span<const std::byte> from, std::span<std::byte> to, int64_t rows, int64_t dim) {
  const size_t bytes = from.size() / static_cast<size_t>(rows);
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t source = row / dim * dim + paired_row(row % dim, dim);
    std::memcpy(to.data() + static_cast<size_t>(row) * bytes, from.data() + static_cast<size_t>(source) * bytes, bytes);
  }
}

Tensor unpaired(const Tensor& tensor, int64_t heads) {
  Tensor out(tensor.dtype(), tensor.shape());
  const int64_t rows = tensor.shape()[0];
  unpair({static_cast<const std::byte*>(tensor.data()), tensor.bytes()},
         {static_cast<std::byte*>(out.data()), out.bytes()}, rows, rows / heads);
  return out;
}

template <class T>
std::vector<T> unpaired(const std::vector<T>& values, int64_t rows, int64_t heads) {
  std::vector<T> out(values.size());
  if (!values.empty())
    unpair(std::as_bytes(std::span(values)), std::as_writable_bytes(std::span(out)), rows, rows / heads);
  return out;
}

Quantized unpaired(const Quantized& quantized, int64_t heads) {
  auto qparams = std::make_shared<QParams>(*quantized.qparams);
  const int64_t rows = quantized.codes.shape()[0];
  qparams->scale = unpaired(qparams->scale, rows, heads);
  qparams->zero_point = unpaired(qparams->zero_point, rows, heads);
  return {unpaired(quantized.codes, heads), std::move(qparams)};
}

Parameter::Load loader(Checkpoint checkpoint, std::string name, int64_t heads) {
  return [checkpoint = std::move(checkpoint), name = std::move(name), heads]() -> Result<Tensor> {
    QUOIN_TRY(Tensor tensor, checkpoint.load_f32(name));
    return heads > 0 ? unpaired(tensor, heads) : tensor;
  };
}

Parameter::LoadStored stored_loader(Checkpoint checkpoint, std::string name, int64_t heads) {
  return [checkpoint = std::move(checkpoint), name = std::move(name), heads]() -> Result<std::optional<Quantized>> {
    QUOIN_TRY(auto found, checkpoint.load_quantized(name));
    if (found && heads > 0) return unpaired(*found, heads);
    return found;
  };
}

}  // namespace

Weights::Weights(Checkpoint checkpoint, const Config& config) : checkpoint_(std::move(checkpoint)), config_(config) {
  const Architecture* architecture = find_architecture(config.architecture);
  paired_rows_ = checkpoint_.format() == Format::gguf && architecture != nullptr && architecture->gguf_pairs_rows;
}

std::string Weights::stored_name(const std::string& name) const {
  return checkpoint_.format() == Format::gguf ? gguf_name(name) : name;
}

Result<Parameter> Weights::take(const std::string& name, const std::vector<Dim>& dims, int64_t heads) {
  const std::string stored = stored_name(name);
  Shape expected;
  std::vector<std::string> says;
  for (const Dim& dim : dims) {
    expected.push_back(dim.size);
    says.push_back(dim.says);
  }
  const Info* info = checkpoint_.find(stored);
  if (info == nullptr)
    return fail(Code::model, "tensor {} is missing, {} asks for it", stored, config_.file)
        .at("{}", checkpoint_.path())
        .hint(name == kHead ? "a model whose head is its embedding says tie_word_embeddings" : "");
  if (info->shape != expected)
    return fail(Code::model, "tensor {} has shape {}, expected {}: {} says {}", stored, to_string(info->shape),
                to_string(expected), config_.file, join(says, ", "))
        .at("{}", info->file);
  taken_.insert(stored);
  const int64_t paired = paired_rows_ ? heads : 0;
  return Parameter(name, expected, loader(checkpoint_, stored, paired), stored_loader(checkpoint_, stored, paired));
}

Status Weights::judge_rest(const std::string& name, Diagnostics& diagnostics) const {
  if (name.ends_with(".rotary_emb.inv_freq") || name == kGgufFrequencies) return {};  // known from the configuration
  if (name == kHead && config_.tied) {
    diagnostics.info(checkpoint_.path(), fmt::format("tensor {} is not used: {} says {} true", name, config_.file,
                                                     config_.keys.at("tie_word_embeddings")));
    return {};
  }
  const auto bad = [&](std::string what) { return fail(Code::model, "{}", what).at("{}", checkpoint_.path()); };
  const int64_t layer = layer_of(name, checkpoint_.format() == Format::gguf ? kBlocks : kLayers);
  if (layer >= config_.layers)
    return bad(fmt::format("tensor {} belongs to layer {}, {} says {} {}", name, layer, config_.file,
                           config_.keys.at("num_hidden_layers"), config_.layers));
  if (name.ends_with(".bias"))
    return bad(fmt::format("tensor {} is not used: {} says {} has no biases there ({}, {})", name, config_.file,
                           config_.architecture, config_.keys.at("attention_bias"), config_.keys.at("mlp_bias")));
  return bad(fmt::format("tensor {} is not part of a model of architecture {}", name, config_.architecture));
}

Status Weights::finish(Diagnostics& diagnostics) const {
  for (const std::string& name : checkpoint_.names())
    if (!taken_.contains(name)) QUOIN_CHECK(judge_rest(name, diagnostics));
  return {};
}

}  // namespace quoin::nn
