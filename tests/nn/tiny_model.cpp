#include "tiny_model.hpp"

#include <algorithm>
#include <cmath>
#include <random>

#include "../checkpoint/support.hpp"
#include "base/file.hpp"
#include "ops/half.hpp"

namespace quoin::nn::test {
namespace {

using checkpoint::test::Gguf;
using checkpoint::test::raw;
using Rows = std::vector<std::vector<double>>;

std::string layer_name(int64_t layer) { return "model.layers." + std::to_string(layer) + "."; }

// llama.cpp's name of a tensor.
std::string gguf_name(const std::string& name) {
  static const std::vector<std::pair<std::string, std::string>> parts = {
      {"model.layers.", "blk."},           {"model.embed_tokens", "token_embd"},
      {"model.norm", "output_norm"},       {"lm_head", "output"},
      {"input_layernorm", "attn_norm"},    {"self_attn.q_proj", "attn_q"},
      {"self_attn.k_proj", "attn_k"},      {"self_attn.v_proj", "attn_v"},
      {"self_attn.o_proj", "attn_output"}, {"self_attn.q_norm", "attn_q_norm"},
      {"self_attn.k_norm", "attn_k_norm"}, {"post_attention_layernorm", "ffn_norm"},
      {"mlp.gate_proj", "ffn_gate"},       {"mlp.up_proj", "ffn_up"},
      {"mlp.down_proj", "ffn_down"}};
  std::string out = name;
  for (const auto& [from, to] : parts)
    if (const size_t at = out.find(from); at != std::string::npos) out.replace(at, from.size(), to);
  return out;
}

// Row (half, i) of every head goes to (i, half), as llama.cpp stores rows that it rotates.
std::vector<float> paired(const Tensor& tensor, int64_t heads) {
  const auto from = tensor.as<float>();
  const size_t rows = static_cast<size_t>(tensor.shape()[0]), width = from.size() / rows,
               dim = rows / static_cast<size_t>(heads);
  std::vector<float> out(from.size());
  for (size_t row = 0; row < rows; ++row) {
    const size_t in_head = row % dim, half = in_head / (dim / 2), i = in_head % (dim / 2);
    const size_t to = row - in_head + 2 * i + half;
    std::copy_n(from.begin() + static_cast<ptrdiff_t>(row * width), width,
                out.begin() + static_cast<ptrdiff_t>(to * width));
  }
  return out;
}

// Blocks of 32 elements: a half as scale, then codes.
std::string blocks(const std::vector<float>& values, bool four) {
  std::string out;
  for (size_t at = 0; at < values.size(); at += 32) {
    float most = 0;
    for (size_t i = 0; i < 32; ++i) most = std::max(most, std::fabs(values[at + i]));
    const uint16_t bits = float_to_half(most / (four ? 7.0f : 127.0f));
    const float scale = half_to_float(bits);
    const auto code = [&](size_t i) { return static_cast<int>(std::nearbyint(values[at + i] / scale)); };
    out += raw(bits);
    if (four)
      for (size_t i = 0; i < 16; ++i) out += static_cast<char>((code(i) + 8) | (code(i + 16) + 8) << 4);
    else
      for (size_t i = 0; i < 32; ++i) out += static_cast<char>(code(i));
  }
  return out;
}

// The reference: every token attends to the keys and values of those before it, all kept in double.
class Forward {
 public:
  explicit Forward(const TinyModel& model) : m_(model) {}

  std::vector<float> run(const std::vector<int64_t>& tokens) {
    Rows x;
    for (const int64_t token : tokens) x.push_back(row("model.embed_tokens.weight", token));
    for (int64_t layer = 0; layer < m_.layers; ++layer) {
      const std::string name = layer_name(layer);
      add(x, attention(normed(x, name + "input_layernorm.weight"), layer));
      add(x, mlp(normed(x, name + "post_attention_layernorm.weight"), name + "mlp."));
    }
    const std::string head = m_.tied ? "model.embed_tokens" : "lm_head";
    std::vector<float> out;
    for (const auto& logits : linear(normed(x, "model.norm.weight"), head))
      out.insert(out.end(), logits.begin(), logits.end());
    return out;
  }

