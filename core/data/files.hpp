// Tensor and image files.
#pragma once

#include <map>
#include <string>

#include "data/dataset.hpp"

namespace quoin::data {

using TensorMap = std::map<std::string, Tensor>;

// All with limits and full validation; errors: not_found, data (what is wrong and where in the file).
// Tensors borrow the mapped file. `metadata` gets the file's texts, if it has any.
Result<TensorMap> read_safetensors(const std::string& path, std::map<std::string, std::string>* metadata = nullptr);
// Little endian; Fortran order is rearranged to row-major.
Result<Tensor> read_npy(const std::string& path);
Result<TensorMap> read_npz(const std::string& path);  // stored or deflated; at most 65536 arrays, 8 GiB unpacked
// Errors: io, not_found (folder missing), input (an element type the format lacks).
Status write_safetensors(const std::string& path, const TensorMap& tensors,
                         const std::map<std::string, std::string>& metadata = {});
Status write_npy(const std::string& path, const Tensor& tensor);

// Decoded RGB pixels, [height, width, 3] u8. JPEG (also greyscale, CMYK refused; a damaged or truncated file is an
// error) and PNG (8/16 bit, palette, alpha dropped). At most 64 Mpixel. EXIF rotation is not applied.
Result<Tensor> read_image(const std::string& path);
// `image` [h, w, 3] u8 -> f32 input of `shape` (1 x 3 x H x W or 1 x H x W x 3; one channel: luma). Equals Pillow's
// crop and resize bit for bit. Errors: input (shape), recipe (an option out of its range).
Result<Tensor> preprocess(const Tensor& image, const Preprocess& options, const Shape& shape);

}  // namespace quoin::data
