// Constraints of the rules: why a match, float or typed, cannot be taken ("" when it can). Every reason names what was
// found and what the device takes.
#pragma once

#include <quoin/rules.hpp>

#include "options.hpp"

namespace quoin::npu {

std::string check_conv2d(const sdk::Match& m);
std::string check_linear(const sdk::Match& m);
std::string check_add(const sdk::Match& m);
std::string check_clamp(const sdk::Match& m);
std::string check_max_pool(const sdk::Match& m);
std::string check_average(const sdk::Match& m);  // pools and means
std::string check_view(const sdk::Match& m);
std::string check_cat(const sdk::Match& m);
std::string check_pad(const sdk::Match& m);
std::string check_rescale(const sdk::Match& m);
std::string check_border(const sdk::Match& m);  // always a reason

// Why a node that a rule takes does not fit the memories of this device, or "".
std::string check_memory(const sdk::Graph& graph, const sdk::Node& node, const Options& options);

}  // namespace quoin::npu
