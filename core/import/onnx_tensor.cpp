#include "import/onnx_tensor.hpp"

#include <charconv>
#include <cstring>
#include <filesystem>
#include <optional>

#include "base/checked.hpp"

namespace quoin::import::onnx_format {
namespace {

using onnx::TensorProto;

Result<uint64_t> parse_number(const std::string& text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    return fail(Code::model, "external data: \"{}\" is not a number", text);
  return value;
}

// Elements of a typed field; 16-bit floats and small integers travel in int32_data.
template <class T, class Field>
Result<Tensor> from_field(const Field& field, DType dtype, Shape shape) {
  if (static_cast<int64_t>(field.size()) != numel(shape))
    return fail(Code::model, "{} elements for shape {}", field.size(), to_string(shape));
  Tensor out(dtype, std::move(shape));
  auto* to = static_cast<T*>(out.data());
  for (const auto value : field) *to++ = static_cast<T>(value);
  return out;
}

Result<Tensor> typed(const TensorProto& proto, DType dtype, Shape shape) {
  switch (dtype) {
    case DType::f32:
      return from_field<float>(proto.float_data(), dtype, std::move(shape));
    case DType::f64:
      return from_field<double>(proto.double_data(), dtype, std::move(shape));
    case DType::s64:
      return from_field<int64_t>(proto.int64_data(), dtype, std::move(shape));
    case DType::s32:
      return from_field<int32_t>(proto.int32_data(), dtype, std::move(shape));
    case DType::s16:
    case DType::u16:
    case DType::f16:
    case DType::bf16:
      return from_field<uint16_t>(proto.int32_data(), dtype, std::move(shape));
    default:
      return from_field<uint8_t>(proto.int32_data(), dtype, std::move(shape));
  }
}

constexpr int32_t kUint4 = 21, kInt4 = 22;  // onnx.TensorProto.DataType since ONNX 1.16

// Two elements per byte, the first in the lower half, to a byte each.
Tensor unpacked(const Tensor& bytes, bool is_signed, Shape shape) {
  Tensor out(is_signed ? DType::s8 : DType::u8, std::move(shape));
  const auto from = bytes.as<uint8_t>();
  const auto to = out.as<uint8_t>();
  for (size_t i = 0; i < to.size(); ++i) {
    const uint8_t nibble = (from[i / 2] >> (i % 2 == 0 ? 0 : 4)) & 15;
    to[i] = is_signed && nibble > 7 ? static_cast<uint8_t>(nibble | 0xf0) : nibble;
  }
  return out;
}

}  // namespace

bool is_four_bit(int32_t code) { return code == kUint4 || code == kInt4; }

Result<DType> element_type(int32_t code) {
  switch (code) {  // onnx.TensorProto.DataType
    case 1:
      return DType::f32;
    case 2:
      return DType::u8;
    case 3:
      return DType::s8;
    case 4:
      return DType::u16;
    case 5:
      return DType::s16;
    case 6:
      return DType::s32;
    case 7:
      return DType::s64;
    case 9:
      return DType::boolean;
    case 10:
      return DType::f16;
    case 11:
      return DType::f64;
    case 16:
      return DType::bf16;
    default:
      return fail(Code::unsupported,
                  "element type {} of ONNX is not supported (strings, complex, u32, u64, 8-bit floats, 4-bit)", code);
  }
}

TensorReader::TensorReader(const std::string& model_path) : folder_(std::filesystem::path(model_path).parent_path()) {}

Result<std::shared_ptr<const MappedFile>> TensorReader::open(const std::string& location) {
  if (const auto found = files_.find(location); found != files_.end()) return found->second;
  namespace fs = std::filesystem;
  const auto refuse = [&](std::string_view why) {
    return fail(Code::model, "external data \"{}\" {}", location, why)
        .hint("external data must lie beside the model file");
  };
  if (location.empty() || location.find('\0') != std::string::npos) return refuse("has no name");
  const fs::path relative(location);
  if (relative.is_absolute() || relative.has_root_name()) return refuse("is an absolute path");
  fs::path path = folder_;
  for (const fs::path& part : relative) {
    if (part == "..") return refuse("leaves the model's folder");
    path /= part;
    std::error_code error;
    if (fs::is_symlink(fs::symlink_status(path, error))) return refuse("is reached by a symbolic link");
  }
  QUOIN_TRY(MappedFile file, MappedFile::open(path.string()));
  return files_.emplace(location, std::make_shared<const MappedFile>(std::move(file))).first->second;
}

Result<Tensor> TensorReader::external(const TensorProto& proto, DType dtype, Shape shape) {
  std::string location;
  uint64_t offset = 0;
  std::optional<uint64_t> length;
  for (const auto& entry : proto.external_data()) {
    if (entry.key() == "location") location = entry.value();
    if (entry.key() == "offset") {
      QUOIN_TRY(offset, parse_number(entry.value()));
    }
    if (entry.key() == "length") {
      QUOIN_TRY(length, parse_number(entry.value()));
    }
  }
  const auto bytes = static_cast<uint64_t>(byte_size(dtype, shape));
  if (length && *length != bytes)
    return fail(Code::model, "external data has {} bytes, {}{} needs {}", *length, name(dtype), to_string(shape),
                bytes);
  QUOIN_TRY(const auto file, open(location));
  const auto end = checked_add(offset, bytes);
  if (!end || *end > file->bytes().size())
    return fail(Code::model, "external data at {} with {} bytes is outside \"{}\" of {} bytes", offset, bytes, location,
                file->bytes().size());
  const std::byte* data = file->bytes().data() + offset;
  if (offset % (bits(dtype) / 8) == 0) return Tensor(dtype, std::move(shape), file, data);
  Tensor out(dtype, std::move(shape));
  if (bytes) std::memcpy(out.data(), data, bytes);
  return out;
}

Result<Tensor> TensorReader::read(TensorProto& proto) {
  Shape shape(proto.dims().begin(), proto.dims().end());
  QUOIN_TRY(const int64_t count, checked_numel(shape));
  if (is_four_bit(proto.data_type())) {
    QUOIN_TRY(const Tensor bytes, elements(proto, DType::u8, {(count + 1) / 2}));
    return unpacked(bytes, proto.data_type() == kInt4, std::move(shape));
  }
  QUOIN_TRY(const DType dtype, element_type(proto.data_type()));
  return elements(proto, dtype, std::move(shape));
}

Result<Tensor> TensorReader::elements(TensorProto& proto, DType dtype, Shape shape) {
  if (proto.has_segment()) return fail(Code::unsupported, "tensors in segments are not supported");
  if (proto.data_location() == TensorProto::EXTERNAL) return external(proto, dtype, std::move(shape));
  if (!proto.has_raw_data()) return typed(proto, dtype, std::move(shape));
  const auto bytes = static_cast<size_t>(numel(shape)) * (bits(dtype) / 8);
  if (proto.raw_data().size() != bytes)
    return fail(Code::model, "{} bytes, {}{} needs {}", proto.raw_data().size(), name(dtype), to_string(shape), bytes);
  Tensor out(dtype, std::move(shape));
  if (bytes) std::memcpy(out.data(), proto.raw_data().data(), bytes);
  proto.clear_raw_data();
  return out;
}

}  // namespace quoin::import::onnx_format
