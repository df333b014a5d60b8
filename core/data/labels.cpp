#include "data/labels.hpp"

#include <charconv>

#include "base/text.hpp"
#include "data/internal.hpp"

namespace quoin::data {
namespace {

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r";
  const size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

template <class T>
std::vector<int64_t> widen(const Tensor& tensor) {
  const auto elements = tensor.as<T>();
  return {elements.begin(), elements.end()};
}

}  // namespace

Result<std::map<std::string, int64_t>> read_labels_csv(const std::string& path) {
  QUOIN_TRY(const std::string text, read_text(path));
  std::map<std::string, int64_t> labels;
  size_t number = 0;
  for (const std::string& line : split(text, '\n')) {
    ++number;
    const std::string_view content = trim(line);
    if (content.empty()) continue;
    const std::string where = fmt::format("{}:{}", path, number);
    const size_t comma = content.rfind(',');
    if (comma == std::string_view::npos) return bad_data(where, "expected `file,label`");
    const std::string file(trim(content.substr(0, comma)));
    const std::string_view label = trim(content.substr(comma + 1));
    if (number == 1 && label == "label") continue;
    int64_t value = 0;
    const auto [end, error] = std::from_chars(label.data(), label.data() + label.size(), value);
    if (error != std::errc() || end != label.data() + label.size() || value < 0)
      return bad_data(where, "the label \"{}\" is not a whole number >= 0", label);
    if (!labels.emplace(file, value).second) return bad_data(where, "{} has a second label", file);
  }
  if (labels.empty()) return bad_data(path, "holds no labels");
  return labels;
}

Result<std::vector<int64_t>> label_values(const Tensor& tensor, size_t samples, const std::string& where) {
  if (static_cast<size_t>(tensor.size()) != samples)
    return bad_data(where, "{} labels for {} samples", tensor.size(), samples);
  switch (tensor.dtype()) {
    case DType::s64:
      return widen<int64_t>(tensor);
    case DType::s32:
      return widen<int32_t>(tensor);
    case DType::s16:
      return widen<int16_t>(tensor);
    case DType::u8:
      return widen<uint8_t>(tensor);
    default:
      return bad_data(where, "labels are {}, expected integers", name(tensor.dtype()));
  }
}

}  // namespace quoin::data