 private:
  std::vector<double> row(const std::string& name, int64_t index) const {
    const Tensor& tensor = m_.weights.at(name);
    const auto width = static_cast<size_t>(tensor.shape().back());
    const auto values = tensor.as<float>().subspan(static_cast<size_t>(index) * width, width);
    return {values.begin(), values.end()};
  }
  static void add(Rows& x, const Rows& y) {
    for (size_t t = 0; t < x.size(); ++t)
      for (size_t i = 0; i < x[t].size(); ++i) x[t][i] += y[t][i];
  }
  Rows linear(const Rows& x, const std::string& name) const {
    const Tensor& weight = m_.weights.at(name + ".weight");
    const bool biased = m_.weights.contains(name + ".bias");
    Rows out(x.size());
    for (size_t t = 0; t < x.size(); ++t)
      for (int64_t o = 0; o < weight.shape()[0]; ++o) {
        const std::vector<double> w = row(name + ".weight", o);
        double sum =
            biased ? static_cast<double>(m_.weights.at(name + ".bias").as<float>()[static_cast<size_t>(o)]) : 0;
        for (size_t i = 0; i < w.size(); ++i) sum += x[t][i] * w[i];
        out[t].push_back(sum);
      }
    return out;
  }
  void norm(std::vector<double>& x, size_t first, size_t count, const std::string& name) const {
    double squares = 0;
    for (size_t i = 0; i < count; ++i) squares += x[first + i] * x[first + i];
    const double factor = 1 / std::sqrt(squares / static_cast<double>(count) + m_.eps);
    for (size_t i = 0; i < count; ++i) x[first + i] *= factor * static_cast<double>(m_.weights.at(name).as<float>()[i]);
  }
  Rows normed(Rows x, const std::string& name) const {
    for (auto& token : x) norm(token, 0, token.size(), name);
    return x;
  }
  Rows mlp(const Rows& x, const std::string& name) const {
    Rows gate = linear(x, name + "gate_proj");
    const Rows up = linear(x, name + "up_proj");
    for (size_t t = 0; t < gate.size(); ++t)
      for (size_t i = 0; i < gate[t].size(); ++i) gate[t][i] *= up[t][i] / (1 + std::exp(-gate[t][i]));
    return linear(gate, name + "down_proj");
  }
  // Normalises and turns the heads of every token.
  void turn(Rows& x, const std::string& norm_name) const {
    const auto dim = static_cast<size_t>(m_.head_dim), half = dim / 2;
    for (size_t t = 0; t < x.size(); ++t)
      for (size_t first = 0; first < x[t].size(); first += dim) {
        if (m_.qk_norm) norm(x[t], first, dim, norm_name);
        for (size_t i = 0; i < half; ++i) {
          const double frequency = m_.frequencies.empty()
                                       ? std::pow(m_.theta, -2.0 * static_cast<double>(i) / static_cast<double>(dim))
                                       : m_.frequencies[i];
          const double angle = static_cast<double>(t) * frequency, cos = std::cos(angle) * m_.rope_scale,
                       sin = std::sin(angle) * m_.rope_scale;
          double &a = x[t][first + i], &b = x[t][first + half + i];
          std::tie(a, b) = std::pair(a * cos - b * sin, b * cos + a * sin);
        }
      }
  }
  Rows attention(const Rows& x, int64_t layer) const {
    const std::string name = layer_name(layer) + "self_attn.";
    Rows q = linear(x, name + "q_proj"), k = linear(x, name + "k_proj");
    const Rows v = linear(x, name + "v_proj");
    turn(q, name + "q_norm.weight");
    turn(k, name + "k_norm.weight");
    const int64_t window = m_.windows.empty() ? 0 : m_.windows[static_cast<size_t>(layer)];
    Rows mixed(x.size(), std::vector<double>(static_cast<size_t>(m_.heads * m_.head_dim)));
    for (size_t t = 0; t < x.size(); ++t)
      for (int64_t head = 0; head < m_.heads; ++head) mix(q, k, v, {t, head, window}, mixed[t]);
    return linear(mixed, name + "o_proj");
  }
  struct At {
    size_t token;
    int64_t head, window;
  };
  void mix(const Rows& q, const Rows& k, const Rows& v, At at, std::vector<double>& out) const {
    const auto dim = static_cast<size_t>(m_.head_dim);
    const size_t from = static_cast<size_t>(at.head) * dim,
                 group = static_cast<size_t>(at.head / (m_.heads / m_.kv_heads)) * dim;
    const size_t window = static_cast<size_t>(at.window);
    const size_t first = window != 0 && at.token + 1 > window ? at.token + 1 - window : 0;
    std::vector<double> weights;
    double total = 0;
    for (size_t s = first; s <= at.token; ++s) {
      double score = 0;
      for (size_t i = 0; i < dim; ++i) score += q[at.token][from + i] * k[s][group + i];
      weights.push_back(std::exp(score / std::sqrt(static_cast<double>(dim))));
      total += weights.back();
    }
    for (size_t s = first; s <= at.token; ++s)
      for (size_t i = 0; i < dim; ++i) out[from + i] += weights[s - first] / total * v[s][group + i];
  }

