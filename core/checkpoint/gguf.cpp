#include "checkpoint/gguf.hpp"

#include <algorithm>
#include <cstring>
#include <set>

#include "base/checked.hpp"

namespace quoin::checkpoint {
namespace {

constexpr uint32_t kMagic = 0x46554747;      // "GGUF"
constexpr uint64_t kMaxEntries = 1u << 16;   // tensors, and metadata keys
constexpr uint64_t kMaxElements = 8u << 20;  // of all metadata lists
constexpr uint64_t kMaxHeader = 256u << 20;  // bytes
constexpr uint64_t kMaxName = 1u << 12;      // bytes of a key or a tensor's name
constexpr uint32_t kMaxDims = 4;
constexpr uint64_t kDefaultAlignment = 32;
constexpr std::string_view kAlignmentKey = "general.alignment";

enum Kind : uint32_t { u8, s8, u16, s16, u32, s32, f32, boolean, text, list, u64, s64, f64 };

constexpr bool is_float(uint32_t kind) { return kind == f32 || kind == f64; }

// Least bytes that an element takes; 0: no such kind.
uint64_t least_bytes(uint32_t kind) {
  switch (kind) {
    case u8:
    case s8:
    case boolean:
      return 1;
    case u16:
    case s16:
      return 2;
    case u32:
    case s32:
    case f32:
      return 4;
    case text:
    case u64:
    case s64:
    case f64:
      return 8;
    default:
      return 0;
  }
}

class Parser {
 public:
  Parser(Bytes file, const std::string& path) : file_(file), path_(path) {}

  Result<GgufHeader> parse() {
    QUOIN_TRY(const auto magic, number<uint32_t>("magic"));
    if (magic != kMagic) return bad("not GGUF: magic {:08x}, expected {:08x}", magic, kMagic);
    QUOIN_TRY(const auto version, number<uint32_t>("version"));
    if (version != 2 && version != 3)
      return fail(Code::unsupported, "GGUF version {}, supported are 2 and 3", version)
          .at("{}", path_)
          .hint((version & 0xffff) == 0 ? "the file seems to be big endian" : "");
    QUOIN_TRY(const auto tensors, count("tensors"));
    QUOIN_TRY(const auto keys, count("metadata keys"));
    GgufHeader out;
    for (uint64_t i = 0; i < keys; ++i) QUOIN_CHECK(read_setting(out.metadata, fmt::format("metadata key {}", i)));
    std::vector<uint64_t> offsets;
    for (uint64_t i = 0; i < tensors; ++i) QUOIN_CHECK(read_tensor(out.tensors, offsets, fmt::format("tensor {}", i)));
    QUOIN_CHECK(place(out, offsets));
    return out;
  }

 private:
  template <class... Args>
  [[nodiscard]] Failure bad(fmt::format_string<Args...> format, Args&&... args) const {
    return fail(Code::model, format, std::forward<Args>(args)...).at("{}", path_);
  }

  Result<Bytes> take(uint64_t size, std::string_view what) {
    if (size > file_.size() - at_)
      return bad("truncated: {} needs {} bytes at byte {} of {}", what, size, at_, file_.size());
    if (at_ + size > kMaxHeader)
      return fail(Code::limit, "{} is beyond {} bytes of header", what, kMaxHeader).at("{}", path_);
    const Bytes out = file_.subspan(at_, size);
    at_ += size;
    return out;
  }

  template <class T>
  Result<T> number(std::string_view what) {
    QUOIN_TRY(const Bytes bytes, take(sizeof(T), what));
    T value;
    std::memcpy(&value, bytes.data(), sizeof value);
    return value;
  }

  Result<uint64_t> count(std::string_view what) {
    QUOIN_TRY(const auto value, number<uint64_t>(what));
    if (value > kMaxEntries)
      return fail(Code::limit, "{} {}, the limit is {}", value, what, kMaxEntries).at("{}", path_);
    return value;
  }

