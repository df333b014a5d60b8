#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <array>
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

constexpr std::array<std::string_view, 2> kLabels = {"label", "labels"};
constexpr std::array<std::string_view, 3> kReferences = {"embedding", "logits", "output"};

bool is_extra(std::string_view name) {
  return std::find(kLabels.begin(), kLabels.end(), name) != kLabels.end() ||
         std::find(kReferences.begin(), kReferences.end(), name) != kReferences.end();
}

// The first of `names` that the file has, or the end.
template <size_t N>
TensorMap::const_iterator find_first(const TensorMap& tensors, const std::array<std::string_view, N>& names) {
  for (const std::string_view name : names)
    if (const auto found = tensors.find(std::string(name)); found != tensors.end()) return found;
  return tensors.end();
}

std::string list_names(const TensorMap& tensors) {
  constexpr size_t kMostNamed = 16;
  std::vector<std::string> names;
  for (const auto& [name, tensor] : tensors) {
    if (names.size() == kMostNamed) {
      names.push_back(fmt::format("and {} more", tensors.size() - kMostNamed));
      break;
    }
    names.push_back(name + " " + to_string(tensor.shape()));
  }
  return names.empty() ? "no tensors" : join(names, ", ");
}

// "input_ids" for the input "ids": the name ends in the input's, after an underscore or a dot.
bool ends_in(std::string_view name, std::string_view input) {
  if (name.size() <= input.size() || !name.ends_with(input)) return false;
  const char before = name[name.size() - input.size() - 1];
  return before == '_' || before == '.';
}

// By name, or by the one tensor whose name ends in it; a single input also takes "input", or the only tensor that could
// be meant.
Result<std::string> find_input(const TensorMap& tensors, const InputSpec& input, bool single, const std::string& path) {
  if (tensors.contains(input.name)) return input.name;
  if (single && tensors.contains("input")) return std::string("input");
  std::vector<std::string> ending, candidates;
  for (const auto& [name, tensor] : tensors)
    if (ends_in(name, input.name)) ending.push_back(name);
  if (ending.size() == 1) return ending[0];
  for (const auto& [name, tensor] : tensors)
    if (!is_extra(name) && is_floating(tensor.dtype()) == is_floating(input.dtype)) candidates.push_back(name);
  if (single && candidates.size() == 1) return candidates[0];
  return fail(Code::input, "no tensor for the model's input \"{}\"; the file has {}", input.name, list_names(tensors))
      .at("{}", path)
      .hint(did_you_mean(input.name, candidates));
}

// The input as tensors of `shape` give it, one or many: dynamic dims take their size if they may.
InputSpec as_given(InputSpec input, const Shape& shape) {
  if (input.dynamic == 0 || shape.size() < input.shape.size()) return input;
  const size_t extra = shape.size() - input.shape.size();
  for (size_t i = 0; i < input.shape.size(); ++i)
    if ((input.dynamic >> i & 1) != 0 && shape[extra + i] >= 1)
      input.shape[i] = std::min(input.shape[i], shape[extra + i]);
  return input;
}

// How many samples of `input` a tensor of `shape` holds: itself one, a leading dimension more, or a larger first one.
Result<size_t> count_samples(const Shape& shape, const InputSpec& input, const std::string& where) {
  const Shape& one = input.shape;
  if (shape == one) return size_t{1};
  if (shape.size() == one.size() + 1 && std::equal(one.begin(), one.end(), shape.begin() + 1))
    return static_cast<size_t>(shape[0]);
  const bool batched = !one.empty() && shape.size() == one.size() && one[0] > 0 && shape[0] % one[0] == 0 &&
                       std::equal(one.begin() + 1, one.end(), shape.begin() + 1);
  if (batched) return static_cast<size_t>(shape[0] / one[0]);
  return fail(Code::input, "shape {} holds no samples of the model's input {} {}", to_string(shape), input.name,
              to_string(one))
      .at("{}", where)
      .hint("add a leading sample dimension");
}

// Sample `index` of `count` equal parts; borrows.
Tensor slice(const Tensor& tensor, size_t index, size_t count, Shape shape) {
  const size_t size = tensor.bytes() / count;
  return Tensor(tensor.dtype(), std::move(shape), tensor.owner(),
                static_cast<const std::byte*>(tensor.data()) + index * size);
}

struct Column {
  std::string name;  // in the file
  InputSpec input;
  Tensor tensor;
};

struct Content {
  size_t stored = 0;  // samples in the file
  size_t used = 0;    // after the limit
  std::vector<Column> columns;
  std::vector<int64_t> labels;  // empty: none
  Tensor reference;
  std::string reference_name;  // empty: none
};

class TensorFile final : public Dataset {
 public:
  TensorFile(Source source, Content content) : source_(std::move(source)), content_(std::move(content)) {}

  size_t size() const override { return content_.used; }

