// Samples for calibration and evaluation, read one at a time (memory does not grow with their number).
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/diagnostics.hpp"
#include "ops/tensor.hpp"

namespace quoin::data {

// How an image becomes an input tensor. Crop first, then resize, then (pixel - mean) / std per RGB channel, pixels
// 0-255.
struct Preprocess {
  std::string layout = "nchw";      // or "nhwc"
  std::array<int64_t, 2> resize{};  // height, width of the result; 0: from the model's input
  double crop = 1.0;                // centre square of side int(crop * min(width, height)); 0: no crop
  std::string filter = "bicubic";   // antialiased bicubic (a = -0.5, as Pillow), "bilinear"
  std::vector<double> mean{0, 0, 0}, std{1, 1, 1};
};

struct InputSpec {
  std::string name;
  DType dtype = DType::f32;
  Shape shape;
  uint32_t dynamic = 0;  // bit i: dim i of tensors in files may be smaller, at least 1
};

struct Sample {
  std::string name;            // file or "file[17]", for messages
  std::vector<Tensor> inputs;  // in the model's input order, of its shapes and dtypes
  std::optional<int64_t> label;
  // A stored reference output (tensor "embedding", "logits" or "output") without its leading sample dimension: compare
  // its elements with the model's first output, not the shapes.
  std::optional<Tensor> reference;
};

// const calls are thread safe.
class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual size_t size() const = 0;
  // Errors: data (unreadable file, NaN or Inf: names sample, tensor and index), input (wrong shape or dtype, no such
  // index).
  virtual Result<Sample> sample(size_t index) const = 0;
  virtual std::string describe() const = 0;
  // Identity of the samples, for caches and provenance: XXH3 over names, bytes, labels and preprocessing, independent
  // of the machine. Reads everything again; an unreadable file counts as empty.
  virtual uint64_t digest() const = 0;
};

struct Source {
  std::string path;  // folder of JPEG/PNG/.npy, one such image, or one .npy/.npz/.safetensors file
  // Folder: CSV `file,label` that names exactly the folder's files. Tensor file: an .npy of integers. Empty: the tensor
  // "label" beside the inputs, if there is one.
  std::string labels;
  size_t limit = 0;  // use the first samples only; 0: all
  Preprocess preprocess;
};

// Folders feed models with one input; files that are neither JPEG, PNG nor .npy are counted in describe() and ignored.
// Tensors in .safetensors/.npz are matched to inputs by name, else by the one name that ends in the input's name after an
// underscore or dot ("input_ids" feeds "ids"); a single input also accepts "input" or the only tensor
// that is float like it (or integer like it). A leading dimension more, or larger than the input's by a multiple, is
// the sample index. Element types must match, except f64 -> f32 (rounded) and s32 <-> s64 (range checked). Errors:
// not_found, data (empty folder, nothing readable, labels that do not fit the files), input (no tensor fits).
Result<std::unique_ptr<Dataset>> open_dataset(const Source& source, const std::vector<InputSpec>& inputs);

}  // namespace quoin::data
