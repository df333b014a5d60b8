// Parameters, buffers and constants of a `.pt2` archive: data/weights and data/constants.
#pragma once

#include <map>
#include <unordered_map>

#include "import/archive.hpp"
#include "import/pt2_program.hpp"
#include "ops/tensor.hpp"

namespace quoin::import::pt2 {

// Tensors are read when first asked for; tensors that share storage share bytes. Not thread safe.
class Weights {
 public:
  // `root` is the archive's top folder with a slash, or "". `archive` must outlive the object.
  // Errors: model (tables missing or garbled), unsupported (pickled payloads are refused when the tensor is read).
  static Result<Weights> open(Archive& archive, const std::string& root, const std::string& file);
  // Dense copy if the strides are not row-major. Errors: model (unknown, or the payload's bytes do not hold the
  // tensor), unsupported, limit.
  Result<Tensor> read(const std::string& name);

 private:
  struct Entry {
    std::string member;  // in the archive
    bool pickled = false;
    TensorMeta meta;
  };
  Weights(Archive& archive, std::string file) : archive_(&archive), file_(std::move(file)) {}
  Status read_table(const std::string& folder, const std::string& table);
  Result<Blob> payload(const std::string& member);

  Archive* archive_;
  std::string file_;
  std::unordered_map<std::string, Entry> entries_;
  std::unordered_map<std::string, Blob> payloads_;
};

}  // namespace quoin::import::pt2
