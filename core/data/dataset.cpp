#include "data/dataset.hpp"

#include <filesystem>

#include "data/datasets.hpp"

namespace quoin::data {

Result<std::unique_ptr<Dataset>> open_dataset(const Source& source, const std::vector<InputSpec>& inputs) {
  if (inputs.empty()) return fail(Code::input, "the model has no inputs to feed").at("{}", source.path);
  std::error_code error;
  const auto status = std::filesystem::status(source.path, error);
  if (!std::filesystem::exists(status))
    return fail(Code::not_found, "no such file or folder")
        .at("{}", source.path)
        .hint("a folder of JPEG, PNG or .npy files, or one .npy, .npz, .safetensors or image file is needed");
  const bool images = std::filesystem::is_directory(status) || is_image(source.path);
  return images ? open_folder(source, inputs) : open_tensor_file(source, inputs);
}

}  // namespace quoin::data
