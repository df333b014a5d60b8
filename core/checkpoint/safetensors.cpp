#include "checkpoint/safetensors.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "json/parse.hpp"

namespace quoin::checkpoint {
namespace {

using Json = json::Document;

constexpr size_t kLengthBytes = 8;
constexpr uint64_t kMaxHeader = 16u << 20;  // bytes

struct TypeName {
  std::string_view text;
  DType dtype;
};
constexpr std::array kTypes = {
    TypeName{"F64", DType::f64},   TypeName{"F32", DType::f32},      TypeName{"F16", DType::f16},
    TypeName{"BF16", DType::bf16}, TypeName{"I64", DType::s64},      TypeName{"I32", DType::s32},
    TypeName{"I16", DType::s16},   TypeName{"I8", DType::s8},        TypeName{"U16", DType::u16},
    TypeName{"U8", DType::u8},     TypeName{"BOOL", DType::boolean},
};

class Parser {
 public:
  Parser(const std::string& path, Code code) : path_(path), code_(code) {}

  Result<SafetensorsHeader> parse(Bytes file) {
    if (file.size() < kLengthBytes) return bad(path_, "{} bytes are too few for a safetensors file", file.size());
    uint64_t length = 0;
    std::memcpy(&length, file.data(), kLengthBytes);
    if (length > kMaxHeader || length > file.size() - kLengthBytes)
      return bad(path_, "header of {} bytes in a file of {} (limit {}): not safetensors, or truncated", length,
                 file.size(), kMaxHeader);
    const std::string_view text(reinterpret_cast<const char*>(file.data()) + kLengthBytes, length);
    QUOIN_TRY(const Json header, json::parse_object(text, path_ + ": header", code_));
    SafetensorsHeader out;
    std::vector<Placed> placed;
    for (const auto& [name, object] : header.items()) {
      if (name == kSafetensorsMetadata) {
        QUOIN_CHECK(read_metadata(object, out.metadata));
        continue;
      }
      QUOIN_TRY(Placed entry, parse_entry(name, object));
      placed.push_back(std::move(entry));
    }
    const Bytes data = file.subspan(kLengthBytes + length);
    QUOIN_CHECK(check_tiling(placed, data.size()));
    for (Placed& entry : placed) {
      entry.entry.bytes = data.subspan(entry.begin, entry.end - entry.begin);
      out.entries.push_back(std::move(entry.entry));
    }
    return out;
  }

 private:
  struct Placed {
    SafetensorsEntry entry;
    uint64_t begin = 0, end = 0;  // bytes from the end of the header
  };

  template <class... Args>
  [[nodiscard]] Failure bad(const std::string& where, fmt::format_string<Args...> format, Args&&... args) const {
    return fail(code_, format, std::forward<Args>(args)...).at("{}", where);
  }

  Result<std::vector<int64_t>> unsigned_list(const Json& object, const char* key, const std::string& where) const {
    const auto found = object.find(key);
    if (found == object.end() || !found->is_array()) return bad(where, "\"{}\" is missing or not a list", key);
    std::vector<int64_t> out;
    for (const Json& item : *found) {
      if (!item.is_number_unsigned() || item.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX))
        return bad(where, "\"{}\" holds something that is not a whole number >= 0", key);
      out.push_back(static_cast<int64_t>(item.get<uint64_t>()));
    }
    return out;
  }

  Result<Placed> parse_entry(const std::string& name, const Json& object) const {
    const std::string where = path_ + ": tensor " + name;
    if (!object.is_object()) return bad(where, "is not an object in the header");
    for (const auto& [key, value] : object.items())
      if (key != "dtype" && key != "shape" && key != "data_offsets") return bad(where, "unknown key \"{}\"", key);
    const auto dtype = object.find("dtype");
    if (dtype == object.end() || !dtype->is_string()) return bad(where, "\"dtype\" is missing or not a text");
    const std::string& text = dtype->get_ref<const std::string&>();
    const auto known =
        std::find_if(kTypes.begin(), kTypes.end(), [&](const TypeName& row) { return row.text == text; });
    if (known == kTypes.end()) return bad(where, "element type \"{}\" is not supported", text);

    Placed out{{name, known->dtype, {}, {}}, 0, 0};
    QUOIN_TRY(out.entry.shape, unsigned_list(object, "shape", where));
    QUOIN_TRY(const std::vector<int64_t> offsets, unsigned_list(object, "data_offsets", where));
    if (offsets.size() != 2 || offsets[0] > offsets[1]) return bad(where, "\"data_offsets\" is not [begin, end]");
    out.begin = static_cast<uint64_t>(offsets[0]);
    out.end = static_cast<uint64_t>(offsets[1]);
    if (auto count = checked_numel(out.entry.shape); !count) return bad(where, "{}", count.error().what);
    const auto expected = static_cast<uint64_t>(byte_size(known->dtype, out.entry.shape));
    if (out.end - out.begin != expected)
      return bad(where, "{} {} needs {} bytes, but its offsets span {}", text, to_string(out.entry.shape), expected,
                 out.end - out.begin);
    return out;
  }

  Status read_metadata(const Json& object, std::map<std::string, std::string>& out) const {
    if (!object.is_object()) return bad(path_, "\"{}\" is not an object", kSafetensorsMetadata);
    for (const auto& [key, value] : object.items()) {
      if (!value.is_string()) return bad(path_, "\"{}\" of \"{}\" is not a text", key, kSafetensorsMetadata);
      out[key] = value.get<std::string>();
    }
    return {};
  }

  Status check_tiling(std::vector<Placed>& entries, uint64_t size) const {
    std::sort(entries.begin(), entries.end(),
              [](const Placed& a, const Placed& b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
    uint64_t at = 0;
    for (const Placed& entry : entries) {
      if (entry.begin != at)
        return bad(path_ + ": tensor " + entry.entry.name,
                   "starts at byte {} of the data, expected {} (hole or overlap)", entry.begin, at);
      at = entry.end;
    }
    if (at != size) return bad(path_, "the tensors need {} bytes of data, the file has {} (truncated?)", at, size);
    return {};
  }

  const std::string& path_;
  Code code_;
};

}  // namespace

Result<SafetensorsHeader> parse_safetensors(Bytes file, const std::string& path, Code code) {
  return Parser(path, code).parse(file);
}

std::string_view safetensors_type(DType dtype) {
  for (const TypeName& row : kTypes)
    if (row.dtype == dtype) return row.text;
  return {};
}

}  // namespace quoin::checkpoint