  Result<std::string> read_text(std::string_view what, uint64_t limit = kMaxHeader) {
    QUOIN_TRY(const auto length, number<uint64_t>(what));
    if (length > limit) return bad("{} is a text of {} bytes, the limit is {}", what, length, limit);
    QUOIN_TRY(const Bytes bytes, take(length, what));
    return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }

  Result<int64_t> read_integer(uint32_t kind, const std::string& what) {
    const auto widened = [](auto value) { return static_cast<int64_t>(value); };
    switch (kind) {
      case u8:
        return number<uint8_t>(what).map(widened);
      case s8:
        return number<int8_t>(what).map(widened);
      case u16:
        return number<uint16_t>(what).map(widened);
      case s16:
        return number<int16_t>(what).map(widened);
      case u32:
        return number<uint32_t>(what).map(widened);
      case s32:
        return number<int32_t>(what).map(widened);
      case boolean: {
        QUOIN_TRY(const auto value, number<uint8_t>(what));
        if (value > 1) return bad("{} is a truth value of {}", what, value);
        return int64_t{value};
      }
      default:
        break;
    }
    QUOIN_TRY(const auto value, number<int64_t>(what));
    if (kind == u64 && value < 0) return fail(Code::unsupported, "{} is over 2^63 - 1", what).at("{}", path_);
    return value;
  }

  Result<double> read_real(uint32_t kind, const std::string& what) {
    if (kind == f64) return number<double>(what);
    return number<float>(what).map([](float value) { return static_cast<double>(value); });
  }

  template <class Read>
  auto read_list(uint64_t length, Read&& read) -> Result<Setting> {
    std::vector<typename std::decay_t<decltype(read())>::value_type> out;
    out.reserve(length);
    for (uint64_t i = 0; i < length; ++i) {
      QUOIN_TRY(auto element, read());
      out.push_back(std::move(element));
    }
    return Setting(std::move(out));
  }

  Result<Setting> read_list(const std::string& what) {
    QUOIN_TRY(const auto kind, number<uint32_t>(what));
    QUOIN_TRY(const auto length, number<uint64_t>(what));
    if (kind == list) return fail(Code::unsupported, "{}", what + " is a list of lists").at("{}", path_);
    if (least_bytes(kind) == 0) return bad("{} is a list of kind {}, which does not exist", what, kind);
    if (length > (file_.size() - at_) / least_bytes(kind))
      return bad("truncated: {} claims {} elements, {} bytes are left", what, length, file_.size() - at_);
    elements_ += length;  // bounded by the size of the file
    if (elements_ > kMaxElements)
      return fail(Code::limit, "{}: lists of over {} elements in the metadata", what, kMaxElements).at("{}", path_);
    if (kind == text) return read_list(length, [&] { return read_text(what); });
    if (is_float(kind)) return read_list(length, [&] { return read_real(kind, what); });
    return read_list(length, [&] { return read_integer(kind, what); });
  }

  Status read_setting(Settings& out, const std::string& number_of_key) {
    QUOIN_TRY(std::string key, read_text("the name of " + number_of_key, kMaxName));
    const std::string what = "metadata key " + key;
    QUOIN_TRY(const auto kind, number<uint32_t>(what));
    if (out.contains(key)) return bad("{} occurs twice", what);
    Setting& value = out[key];
    if (kind == list) {
      QUOIN_TRY(value, read_list(what));
    } else if (kind == text) {
      QUOIN_TRY(value, read_text(what));
    } else if (is_float(kind)) {
      QUOIN_TRY(value, read_real(kind, what));
    } else if (least_bytes(kind) == 0) {
      return bad("{} has kind {}, which does not exist", what, kind);
    } else {
      QUOIN_TRY(const int64_t integer, read_integer(kind, what));
      value = kind == boolean ? Setting(integer != 0) : Setting(integer);
    }
    return {};
  }

