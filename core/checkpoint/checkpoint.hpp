// Weights of a trained model in files: safetensors (one file, or shards under an index) and GGUF.
//
// Files are mapped: opening reads headers only, and a tensor is read when it is asked for. Whatever a file claims is
// checked against its size first. Const use is thread safe.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/settings.hpp"
#include "ops/tensor.hpp"

namespace quoin::checkpoint {

enum class Format { safetensors, gguf };

// What a checkpoint says about a tensor without reading it.
struct Info {
  std::string type;  // as the format spells it: "F32", "BF16", "Q4_K"
  Shape shape;       // outermost dim first
  std::string file;
};

// Integers that stand for real numbers; sub-byte elements are packed, element 0 in the low bits, rows start on a byte.
struct Quantized {
  Tensor codes;
  std::shared_ptr<const QParams> qparams;
};

class Checkpoint {
 public:
  // `path`: a .safetensors or .gguf file, or a folder with model.safetensors, with model.safetensors.index.json and the
  // shards it names, or with a single .gguf file.
  // Errors: not_found (file, shard), io, limit, model (what is wrong, in which file and at which tensor: truncated or
  // overlapping data, duplicate names, an index that disagrees), unsupported (version, element type).
  static Result<Checkpoint> open(const std::string& path);

  Format format() const;
  const std::string& path() const;                // as given to open()
  std::string folder() const;                     // where config.json and the tokenizer lie
  std::vector<std::string> names() const;         // of all tensors, sorted
  const Info* find(std::string_view name) const;  // nullptr if there is none
  const Settings& metadata() const;               // GGUF: every key; safetensors: the texts of "__metadata__"

  // The tensor as f32: F32, F16 and BF16 exactly, GGUF blocks as their format defines. An aligned F32 tensor borrows
  // the mapped file. Errors: not_found, unsupported (not a number type), model (a NaN or Inf, with its index).
  Result<Tensor> load_f32(std::string_view name) const;
  // What the file holds exactly: Q4_0 as s4 and Q8_0 as s8, per_group of 32 elements, zero point 0. Nothing for other
  // element types. Errors: not_found, model (a NaN or Inf scale).
  Result<std::optional<Quantized>> load_quantized(std::string_view name) const;

 private:
  struct State;
  explicit Checkpoint(std::shared_ptr<const State> state);
  std::shared_ptr<const State> state_;
};

}  // namespace quoin::checkpoint
