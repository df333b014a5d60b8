// ONNX tensors: inline or in files beside the model.
#pragma once

#include <onnx/onnx_pb.h>

#include <filesystem>
#include <memory>
#include <string>
#include <unordered_map>

#include "base/file.hpp"
#include "ops/tensor.hpp"

namespace quoin::import::onnx_format {

// Errors (unsupported): strings, complex, unsigned 32 and 64 bit, 8-bit float and 4-bit types.
Result<DType> element_type(int32_t code);
// INT4 and UINT4, which only constants may have: read() gives them a byte per element (s8, u8).
bool is_four_bit(int32_t code);

// External data lies in the model's own folder or below it: absolute paths, ".." and symbolic links are refused, so a
// model cannot read other files. Files are mapped once. Not thread safe.
class TensorReader {
 public:
  explicit TensorReader(const std::string& model_path);
  // Releases the message's raw bytes (they are copied out of it). Errors: model (bytes and shape disagree, outside of
  // the file), unsupported, not_found, limit.
  Result<Tensor> read(onnx::TensorProto& proto);

 private:
  Result<Tensor> elements(onnx::TensorProto& proto, DType dtype, Shape shape);
  Result<Tensor> external(const onnx::TensorProto& proto, DType dtype, Shape shape);
  Result<std::shared_ptr<const MappedFile>> open(const std::string& location);

  std::filesystem::path folder_;
  std::unordered_map<std::string, std::shared_ptr<const MappedFile>> files_;
};

}  // namespace quoin::import::onnx_format
