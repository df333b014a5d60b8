// Labels beside a folder of samples.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "ops/tensor.hpp"

namespace quoin::data {

// CSV with lines `file,label`; a first line `file,label` is a heading. Errors: not_found, data (file:line, what is
// wrong).
Result<std::map<std::string, int64_t>> read_labels_csv(const std::string& path);

// Integer elements of a label tensor as int64. Errors (data): not an integer tensor, or not `samples` elements.
Result<std::vector<int64_t>> label_values(const Tensor& tensor, size_t samples, const std::string& where);

}  // namespace quoin::data
