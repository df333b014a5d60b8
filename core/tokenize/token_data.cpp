#include "tokenize/token_data.hpp"

#include <algorithm>
#include <filesystem>

#include "base/file.hpp"
#include "data/files.hpp"

namespace quoin::tokenize {
namespace {

constexpr size_t kMaxTokens = size_t{1} << 28;
constexpr uint64_t kMaxText = uint64_t{1} << 30;

bool whole_numbers(const Tensor& tensor) { return tensor.dtype() == DType::s64 || tensor.dtype() == DType::s32; }

std::string list(const data::TensorMap& tensors) {
  constexpr size_t kMostNamed = 16;
  std::string out;
  size_t named = 0;
  for (const auto& [name, tensor] : tensors) {
    if (named == kMostNamed) return out + fmt::format(" and {} more", tensors.size() - named);
    out += fmt::format("{}{} {}{}", named++ == 0 ? "" : ", ", name, quoin::name(tensor.dtype()),
                       to_string(tensor.shape()));
  }
  return out.empty() ? "no tensors" : out;
}

// The tensor `source.tensor`, or the only one of integers; its name goes to `name`.
Result<Tensor> select(const data::TensorMap& tensors, const TokenSource& source, std::string& name) {
  if (!source.tensor.empty()) {
    const auto found = tensors.find(source.tensor);
    if (found == tensors.end())
      return fail(Code::data, "no tensor \"{}\"", source.tensor)
          .at("{}", source.path)
          .hint("the file has " + list(tensors));
    name = found->first;
    return found->second;
  }
  const Tensor* only = nullptr;
  for (const auto& [key, tensor] : tensors) {
    if (!whole_numbers(tensor)) continue;
    if (only != nullptr)
      return fail(Code::data, "several tensors of integers")
          .at("{}", source.path)
          .hint("name the one with the token ids; the file has " + list(tensors));
    only = &tensor;
    name = key;
  }
  if (only == nullptr)
    return fail(Code::data, "no tensor of 64-bit or 32-bit integers")
        .at("{}", source.path)
        .hint("the file has " + list(tensors));
  return *only;
}

Result<std::vector<std::vector<int64_t>>> rows_of(const Tensor& tensor, const TokenSource& source, int64_t vocabulary,
                                                  const std::string& where) {
  const Shape& shape = tensor.shape();
  if (!whole_numbers(tensor) || shape.empty() || shape.size() > 2)
    return fail(Code::data, "token ids are s64 or s32, [T] or [N, T]; found {}{}", name(tensor.dtype()),
                to_string(shape))
        .at("{}", where);
  const auto length = static_cast<size_t>(shape.back());
  const size_t rows = shape.size() == 1 ? 1 : static_cast<size_t>(shape[0]);
  if (source.first >= rows || source.count > rows - source.first)
    return fail(Code::usage, "rows {} to {} are asked for, there are {}", source.first,
                source.first + std::max<size_t>(source.count, 1), rows)
        .at("{}", where);
  const size_t count = source.count == 0 ? rows - source.first : source.count;
  if (length == 0) return fail(Code::data, "rows without tokens").at("{}", where);
  if (count > kMaxTokens / length)
    return fail(Code::limit, "more than {} tokens", kMaxTokens).at("{}", where).hint("use fewer rows");
  std::vector<std::vector<int64_t>> out(count, std::vector<int64_t>(length));
  for (size_t r = 0; r < count; ++r)
    for (size_t t = 0; t < length; ++t) {
      const size_t at = (source.first + r) * length + t;
      const int64_t id = tensor.dtype() == DType::s64 ? tensor.as<int64_t>()[at] : tensor.as<int32_t>()[at];
      if (id < 0 || (vocabulary != 0 && id >= vocabulary))
        return fail(Code::data, "token {} of row {} is {}, the vocabulary has {}", t, source.first + r, id, vocabulary)
            .at("{}", where)
            .hint("the ids belong to another tokenizer");
      out[r][t] = id;
    }
  return out;
}

Result<std::vector<std::vector<int64_t>>> text_row(const TokenSource& source, const Tokenizer* tokenizer,
                                                   int64_t vocabulary) {
  if (tokenizer == nullptr)
    return fail(Code::usage, "a text needs a tokenizer")
        .at("{}", source.path)
        .hint("name one, or give token ids as .safetensors or .npy");
  if (source.first != 0 || source.count > 1) return fail(Code::usage, "a text file is one row").at("{}", source.path);
  QUOIN_TRY(const std::string text, read_text(source.path, kMaxText));
  auto ids = tokenizer->encode(text, true);
  if (!ids) return std::move(ids).failure().at("{}", source.path);
  if (text.empty() || ids->empty()) return fail(Code::data, "no tokens").at("{}", source.path);
  if (ids->size() > kMaxTokens)
    return fail(Code::limit, "more than {} tokens", kMaxTokens).at("{}", source.path).hint("use a shorter text");
  const int64_t largest = *std::ranges::max_element(*ids);
  if (vocabulary != 0 && largest >= vocabulary)
    return fail(Code::data, "the text needs token {}, the vocabulary has {}", largest, vocabulary)
        .at("{}", source.path)
        .hint("the tokenizer is that of another model");
  std::vector<std::vector<int64_t>> out;
  out.push_back(*std::move(ids));
  return out;
}

}  // namespace

bool is_text(const TokenSource& source) {
  const std::string extension = std::filesystem::path(source.path).extension().string();
  return extension != ".safetensors" && extension != ".npy";
}

Result<TokenData> load_tokens(const TokenSource& source, const Tokenizer* tokenizer, int64_t vocabulary) {
  TokenData out;
  std::string where = source.path;
  if (is_text(source)) {
    QUOIN_TRY(out.rows, text_row(source, tokenizer, vocabulary));
  } else if (source.path.ends_with(".safetensors")) {
    QUOIN_TRY(const data::TensorMap tensors, data::read_safetensors(source.path));
    std::string name;
    QUOIN_TRY(const Tensor tensor, select(tensors, source, name));
    where += ": " + name;
    QUOIN_TRY(out.rows, rows_of(tensor, source, vocabulary, where));
  } else {
    QUOIN_TRY(const Tensor tensor, data::read_npy(source.path));
    QUOIN_TRY(out.rows, rows_of(tensor, source, vocabulary, where));
  }
  size_t tokens = 0;
  for (const auto& row : out.rows) tokens += row.size();
  out.describe =
      fmt::format("{}, {} {}, {} tokens", where, out.rows.size(), out.rows.size() == 1 ? "row" : "rows", tokens);
  return out;
}

}  // namespace quoin::tokenize
