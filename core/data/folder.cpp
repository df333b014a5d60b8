#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "base/text.hpp"
#include "data/convert.hpp"
#include "data/datasets.hpp"
#include "data/files.hpp"
#include "data/internal.hpp"
#include "data/labels.hpp"

namespace quoin::data {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxFiles = 4u << 20;

enum class Kind { image, npy, other };

Kind kind_of(const fs::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  if (extension == ".jpg" || extension == ".jpeg" || extension == ".png") return Kind::image;
  return extension == ".npy" ? Kind::npy : Kind::other;
}

struct Listing {
  std::vector<std::string> names;  // sorted
  size_t ignored = 0;              // files of other kinds
};

Result<Listing> list(const std::string& folder) {
  Listing out;
  std::error_code error;
  fs::directory_iterator it(folder, error);
  for (; !error && it != fs::directory_iterator(); it.increment(error)) {
    if (!it->is_regular_file(error)) continue;
    if (kind_of(it->path()) == Kind::other) {
      ++out.ignored;
      continue;
    }
    out.names.push_back(it->path().filename().string());
    if (out.names.size() > kMaxFiles) return fail(Code::limit, "more than {} files", kMaxFiles).at("{}", folder);
  }
  if (error) return fail(Code::io, "cannot list the folder: {}", error.message()).at("{}", folder);
  std::sort(out.names.begin(), out.names.end());
  return out;
}

class Folder final : public Dataset {
 public:
  Folder(Source source, InputSpec input, Listing listing, std::map<std::string, int64_t> labels)
      : source_(std::move(source)),
        input_(std::move(input)),
        listing_(std::move(listing)),
        labels_(std::move(labels)) {}

  size_t size() const override { return listing_.names.size(); }

  Result<Sample> sample(size_t index) const override {
    if (index >= size()) return fail(Code::input, "sample {} of {}", index, size()).at("{}", source_.path);
    Sample out;
    const std::string& name = listing_.names[index];
    out.name = name;
    const std::string path = path_of(name);
    QUOIN_TRY(Tensor tensor, kind_of(path) == Kind::image ? read_pixels(path) : read_array(path));
    out.inputs.push_back(std::move(tensor));
    if (const auto label = labels_.find(name); label != labels_.end()) out.label = label->second;
    return out;
  }

  std::string describe() const override {
    std::string text = fmt::format("{}: {} files", source_.path, size());
    if (listing_.ignored != 0) text += fmt::format(" ({} that are no JPEG, PNG or .npy ignored)", listing_.ignored);
    if (!labels_.empty()) text += ", labels from " + source_.labels;
    return text;
  }

  uint64_t digest() const override {
    const Preprocess& p = source_.preprocess;
    uint64_t hash = hash_text(fmt::format("{} {}x{} {} {}", p.layout, p.resize[0], p.resize[1], p.crop, p.filter), 0);
    hash = XXH3_64bits_withSeed(p.mean.data(), p.mean.size() * sizeof(double), hash);
    hash = XXH3_64bits_withSeed(p.std.data(), p.std.size() * sizeof(double), hash);
    for (const std::string& name : listing_.names) {
      hash = hash_text(name, hash);
      const auto file = MappedFile::open(path_of(name));
      const Bytes bytes = file ? file->bytes() : Bytes{};
      hash = XXH3_64bits_withSeed(bytes.data(), bytes.size(), hash);
      if (const auto label = labels_.find(name); label != labels_.end())
        hash = XXH3_64bits_withSeed(&label->second, sizeof label->second, hash);
    }
    return hash;
  }

 private:
  static uint64_t hash_text(std::string_view text, uint64_t seed) {
    return XXH3_64bits_withSeed(text.data(), text.size(), seed);
  }
  std::string path_of(const std::string& name) const { return (fs::path(source_.path) / name).string(); }

  Result<Tensor> read_pixels(const std::string& path) const {
    if (input_.dtype != DType::f32)
      return fail(Code::input, "input {} is {}, images become f32", input_.name, quoin::name(input_.dtype))
          .at("{}", path);
    QUOIN_TRY(const Tensor image, read_image(path));
    auto tensor = preprocess(image, source_.preprocess, input_.shape);
    if (!tensor) return std::move(tensor).failure().at("{}", path);
    return tensor;
  }

  // The input's shape, or that without its leading 1.
  Result<Tensor> read_array(const std::string& path) const {
    QUOIN_TRY(const Tensor stored, read_npy(path));
    QUOIN_TRY(const Tensor tensor, convert(stored, input_.dtype, path));
    const bool inner =
        !input_.shape.empty() && input_.shape[0] == 1 &&
        std::equal(input_.shape.begin() + 1, input_.shape.end(), stored.shape().begin(), stored.shape().end());
    if (stored.shape() != input_.shape && !inner)
      return fail(Code::input, "shape {}, the model's input {} is {}", to_string(stored.shape()), input_.name,
                  to_string(input_.shape))
          .at("{}", path);
    QUOIN_CHECK(check_finite(tensor, path + ": tensor " + input_.name));
    return tensor.reshaped(input_.shape);
  }

  Source source_;
  InputSpec input_;
  Listing listing_;
  std::map<std::string, int64_t> labels_;
};

// Both ways: a label without a file and a file without a label are more likely a wrong path than an intention.
Status check_labels(const std::map<std::string, int64_t>& labels, const Listing& listing, const Source& source) {
  for (const auto& [file, label] : labels)
    if (!std::binary_search(listing.names.begin(), listing.names.end(), file))
      return bad_data(source.labels, "labels {}, which is not in {}", file, source.path);
  for (const std::string& name : listing.names)
    if (!labels.contains(name)) return bad_data(source.labels, "has no label for {}", name);
  return {};
}

// A single image is a folder of which only that file is listed.
Result<Listing> list_source(Source& source) {
  if (!is_image(source.path)) return list(source.path);
  const fs::path file(source.path);
  source.path = file.has_parent_path() ? file.parent_path().string() : ".";
  return Listing{{file.filename().string()}, 0};
}

}  // namespace

bool is_image(const std::string& path) { return kind_of(path) == Kind::image && !fs::is_directory(path); }

Result<std::unique_ptr<Dataset>> open_folder(Source source, const std::vector<InputSpec>& inputs) {
  if (inputs.size() != 1)
    return fail(Code::input, "the model has {} inputs, a folder of files feeds only one", inputs.size())
        .at("{}", source.path)
        .hint("use one .safetensors or .npz file with a tensor per input");
  QUOIN_TRY(Listing listing, list_source(source));
  if (listing.names.empty()) return bad_data(source.path, "no JPEG, PNG or .npy file in the folder");
  std::map<std::string, int64_t> labels;
  if (!source.labels.empty()) {
    QUOIN_TRY(labels, read_labels_csv(source.labels));
    QUOIN_CHECK(check_labels(labels, listing, source));
  }
  if (source.limit != 0 && listing.names.size() > source.limit) listing.names.resize(source.limit);
  return std::make_unique<Folder>(source, inputs[0], std::move(listing), std::move(labels));
}

}  // namespace quoin::data
