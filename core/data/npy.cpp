// NumPy's .npy, versions 1 to 3. Format: numpy.lib.format.
#include <array>
#include <cctype>
#include <cstring>
#include <optional>

#include "base/checked.hpp"
#include "data/files.hpp"
#include "data/internal.hpp"

namespace quoin::data {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kAlignment = 64;  // of the array in files we write, as NumPy does

struct Descr {
  std::string_view text;
  DType dtype;
};
constexpr std::array kDescrs = {
    Descr{"<f8", DType::f64}, Descr{"<f4", DType::f32},     Descr{"<f2", DType::f16}, Descr{"<i8", DType::s64},
    Descr{"<i4", DType::s32}, Descr{"<i2", DType::s16},     Descr{"|i1", DType::s8},  Descr{"<u2", DType::u16},
    Descr{"|u1", DType::u8},  Descr{"|b1", DType::boolean},
};

struct Header {
  DType dtype{};
  bool fortran_order = false;
  Shape shape;
};

// The subset of Python literals that NumPy writes: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
class Literal {
 public:
  explicit Literal(std::string_view text) : rest_(text) {}

  bool take(char c) {
    skip_space();
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  std::optional<std::string> string() {
    skip_space();
    const char quote = rest_.empty() ? '\0' : rest_.front();
    if (quote != '\'' && quote != '"') return std::nullopt;
    const size_t end = rest_.find(quote, 1);
    if (end == std::string_view::npos) return std::nullopt;
    std::string out(rest_.substr(1, end - 1));
    rest_.remove_prefix(end + 1);
    return out;
  }
  std::optional<bool> boolean() {
    if (word("True")) return true;
    if (word("False")) return false;
    return std::nullopt;
  }
  std::optional<Shape> shape() {
    Shape out;
    if (!take('(')) return std::nullopt;
    while (!take(')')) {
      const std::optional<int64_t> dim = number();
      if (!dim || out.size() > kMaxRank) return std::nullopt;
      out.push_back(*dim);
      if (take(',')) continue;
      if (!take(')')) return std::nullopt;
      break;
    }
    return out;
  }
  bool at_end() {
    skip_space();
    return rest_.empty();
  }

 private:
  void skip_space() {
    while (!rest_.empty() && std::isspace(static_cast<unsigned char>(rest_.front())) != 0) rest_.remove_prefix(1);
  }
  bool word(std::string_view expected) {
    skip_space();
    if (!rest_.starts_with(expected)) return false;
    rest_.remove_prefix(expected.size());
    return true;
  }
  std::optional<int64_t> number() {
    skip_space();
    int64_t value = 0;
    size_t digits = 0;
    for (; digits < rest_.size() && rest_[digits] >= '0' && rest_[digits] <= '9'; ++digits) {
      const auto scaled = checked_mul<int64_t>(value, 10);
      const auto next = scaled ? checked_add<int64_t>(*scaled, rest_[digits] - '0') : std::nullopt;
      if (!next) return std::nullopt;
      value = *next;
    }
    rest_.remove_prefix(digits);
    return digits == 0 ? std::nullopt : std::optional(value);
  }

  std::string_view rest_;
};

Result<DType> parse_descr(const std::string& text, const std::string& where) {
  for (const Descr& row : kDescrs)
    if (row.text == text) return row.dtype;
  if (text.starts_with('>'))
    return fail(Code::data, "big-endian elements (\"{}\")", text)
        .at("{}", where)
        .hint("save it with arr.astype(arr.dtype.newbyteorder('<'))");
  return bad_data(where, "element type \"{}\" is not supported", text);
}

Result<Header> parse_header(std::string_view text, const std::string& where) {
  Literal literal(text);
  std::optional<DType> dtype;
  std::optional<bool> fortran;
  std::optional<Shape> shape;
  if (!literal.take('{')) return bad_data(where, "the npy header is not a dictionary");
  while (!literal.take('}')) {
    const std::optional<std::string> key = literal.string();
    if (!key || !literal.take(':')) return bad_data(where, "the npy header is garbled");
    if (*key == "descr" && !dtype) {
      const std::optional<std::string> descr = literal.string();
      if (!descr) return bad_data(where, "\"descr\" is not a text: structured arrays are not supported");
      QUOIN_TRY(dtype, parse_descr(*descr, where));
    } else if (*key == "fortran_order" && !fortran) {
      fortran = literal.boolean();
      if (!fortran) return bad_data(where, "\"fortran_order\" is neither True nor False");
    } else if (*key == "shape" && !shape) {
      shape = literal.shape();
      if (!shape) return bad_data(where, "\"shape\" is not a tuple of at most {} whole numbers", kMaxRank);
    } else {
      return bad_data(where, "unexpected or repeated key \"{}\" in the npy header", *key);
    }
    if (literal.take(',')) continue;
    if (!literal.take('}')) return bad_data(where, "the npy header is garbled");
    break;
  }
  if (!dtype || !fortran || !shape) return bad_data(where, "the npy header lacks descr, fortran_order or shape");
  if (!literal.at_end()) return bad_data(where, "the npy header has text after the dictionary");
  return Header{*dtype, *fortran, std::move(*shape)};
}

// Column-major bytes to row-major.
Tensor from_fortran(const Header& header, Bytes bytes) {
  Tensor out(header.dtype, header.shape);
  const size_t element = bits(header.dtype) / 8;
  const size_t rank = header.shape.size();
  std::vector<int64_t> index(rank, 0), stride(rank, 1);
  for (size_t axis = 1; axis < rank; ++axis) stride[axis] = stride[axis - 1] * header.shape[axis - 1];
  std::byte* to = static_cast<std::byte*>(out.data());
  int64_t from = 0;
  for (int64_t i = 0, count = out.size(); i < count; ++i, to += element) {
    std::memcpy(to, bytes.data() + static_cast<size_t>(from) * element, element);
    for (size_t axis = rank; axis-- > 0;) {
      from += stride[axis];
      if (++index[axis] < header.shape[axis]) break;
      from -= stride[axis] * header.shape[axis];
      index[axis] = 0;
    }
  }
  return out;
}

}  // namespace

Result<Tensor> tensor_over(DType dtype, Shape shape, Bytes bytes, std::shared_ptr<const void> owner,
                           const std::string& where) {
  if (dtype == DType::boolean)
    for (size_t i = 0; i < bytes.size(); ++i)
      if (std::to_integer<unsigned>(bytes[i]) > 1) return bad_data(where, "bool element {} is neither 0 nor 1", i);
  const size_t element = bits(dtype) / 8;
  if (bytes.data() != nullptr && reinterpret_cast<uintptr_t>(bytes.data()) % element == 0)
    return Tensor(dtype, std::move(shape), std::move(owner), bytes.data());
  Tensor copy(dtype, std::move(shape));
  if (!bytes.empty()) std::memcpy(copy.data(), bytes.data(), bytes.size());
  return copy;
}

Result<Tensor> parse_npy(Bytes bytes, std::shared_ptr<const void> owner, const std::string& where) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (!text.starts_with(kMagic) || text.size() < kMagic.size() + 4)
    return bad_data(where, "not an .npy file, or truncated: {} bytes without the NUMPY signature", text.size());
  const unsigned major = std::to_integer<unsigned>(bytes[kMagic.size()]);
  if (major < 1 || major > 3) return bad_data(where, "npy format version {}, expected 1 to 3", major);
  const size_t width = major == 1 ? 2 : 4;  // bytes of the header's length
  const size_t start = kMagic.size() + 2 + width;
  if (text.size() < start) return bad_data(where, "truncated in the npy header");
  uint32_t length = 0;
  std::memcpy(&length, bytes.data() + kMagic.size() + 2, width);
  if (length > kMaxTextHeader || length > text.size() - start)
    return bad_data(where, "npy header of {} bytes in a file of {}: truncated", length, text.size());
  QUOIN_TRY(Header header, parse_header(text.substr(start, length), where));

