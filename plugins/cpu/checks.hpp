// Constraints of the rules: "" when a match can be computed, else why not in one sentence. A typed match is checked for
// what its qparams must be, a float one only for what holds in either form.
#pragma once

#include <quoin/rules.hpp>
#include <string>

namespace quoin::cpu {

std::string check_values(const sdk::Match& match);  // static shapes, f32 or s8 per tensor: part of all others
std::string check_shared(const sdk::Match& match);
std::string check_move(const sdk::Match& match);
std::string check_conv2d(const sdk::Match& match);
std::string check_linear(const sdk::Match& match);
std::string check_linear_dynamic(const sdk::Match& match);
std::string check_binary(const sdk::Match& match);
std::string check_cat(const sdk::Match& match);
std::string check_max_pool(const sdk::Match& match);
std::string check_avg_pool(const sdk::Match& match);
std::string check_mean(const sdk::Match& match);
std::string check_pad(const sdk::Match& match);
std::string check_conversion(const sdk::Match& match);
std::string check_matmul(const sdk::Match& match);
std::string check_softmax(const sdk::Match& match);
std::string check_layer_norm(const sdk::Match& match);

// Of language models (checks_language.cpp).
std::string check_embedding(const sdk::Match& match);
std::string check_rms_norm(const sdk::Match& match);
std::string check_rope(const sdk::Match& match);
std::string check_kv_update(const sdk::Match& match);
std::string check_attention(const sdk::Match& match);

// -- parts of checks

// A tensor that flows between nodes: f32 or s8 per tensor, not too large, and of all dims at most the first dynamic.
std::string check_activation(const sdk::Value& value);
// Why a weight with scales per group cannot be multiplied with f32 activations of `columns` elements, or "".
std::string check_groups(const sdk::Value& weight);

}  // namespace quoin::cpu
