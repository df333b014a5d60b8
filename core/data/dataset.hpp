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

// How an image becomes an input tensor. Crop first, then resize, then (pixel - mean) / std per RGB channel, pixels 0-255.
struct Preprocess {
  std::string layout = "nchw";       // or "nhwc"
  std::array<int64_t, 2> resize{};   // height, width of the result; 0: from the model's input
  double crop = 1.0;                 // centre square of side int(crop * min(width, height)); 0: no crop
  std::string filter = "bicubic";    // antialiased bicubic (a = -0.5, as Pillow), "bilinear"
  std::vector<double> mean{0, 0, 0}, std{1, 1, 1};
};

struct InputSpec {
  std::string name;
  DType dtype = DType::f32;
  Shape shape;
};

struct Sample {
  std::string name;                // file or "file[17]", for messages
  std::vector<Tensor> inputs;      // in the model's input order
  std::optional<int64_t> label;
  std::optional<Tensor> reference;  // a stored reference output (tensor "embedding", "logits" or "output")
};

// const calls are thread safe.
class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual size_t size() const = 0;
  // Errors (data): unreadable file, NaN or Inf (names sample and tensor), wrong shape.
  virtual Result<Sample> sample(size_t index) const = 0;
  virtual std::string describe() const = 0;
  // Identity of the content, for caches and provenance: XXH3 over names and bytes or sizes and times.
  virtual uint64_t digest() const = 0;
};

struct Source {
  std::string path;    // folder of JPEG/PNG/.npy, or one .npy/.npz/.safetensors file
  std::string labels;  // CSV `file,label`, or empty: the `label` tensor beside the inputs
  size_t limit = 0;    // 0: all
  Preprocess preprocess;
};

// Tensors in .safetensors/.npz are matched to inputs by name; a single input also accepts "input" or the only float
// tensor. A leading dimension more, or larger than the input's by a multiple, is the sample index.
// Errors: not_found, data (empty folder, nothing readable, labels that match no file), input (no tensor fits).
Result<std::unique_ptr<Dataset>> open_dataset(const Source& source, const std::vector<InputSpec>& inputs);

}  // namespace quoin::data