  const TinyModel& m_;
};

}  // namespace

void TinyModel::make(uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  const auto fill = [&](const std::string& name, Shape shape, float mean, float deviation) {
    Tensor tensor(DType::f32, std::move(shape));
    for (float& value : tensor.as<float>()) value = mean + deviation * normal(random);
    weights.insert_or_assign(name, std::move(tensor));
  };
  const auto linear = [&](const std::string& name, int64_t out, int64_t in, bool bias) {
    fill(name + ".weight", {out, in}, 0, 0.2f);
    if (bias) fill(name + ".bias", {out}, 0, 0.3f);
  };
  const auto norm = [&](const std::string& name, int64_t features) { fill(name + ".weight", {features}, 1, 0.2f); };
  fill("model.embed_tokens.weight", {vocabulary, hidden}, 0, 0.5f);
  for (int64_t i = 0; i < layers; ++i) {
    const std::string name = layer_name(i), self = name + "self_attn.";
    norm(name + "input_layernorm", hidden);
    norm(name + "post_attention_layernorm", hidden);
    linear(self + "q_proj", heads * head_dim, hidden, qkv_bias);
    linear(self + "k_proj", kv_heads * head_dim, hidden, qkv_bias);
    linear(self + "v_proj", kv_heads * head_dim, hidden, qkv_bias);
    linear(self + "o_proj", hidden, heads * head_dim, output_bias);
    linear(name + "mlp.gate_proj", inner, hidden, mlp_bias);
    linear(name + "mlp.up_proj", inner, hidden, mlp_bias);
    linear(name + "mlp.down_proj", hidden, inner, mlp_bias);
    if (qk_norm) norm(self + "q_norm", head_dim);
    if (qk_norm) norm(self + "k_norm", head_dim);
  }
  norm("model.norm", hidden);
  if (!tied) fill("lm_head.weight", {vocabulary, hidden}, 0, 0.2f);
}

std::string TinyModel::config() const {
  return fmt::format(
      R"({{"model_type":"{}","hidden_size":{},"intermediate_size":{},"num_hidden_layers":{},"num_attention_heads":{},)"
      R"("num_key_value_heads":{},"head_dim":{},"vocab_size":{},"max_position_embeddings":{},"rms_norm_eps":{},)"
      R"("rope_theta":{},"tie_word_embeddings":{},"hidden_act":"silu","torch_dtype":"float32"{}}})",
      architecture, hidden, inner, layers, heads, kv_heads, head_dim, vocabulary, positions, eps, theta, tied, more);
}

void TinyModel::write(const std::string& folder) const {
  const std::string text = config();
  ASSERT_TRUE(quoin::write_file(folder + "/config.json", quoin::as_bytes(text)));
  ASSERT_TRUE(data::write_safetensors(folder + "/model.safetensors", weights));
}

std::string TinyModel::gguf(std::optional<uint32_t> type) const {
  Gguf file;
  const auto integer = [&](const std::string& key, int64_t value) {
    file.key<uint32_t>(architecture + "." + key, Gguf::u32, static_cast<uint32_t>(value));
  };
  file.key("general.architecture", architecture).key("general.name", "tiny");
  integer("embedding_length", hidden);
  integer("feed_forward_length", inner);
  integer("block_count", layers);
  integer("attention.head_count", heads);
  integer("attention.head_count_kv", kv_heads);
  integer("attention.key_length", head_dim);
  integer("attention.value_length", head_dim);
  integer("rope.dimension_count", head_dim);
  integer("context_length", positions);
  file.key<float>(architecture + ".attention.layer_norm_rms_epsilon", Gguf::f32, static_cast<float>(eps));
  file.key<float>(architecture + ".rope.freq_base", Gguf::f32, static_cast<float>(theta));
  for (const auto& [name, tensor] : weights) {
    const auto flat = tensor.as<float>();
    std::vector<float> values(flat.begin(), flat.end());
    if (architecture == "llama" && name.find("q_proj") != std::string::npos) values = paired(tensor, heads);
    if (architecture == "llama" && name.find("k_proj") != std::string::npos) values = paired(tensor, kv_heads);
    const bool coded = type && tensor.shape().size() == 2;
    file.tensor(gguf_name(name), {tensor.shape().begin(), tensor.shape().end()}, coded ? *type : Gguf::F32,
                coded ? blocks(values, *type == Gguf::Q4_0) : raw(values));
  }
  return file.bytes();
}

std::vector<float> TinyModel::logits(const std::vector<int64_t>& tokens) const { return Forward(*this).run(tokens); }

}  // namespace quoin::nn::test