  Status read_tensor(std::vector<GgufTensor>& out, std::vector<uint64_t>& offsets,
                     const std::string& number_of_tensor) {
    GgufTensor tensor;
    QUOIN_TRY(tensor.name, read_text("the name of " + number_of_tensor, kMaxName));
    const std::string what = "tensor " + tensor.name;
    if (!names_.insert(tensor.name).second) return bad("{} occurs twice", what);
    QUOIN_TRY(const auto rank, number<uint32_t>(what));
    if (rank > kMaxDims) return bad("{} has {} dims, the limit is {}", what, rank, kMaxDims);
    for (uint32_t i = 0; i < rank; ++i) {
      QUOIN_TRY(const auto dim, number<uint64_t>(what));
      if (dim > static_cast<uint64_t>(INT64_MAX)) return bad("{} has a dim of {}", what, dim);
      tensor.shape.insert(tensor.shape.begin(), static_cast<int64_t>(dim));
    }
    QUOIN_TRY(const auto type, number<uint32_t>(what));
    tensor.encoding = gguf_encoding(type);
    if (tensor.encoding == nullptr)
      return fail(Code::unsupported, "{} has element type {} ({}), which is not supported", what, type,
                  gguf_type_name(type))
          .at("{}", path_)
          .hint("supported are F32, F16, BF16, Q4_0, Q5_0, Q8_0, Q4_K, Q5_K and Q6_K");
    QUOIN_TRY(const auto offset, number<uint64_t>(what));
    offsets.push_back(offset);
    out.push_back(std::move(tensor));
    return {};
  }

  Result<uint64_t> alignment(const Settings& metadata) const {
    const auto found = metadata.find(kAlignmentKey);
    if (found == metadata.end()) return kDefaultAlignment;
    const auto* value = std::get_if<int64_t>(&found->second);
    if (value == nullptr || *value < 8 || *value > (1 << 30) || (*value & (*value - 1)) != 0)
      return bad("{} is not a power of two from 8", kAlignmentKey);
    return static_cast<uint64_t>(*value);
  }

  Result<uint64_t> byte_count(const GgufTensor& tensor) const {
    if (auto count = checked_numel(tensor.shape); !count) return bad("tensor {}: {}", tensor.name, count.error().what);
    const int64_t row = tensor.shape.empty() ? 1 : tensor.shape.back(), block = tensor.encoding->elements;
    if (row % block != 0)
      return bad("tensor {}: rows of {} are not whole {} blocks of {}", tensor.name, row, tensor.encoding->name, block);
    return static_cast<uint64_t>(numel(tensor.shape) / block) * tensor.encoding->bytes;
  }

  // Tensors may have gaps between them for alignment; they must be inside of the file and apart.
  Status place(GgufHeader& header, const std::vector<uint64_t>& offsets) const {
    QUOIN_TRY(const uint64_t step, alignment(header.metadata));
    const uint64_t start = align_up<uint64_t>(at_, step);
    std::vector<std::pair<uint64_t, size_t>> order;
    for (size_t i = 0; i < offsets.size(); ++i) {
      GgufTensor& tensor = header.tensors[i];
      QUOIN_TRY(const uint64_t size, byte_count(tensor));
      const auto begin = checked_add(start, offsets[i]);
      if (offsets[i] % step != 0)
        return bad("tensor {} starts at {}, which is not a multiple of {}", tensor.name, offsets[i], step);
      if (!begin || *begin > file_.size() || size > file_.size() - *begin)
        return bad("truncated: tensor {} needs {} bytes at {} of the data, the file has {}", tensor.name, size,
                   offsets[i], file_.size());
      tensor.bytes = file_.subspan(*begin, size);
      order.emplace_back(*begin, i);
    }
    std::sort(order.begin(), order.end());
    for (size_t i = 1; i < order.size(); ++i) {
      const GgufTensor& before = header.tensors[order[i - 1].second];
      if (order[i - 1].first + before.bytes.size() > order[i].first)
        return bad("tensors {} and {} overlap", before.name, header.tensors[order[i].second].name);
    }
    return {};
  }

  Bytes file_;
  const std::string& path_;
  uint64_t at_ = 0;
  uint64_t elements_ = 0;  // of all metadata lists so far
  std::set<std::string> names_;
};

}  // namespace

Result<GgufHeader> parse_gguf(Bytes file, const std::string& path) { return Parser(file, path).parse(); }

}  // namespace quoin::checkpoint
