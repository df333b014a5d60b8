// Named values that come with weights: metadata of a checkpoint, and what config.json says.
#pragma once

#include <map>
#include <string>
#include <variant>
#include <vector>

#include "base/result.hpp"

namespace quoin::checkpoint {

// monostate: present, but null.
using Setting = std::variant<std::monostate, bool, int64_t, double, std::string, std::vector<int64_t>,
                             std::vector<double>, std::vector<std::string>>;
using Settings = std::map<std::string, Setting, std::less<>>;

// The values of a JSON file; those inside of objects are named with dots: "rope_scaling.factor". Lists hold numbers or
// texts; other lists are left out. Errors: not_found, io, model (syntax, a key twice, nested deeper than 100).
Result<Settings> read_json_settings(const std::string& path);

}  // namespace quoin::checkpoint
