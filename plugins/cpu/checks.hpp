// Constraints of the rules: "" when a match can be computed, else why not in one sentence. A typed match is checked for
// what its qparams must be, a float one only for what holds in either form.
#pragma once

#include <quoin/rules.hpp>
#include <string>

namespace quoin::cpu {

std::string check_values(const sdk::Match& match);  // static shapes, f32 or s8 per tensor: part of all others
std::string check_shared(const sdk::Match& match);
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

}  // namespace quoin::cpu
