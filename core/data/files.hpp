// Tensor and image files.
#pragma once

#include <map>
#include <string>

#include "data/dataset.hpp"

namespace quoin::data {

using TensorMap = std::map<std::string, Tensor>;

// All with limits and full validation; errors: not_found, data (what is wrong and where in the file).
Result<TensorMap> read_safetensors(const std::string& path);  // tensors borrow the mapped file
Result<Tensor> read_npy(const std::string& path);
Result<TensorMap> read_npz(const std::string& path);
Status write_safetensors(const std::string& path, const TensorMap& tensors);
Status write_npy(const std::string& path, const Tensor& tensor);

// Decoded RGB pixels, [height, width, 3] u8. JPEG (also greyscale, CMYK refused) and PNG (8/16 bit, palette, alpha dropped).
Result<Tensor> read_image(const std::string& path);
// `image` [h, w, 3] u8 -> f32 input of `shape` (1 x 3 x H x W or 1 x H x W x 3; one channel: luma).
Result<Tensor> preprocess(const Tensor& image, const Preprocess& options, const Shape& shape);

}  // namespace quoin::data