  if (auto count = checked_numel(header.shape); !count) return bad_data(where, "{}", count.error().what);
  const Bytes content = bytes.subspan(start + length);
  const auto expected = static_cast<uint64_t>(byte_size(header.dtype, header.shape));
  if (content.size() != expected)
    return bad_data(where, "{}{} needs {} bytes, the file has {}", name(header.dtype), to_string(header.shape),
                    expected, content.size());
  if (header.fortran_order && header.shape.size() > 1) {
    const Tensor reordered = from_fortran(header, content);
    return tensor_over(header.dtype, header.shape, {static_cast<const std::byte*>(reordered.data()), reordered.bytes()},
                       reordered.owner(), where);
  }
  return tensor_over(header.dtype, std::move(header.shape), content, std::move(owner), where);
}

Result<Tensor> read_npy(const std::string& path) {
  QUOIN_TRY(MappedFile file, MappedFile::open(path));
  const auto owner = std::make_shared<const MappedFile>(std::move(file));
  return parse_npy(owner->bytes(), owner, path);
}

Status write_npy(const std::string& path, const Tensor& tensor) {
  std::string_view descr;
  for (const Descr& row : kDescrs)
    if (row.dtype == tensor.dtype()) descr = row.text;
  if (descr.empty()) return fail(Code::input, "npy has no element type for {}", name(tensor.dtype())).at("{}", path);
  std::string shape;
  for (const int64_t dim : tensor.shape()) shape += fmt::format("{}, ", dim);
  if (tensor.shape().size() > 1) shape.resize(shape.size() - 2);
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", descr, shape);
  const size_t prefix = kMagic.size() + 4;
  header.resize(align_up(prefix + header.size() + 1, kAlignment) - prefix - 1, ' ');
  header += '\n';
  const auto length = static_cast<uint16_t>(header.size());
  std::string start(kMagic);
  start += {'\x01', '\x00', static_cast<char>(length & 0xff), static_cast<char>(length >> 8)};
  QUOIN_TRY(AtomicFile file, AtomicFile::create(path));
  QUOIN_CHECK(file.write(as_bytes(start + header)));
  QUOIN_CHECK(file.write({static_cast<const std::byte*>(tensor.data()), tensor.bytes()}));
  return file.commit();
}

}  // namespace quoin::data
