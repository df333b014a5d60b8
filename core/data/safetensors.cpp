// The safetensors container: u64 length, JSON header, tensor bytes. Format: huggingface/safetensors README.
#include <algorithm>
#include <array>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "base/checked.hpp"
#include "data/files.hpp"
#include "data/internal.hpp"

namespace quoin::data {
namespace {

using Json = nlohmann::json;

constexpr size_t kLengthBytes = 8;
constexpr const char* kMetadata = "__metadata__";
constexpr size_t kMaxDepth = 4;  // header > tensor > shape

struct DTypeName {
  std::string_view text;
  DType dtype;
};
constexpr std::array kDTypes = {
    DTypeName{"F64", DType::f64},   DTypeName{"F32", DType::f32},      DTypeName{"F16", DType::f16},
    DTypeName{"BF16", DType::bf16}, DTypeName{"I64", DType::s64},      DTypeName{"I32", DType::s32},
    DTypeName{"I16", DType::s16},   DTypeName{"I8", DType::s8},        DTypeName{"U16", DType::u16},
    DTypeName{"U8", DType::u8},     DTypeName{"BOOL", DType::boolean},
};

struct Entry {
  std::string name;
  DType dtype{};
  Shape shape;
  uint64_t begin = 0, end = 0;  // bytes from the end of the header
};

// Looks for what the parser would let pass: duplicate keys (it keeps the last one) and deep nesting. A pass of its own,
// because parsing with a callback takes time quadratic in the number of tensors.
class HeaderCheck final : public nlohmann::json_sax<Json> {
 public:
  const std::string& fault() const { return fault_; }
  bool start_object(size_t) override { return enter(); }
  bool start_array(size_t) override { return enter(); }
  bool end_object() override { return leave(); }
  bool end_array() override { return leave(); }
  bool key(string_t& name) override {
    if (keys_.back().insert(name).second) return true;
    fault_ = "key \"" + name + "\" occurs twice";
    return false;
  }
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception&) override { return false; }

 private:
  bool enter() {
    keys_.emplace_back();
    if (keys_.size() > kMaxDepth) fault_ = "nested too deeply";
    return fault_.empty();
  }
  bool leave() {
    keys_.pop_back();
    return true;
  }
  std::vector<std::set<std::string>> keys_;  // of every open object or list
  std::string fault_;
};

// Parses without exceptions.
Result<Json> parse_header(Bytes text, const std::string& path) {
  const char* first = reinterpret_cast<const char*>(text.data());
  HeaderCheck check;
  Json::sax_parse(first, first + text.size(), &check);
  if (!check.fault().empty()) return bad_data(path, "header: {}", check.fault());
  Json header = Json::parse(first, first + text.size(), nullptr, false);
  if (header.is_discarded() || !header.is_object()) return bad_data(path, "the header is not a JSON object");
  return header;
}

Result<std::vector<int64_t>> unsigned_list(const Json& object, const char* key, const std::string& where) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_array()) return bad_data(where, "\"{}\" is missing or not a list", key);
  std::vector<int64_t> out;
  for (const Json& item : *found) {
    if (!item.is_number_unsigned() || item.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX))
      return bad_data(where, "\"{}\" holds something that is not a whole number >= 0", key);
    out.push_back(static_cast<int64_t>(item.get<uint64_t>()));
  }
  return out;
}

Result<Entry> parse_entry(const std::string& name, const Json& object, const std::string& path) {
  const std::string where = path + ": tensor " + name;
  if (!object.is_object()) return bad_data(where, "is not an object in the header");
  for (const auto& [key, value] : object.items())
    if (key != "dtype" && key != "shape" && key != "data_offsets") return bad_data(where, "unknown key \"{}\"", key);
  const auto dtype = object.find("dtype");
  if (dtype == object.end() || !dtype->is_string()) return bad_data(where, "\"dtype\" is missing or not a text");
  const std::string& text = dtype->get_ref<const std::string&>();
  const auto known =
      std::find_if(kDTypes.begin(), kDTypes.end(), [&](const DTypeName& row) { return row.text == text; });
  if (known == kDTypes.end()) return bad_data(where, "element type \"{}\" is not supported", text);

  Entry entry{name, known->dtype, {}, 0, 0};
  QUOIN_TRY(entry.shape, unsigned_list(object, "shape", where));
  QUOIN_TRY(const std::vector<int64_t> offsets, unsigned_list(object, "data_offsets", where));
  if (offsets.size() != 2 || offsets[0] > offsets[1]) return bad_data(where, "\"data_offsets\" is not [begin, end]");
  entry.begin = static_cast<uint64_t>(offsets[0]);
  entry.end = static_cast<uint64_t>(offsets[1]);
  if (auto count = checked_numel(entry.shape); !count) return bad_data(where, "{}", count.error().what);
  const auto expected = static_cast<uint64_t>(byte_size(entry.dtype, entry.shape));
  if (entry.end - entry.begin != expected)
    return bad_data(where, "{} {} needs {} bytes, but its offsets span {}", text, to_string(entry.shape), expected,
                    entry.end - entry.begin);
  return entry;
}

