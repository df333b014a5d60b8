// The two kinds of dataset, behind open_dataset().
#pragma once

#include "data/dataset.hpp"

namespace quoin::data {

// A JPEG or PNG file, by its extension.
bool is_image(const std::string& path);
// One sample per JPEG, PNG or .npy file of a folder, in the order of their names; or one image file.
Result<std::unique_ptr<Dataset>> open_folder(Source source, const std::vector<InputSpec>& inputs);
// All samples in one .npy, .npz or .safetensors file.
Result<std::unique_ptr<Dataset>> open_tensor_file(const Source& source, const std::vector<InputSpec>& inputs);

}  // namespace quoin::data