  Result<Sample> sample(size_t index) const override {
    if (index >= size()) return fail(Code::input, "sample {} of {}", index, size()).at("{}", source_.path);
    Sample out;
    out.name = fmt::format("{}[{}]", std::filesystem::path(source_.path).filename().string(), index);
    for (const Column& column : content_.columns) {
      const std::string where = fmt::format("{}[{}]: tensor {}", source_.path, index, column.name);
      const Tensor part = slice(column.tensor, index, content_.stored, column.input.shape);
      QUOIN_TRY(Tensor tensor, convert(part, column.input.dtype, where));
      QUOIN_CHECK(check_finite(tensor, where));
      out.inputs.push_back(std::move(tensor));
    }
    if (!content_.labels.empty()) out.label = content_.labels[index];
    if (content_.reference_name.empty()) return out;
    const Shape& shape = content_.reference.shape();
    out.reference = slice(content_.reference, index, content_.stored, Shape(shape.begin() + 1, shape.end()));
    QUOIN_CHECK(
        check_finite(*out.reference, fmt::format("{}[{}]: tensor {}", source_.path, index, content_.reference_name)));
    return out;
  }

  std::string describe() const override {
    std::string text = fmt::format("{}: {} samples", source_.path, size());
    if (size() < content_.stored) text += fmt::format(" of {}", content_.stored);
    for (const Column& column : content_.columns)
      if (column.name != column.input.name)
        text += fmt::format(", tensor {} feeds input {}", column.name, column.input.name);
    if (!content_.labels.empty()) text += ", with labels";
    if (!content_.reference_name.empty()) text += ", reference " + content_.reference_name;
    return text;
  }

  uint64_t digest() const override {
    uint64_t hash = size();
    for (const Column& column : content_.columns) {
      hash = XXH3_64bits_withSeed(column.name.data(), column.name.size(), hash);
      hash = XXH3_64bits_withSeed(column.tensor.data(), column.tensor.bytes(), hash);
    }
    return XXH3_64bits_withSeed(content_.labels.data(), content_.labels.size() * sizeof(int64_t), hash);
  }

 private:
  Source source_;
  Content content_;
};

Result<TensorMap> read_tensors(const std::string& path, const InputSpec& first) {
  if (path.ends_with(".safetensors")) return read_safetensors(path);
  if (path.ends_with(".npz")) return read_npz(path);
  if (!path.ends_with(".npy"))
    return bad_data(path, "is no folder and ends in none of .safetensors, .npz, .npy, .jpg and .png");
  QUOIN_TRY(Tensor tensor, read_npy(path));
  return TensorMap{{first.name, std::move(tensor)}};
}

Status read_columns(const TensorMap& tensors, const std::vector<InputSpec>& inputs, const std::string& path,
                    Content& out) {
  for (const InputSpec& declared : inputs) {
    QUOIN_TRY(std::string name, find_input(tensors, declared, inputs.size() == 1, path));
    const Tensor& tensor = tensors.at(name);
    const InputSpec input = as_given(declared, tensor.shape());
    const std::string where = path + ": tensor " + name;
    QUOIN_TRY(const size_t count, count_samples(tensor.shape(), input, where));
    if (count == 0) return bad_data(where, "holds no samples");
    if (!out.columns.empty() && count != out.stored)
      return bad_data(where, "holds {} samples, {} holds {}", count, out.columns[0].name, out.stored);
    out.stored = count;
    QUOIN_CHECK(
        convert(Tensor(tensor.dtype(), {0}), input.dtype, where));  // refuses a wrong type before the first sample
    out.columns.push_back({std::move(name), input, tensor});
  }
  return {};
}

// Labels and reference outputs, unless they are inputs themselves.
Status read_extras(const TensorMap& tensors, const Source& source, Content& out) {
  const auto is_input = [&](const std::string& name) {
    return std::any_of(out.columns.begin(), out.columns.end(),
                       [&](const Column& column) { return column.name == name; });
  };
  if (!source.labels.empty()) {
    if (!source.labels.ends_with(".npy"))
      return fail(Code::data, "labels of a tensor file are an .npy file or its own tensor \"label\"")
          .at("{}", source.labels);
    QUOIN_TRY(const Tensor labels, read_npy(source.labels));
    QUOIN_TRY(out.labels, label_values(labels, out.stored, source.labels));
  } else if (const auto found = find_first(tensors, kLabels); found != tensors.end() && !is_input(found->first)) {
    QUOIN_TRY(out.labels, label_values(found->second, out.stored, source.path + ": tensor " + found->first));
  }
  const auto found = find_first(tensors, kReferences);
  if (found == tensors.end() || is_input(found->first)) return {};
  const Shape& shape = found->second.shape();
  const std::string where = source.path + ": tensor " + found->first;
  if (shape.empty() || static_cast<size_t>(shape[0]) != out.stored)
    return bad_data(where, "shape {} does not start with the {} samples", to_string(shape), out.stored);
  out.reference_name = found->first;
  out.reference = found->second;
  return {};
}

}  // namespace

Result<std::unique_ptr<Dataset>> open_tensor_file(const Source& source, const std::vector<InputSpec>& inputs) {
  QUOIN_TRY(const TensorMap tensors, read_tensors(source.path, inputs[0]));
  Content content;
  QUOIN_CHECK(read_columns(tensors, inputs, source.path, content));
  QUOIN_CHECK(read_extras(tensors, source, content));
  content.used = source.limit == 0 ? content.stored : std::min(source.limit, content.stored);
  return std::make_unique<TensorFile>(source, std::move(content));
}

}  // namespace quoin::data
