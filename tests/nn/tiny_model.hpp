// Small models with random weights as files, and what they compute by a straight-line reference.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "data/files.hpp"

namespace quoin::nn::test {

struct TinyModel {
  std::string architecture = "llama";
  int64_t hidden = 48, inner = 40, layers = 2, heads = 4, kv_heads = 2, head_dim = 12, vocabulary = 32;
  int64_t positions = 64;
  double eps = 1e-5, theta = 10000;
  bool qkv_bias = false, output_bias = false, mlp_bias = false, qk_norm = false, tied = false;
  std::vector<int64_t> windows{};     // per layer; empty: none
  std::string more{};                 // further members of config.json, each with a comma in front
  std::vector<double> frequencies{};  // empty: theta^(-2i / head_dim)
  double rope_scale = 1;
  data::TensorMap weights{};  // by Hugging Face's names; make() fills them

  void make(uint32_t seed = 1);
  std::string config() const;
  // Writes config.json and model.safetensors into the folder.
  void write(const std::string& folder) const;
  // With llama.cpp's names and row order; matrices as Q8_0 or Q4_0 blocks if a type is given.
  std::string gguf(std::optional<uint32_t> type = {}) const;
  // Logits [tokens, vocabulary], computed in double without any cache.
  std::vector<float> logits(const std::vector<int64_t>& tokens) const;
};

}  // namespace quoin::nn::test