Status read_metadata(const Json& object, const std::string& path, std::map<std::string, std::string>& out) {
  if (!object.is_object()) return bad_data(path, "\"{}\" is not an object", kMetadata);
  for (const auto& [key, value] : object.items()) {
    if (!value.is_string()) return bad_data(path, "\"{}\" of \"{}\" is not a text", key, kMetadata);
    out[key] = value.get<std::string>();
  }
  return {};
}

// The format demands that the tensors cover the data area without holes or overlaps.
Status check_tiling(std::vector<Entry>& entries, uint64_t size, const std::string& path) {
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
  uint64_t at = 0;
  for (const Entry& entry : entries) {
    if (entry.begin != at)
      return bad_data(path + ": tensor " + entry.name, "starts at byte {} of the data, expected {} (hole or overlap)",
                      entry.begin, at);
    at = entry.end;
  }
  if (at != size) return bad_data(path, "the tensors need {} bytes of data, the file has {} (truncated?)", at, size);
  return {};
}

std::string_view safetensors_name(DType dtype) {
  for (const DTypeName& row : kDTypes)
    if (row.dtype == dtype) return row.text;
  return {};
}

}  // namespace

Result<TensorMap> read_safetensors(const std::string& path, std::map<std::string, std::string>* metadata) {
  QUOIN_TRY(MappedFile file, MappedFile::open(path));
  const auto owner = std::make_shared<const MappedFile>(std::move(file));
  const Bytes bytes = owner->bytes();
  if (bytes.size() < kLengthBytes) return bad_data(path, "{} bytes are too few for a safetensors file", bytes.size());
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), kLengthBytes);
  if (length > kMaxTextHeader || length > bytes.size() - kLengthBytes)
    return bad_data(path, "header of {} bytes in a file of {} (limit {}): not safetensors, or truncated", length,
                    bytes.size(), kMaxTextHeader);
  QUOIN_TRY(const Json header, parse_header(bytes.subspan(kLengthBytes, length), path));

  std::vector<Entry> entries;
  for (const auto& [name, object] : header.items()) {
    if (name == kMetadata) {
      if (metadata != nullptr) QUOIN_CHECK(read_metadata(object, path, *metadata));
      continue;
    }
    QUOIN_TRY(Entry entry, parse_entry(name, object, path));
    entries.push_back(std::move(entry));
  }
  const Bytes data = bytes.subspan(kLengthBytes + length);
  QUOIN_CHECK(check_tiling(entries, data.size(), path));
  TensorMap out;
  for (Entry& entry : entries) {
    const Bytes content = data.subspan(entry.begin, entry.end - entry.begin);
    QUOIN_TRY(Tensor tensor,
              tensor_over(entry.dtype, std::move(entry.shape), content, owner, path + ": tensor " + entry.name));
    out.emplace(std::move(entry.name), std::move(tensor));
  }
  return out;
}

Status write_safetensors(const std::string& path, const TensorMap& tensors,
                         const std::map<std::string, std::string>& metadata) {
  std::vector<const TensorMap::value_type*> order;
  for (const auto& item : tensors) {
    if (safetensors_name(item.second.dtype()).empty())
      return fail(Error{Code::input,
                        fmt::format("safetensors has no element type for {}", name(item.second.dtype())),
                        path + ": tensor " + item.first,
                        {}});
    order.push_back(&item);
  }
  // Widest elements first: with an 8-byte aligned start every tensor is aligned for its type.
  std::stable_sort(order.begin(), order.end(),
                   [](const auto* a, const auto* b) { return bits(a->second.dtype()) > bits(b->second.dtype()); });
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header[kMetadata] = metadata;
  size_t at = 0;
  for (const auto* item : order) {
    const Tensor& tensor = item->second;
    header[item->first] = {{"dtype", safetensors_name(tensor.dtype())},
                           {"shape", tensor.shape()},
                           {"data_offsets", {at, at + tensor.bytes()}}};
    at += tensor.bytes();
  }
  std::string text = header.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  text.resize(align_up(text.size(), kLengthBytes), ' ');
  const uint64_t length = text.size();
  QUOIN_TRY(AtomicFile file, AtomicFile::create(path));
  QUOIN_CHECK(file.write(std::as_bytes(std::span(&length, 1))));
  QUOIN_CHECK(file.write(as_bytes(text)));
  for (const auto* item : order)
    QUOIN_CHECK(file.write({static_cast<const std::byte*>(item->second.data()), item->second.bytes()}));
  return file.commit();
}

}  // namespace quoin::data
