#include "checkpoint/checkpoint.hpp"

#include <cmath>
#include <filesystem>

#include "base/text.hpp"
#include "checkpoint/encoding.hpp"
#include "checkpoint/gguf.hpp"
#include "checkpoint/safetensors.hpp"
#include "json/parse.hpp"

namespace quoin::checkpoint {
namespace {

namespace fs = std::filesystem;

constexpr const char *kSingle = "model.safetensors", *kIndex = "model.safetensors.index.json";
constexpr uint64_t kMaxIndex = 64u << 20;  // bytes
constexpr size_t kMaxShards = 4096;

struct Entry : Info {
  Bytes bytes;
  const Encoding* encoding = nullptr;  // null: not a type of weights
  std::shared_ptr<const MappedFile> owner;
};
using Entries = std::map<std::string, Entry, std::less<>>;

std::string index_text(const Shape& shape, int64_t element) {
  Shape index(shape.size());
  for (size_t d = shape.size(); d-- > 0; element /= shape[d]) index[d] = element % shape[d];
  return to_string(index);
}

Failure not_finite(std::string_view name, const Entry& entry, int64_t element, float value) {
  return fail(Code::model, "tensor {}: element {} is {}", name, index_text(entry.shape, element),
              std::isnan(value) ? "NaN" : "Inf")
      .at("{}", entry.file);
}

// Keeps a tensor's bytes; with the last copy they stop counting as memory of the process, so that whoever goes through
// a model tensor by tensor needs the memory of one.
std::shared_ptr<const void> hold(const Entry& entry) {
  return {entry.bytes.data(), [file = entry.owner, bytes = entry.bytes](const void*) { file->release(bytes); }};
}

Result<std::shared_ptr<const MappedFile>> map_file(const std::string& path) {
  QUOIN_TRY(MappedFile file, MappedFile::open(path));
  return std::make_shared<const MappedFile>(std::move(file));
}

Status add_safetensors(const std::string& path, Entries& entries, Settings& metadata) {
  QUOIN_TRY(const auto file, map_file(path));
  QUOIN_TRY(SafetensorsHeader header, parse_safetensors(file->bytes(), path, Code::model));
  for (auto& [key, value] : header.metadata) metadata[key] = std::move(value);
  for (SafetensorsEntry& found : header.entries) {
    Info info{std::string(safetensors_type(found.dtype)), std::move(found.shape), path};
    const auto [at, added] =
        entries.emplace(found.name, Entry{std::move(info), found.bytes, safetensors_encoding(found.dtype), file});
    if (!added)
      return fail(Code::model, "tensor {} is in this file and in {}", found.name, at->second.file).at("{}", path);
  }
  return {};
}

Status add_gguf(const std::string& path, Entries& entries, Settings& metadata) {
  QUOIN_TRY(const auto file, map_file(path));
  QUOIN_TRY(GgufHeader header, parse_gguf(file->bytes(), path));
  const auto parts = header.metadata.find("split.count");
  if (const auto* count = parts == header.metadata.end() ? nullptr : std::get_if<int64_t>(&parts->second);
      count != nullptr && *count > 1)
    return fail(Code::unsupported, "one of {} parts of a split model (split.count)", *count)
        .at("{}", path)
        .hint("join the parts with llama-gguf-split --merge");
  for (GgufTensor& tensor : header.tensors) {
    Info info{std::string(tensor.encoding->name), std::move(tensor.shape), path};
    entries.emplace(std::move(tensor.name), Entry{std::move(info), tensor.bytes, tensor.encoding, file});
  }
  metadata = std::move(header.metadata);
  return {};
}

// Tensor -> file, as the index says.
Result<std::map<std::string, std::string>> read_index(const std::string& path) {
  QUOIN_TRY(const std::string text, read_text(path, kMaxIndex));
  QUOIN_TRY(const json::Document index, json::parse_object(text, path));
  const auto bad = [&](std::string what) { return fail(Code::model, "{}", what).at("{}", path); };
  const auto map = index.find("weight_map");
  if (map == index.end() || !map->is_object()) return bad("\"weight_map\" is missing or not an object");
  std::map<std::string, std::string> out;
  for (const auto& [name, file] : map->items()) {
    if (!file.is_string()) return bad(fmt::format("tensor {}: its file is not a text", name));
    const auto& shard = file.get_ref<const std::string&>();
    if (shard.empty() || shard.find('/') != std::string::npos || shard == "." || shard == "..")
      return bad(fmt::format("tensor {}: \"{}\" is not the name of a file beside the index", name, shard));
    out[name] = shard;
  }
  return out;
}

Status add_shards(const fs::path& folder, Entries& entries, Settings& metadata) {
  const std::string index_path = (folder / kIndex).string();
  QUOIN_TRY(const auto index, read_index(index_path));
  std::map<std::string, std::string> shards;  // file -> a tensor that the index places there
  for (const auto& [name, shard] : index) shards.emplace(shard, name);
  if (shards.size() > kMaxShards)
    return fail(Code::limit, "{} shards, the limit is {}", shards.size(), kMaxShards).at("{}", index_path);
  for (const auto& [shard, name] : shards) {
    const std::string path = (folder / shard).string();
    std::error_code ignored;
    if (!fs::exists(path, ignored))
      return fail(Code::not_found, "shard {} is missing, which holds tensor {} and maybe others", shard, name)
          .at("{}", index_path)
          .hint("download the file again");
    QUOIN_CHECK(add_safetensors(path, entries, metadata));
  }
  for (const auto& [name, shard] : index) {
    const auto found = entries.find(name);
    if (found == entries.end())
      return fail(Code::model, "tensor {} is not in {}, where the index places it", name, shard).at("{}", index_path);
    const std::string holder = fs::path(found->second.file).filename().string();
    if (holder != shard)
      return fail(Code::model, "tensor {} is in {}, the index says {}", name, holder, shard).at("{}", index_path);
  }
  for (const auto& [name, entry] : entries)
    if (!index.contains(name))
      return fail(Code::model, "tensor {} of {} is not in the index", name, entry.file).at("{}", index_path);
  return {};
}

bool is_gguf(const fs::path& path) { return path.extension() == ".gguf"; }

// The file of a folder that holds weights, or the folder's index.
Result<fs::path> find_weights(const fs::path& folder) {
  std::error_code error;
  for (const char* name : {kSingle, kIndex})
    if (fs::exists(folder / name, error)) return folder / name;
  std::vector<fs::path> found;
  for (fs::directory_iterator file(folder, error), end; !error && file != end; file.increment(error))
    if (is_gguf(file->path())) found.push_back(file->path());
  if (error) return fail(Code::io, "{}", error.message()).at("{}", folder.string());
  if (found.size() == 1) return found[0];
  return fail(Code::not_found, "{}",
              found.empty() ? fmt::format("neither {} nor {} nor a .gguf file", kSingle, kIndex)
                            : fmt::format("{} .gguf files", found.size()))
      .at("{}", folder.string())
      .hint(found.empty() ? "" : "name one of them");
}

// Codes of one block and their scale with the sign that qparams demand. A negative scale d turns codes around:
// q * d = (~q + 1) * -d, codes ~q with zero point -1.
struct Block {
  float scale;
  int32_t zero_point;
};
Block normalized(float scale, std::span<int8_t> codes) {
  if (scale > 0) return {scale, 0};
  if (scale < 0) {
    for (int8_t& code : codes) code = static_cast<int8_t>(~code);
    return {-scale, -1};
  }
  std::fill(codes.begin(), codes.end(), int8_t{0});
  return {1.0f, 0};
}

void store(std::span<const int8_t> codes, uint32_t bits, uint8_t* out) {
  if (bits == 8) {
    std::copy(codes.begin(), codes.end(), reinterpret_cast<int8_t*>(out));
    return;
  }
  for (size_t i = 0; i < codes.size() / 2; ++i)
    out[i] = static_cast<uint8_t>((codes[2 * i] & 15) | (codes[2 * i + 1] & 15) << 4);
}

}  // namespace

struct Checkpoint::State {
  Format format = Format::safetensors;
  std::string path;
  fs::path folder;
  Settings metadata;
  Entries entries;

  Result<const Entry*> at(std::string_view name) const {
    const auto found = entries.find(name);
    if (found != entries.end()) return &found->second;
    std::vector<std::string> known;
    for (const auto& [other, entry] : entries) known.push_back(other);
    return fail(Code::not_found, "no tensor {}", name).at("{}", path).hint(did_you_mean(name, known));
  }
};

Checkpoint::Checkpoint(std::shared_ptr<const State> state) : state_(std::move(state)) {}

Result<Checkpoint> Checkpoint::open(const std::string& path) {
  auto state = std::make_shared<State>();
  state->path = path;
  fs::path file = path;
  std::error_code ignored;
  if (fs::is_directory(file, ignored)) {
    QUOIN_TRY(file, find_weights(path));
  }
  state->folder = file.parent_path();
  if (file.filename() == kIndex) {
    QUOIN_CHECK(add_shards(state->folder, state->entries, state->metadata));
  } else if (is_gguf(file)) {
    state->format = Format::gguf;
    QUOIN_CHECK(add_gguf(file.string(), state->entries, state->metadata));
  } else if (file.extension() == ".safetensors") {
    QUOIN_CHECK(add_safetensors(file.string(), state->entries, state->metadata));
  } else {
    const bool there = fs::exists(file, ignored);
    return fail(there ? Code::unsupported : Code::not_found, "{}",
                there ? "not a checkpoint" : "no such file or folder")
        .at("{}", path)
        .hint("a checkpoint is a .safetensors or .gguf file, or a folder with one");
  }
  return Checkpoint(std::move(state));
}

Format Checkpoint::format() const { return state_->format; }
const std::string& Checkpoint::path() const { return state_->path; }
std::string Checkpoint::folder() const { return state_->folder.empty() ? "." : state_->folder.string(); }
const Settings& Checkpoint::metadata() const { return state_->metadata; }

std::vector<std::string> Checkpoint::names() const {
  std::vector<std::string> out;
  for (const auto& [name, entry] : state_->entries) out.push_back(name);
  return out;
}

const Info* Checkpoint::find(std::string_view name) const {
  const auto found = state_->entries.find(name);
  return found == state_->entries.end() ? nullptr : &found->second;
}

Result<Tensor> Checkpoint::load_f32(std::string_view name) const {
  QUOIN_TRY(const Entry* entry, state_->at(name));
  if (entry->encoding == nullptr)
    return fail(Code::unsupported, "tensor {} has element type {}, which is no type of weights", name, entry->type)
        .at("{}", entry->file);
  const std::byte* data = entry->bytes.data();
  const auto held = hold(*entry);
  const bool borrow = entry->type == "F32" && reinterpret_cast<uintptr_t>(data) % alignof(float) == 0;
  Tensor out = borrow ? Tensor(DType::f32, entry->shape, held, data) : Tensor(DType::f32, entry->shape);
  if (!borrow) entry->encoding->decode(data, numel(entry->shape) / entry->encoding->elements, out.as<float>().data());
  const std::span<const float> values = std::as_const(out).as<float>();
  for (size_t i = 0; i < values.size(); ++i)
    if (!std::isfinite(values[i])) return not_finite(name, *entry, static_cast<int64_t>(i), values[i]);
  return out;
}

Result<std::optional<Quantized>> Checkpoint::load_quantized(std::string_view name) const {
  QUOIN_TRY(const Entry* entry, state_->at(name));
  const Encoding* encoding = entry->encoding;
  if (encoding == nullptr || encoding->codes == nullptr || entry->shape.empty()) return std::nullopt;
  const auto held = hold(*entry);
  const uint32_t bits = encoding->code_bits;
  const auto block = static_cast<size_t>(encoding->elements);
  auto qparams = std::make_shared<QParams>();
  qparams->dtype = bits == 4 ? DType::s4 : DType::s8;
  qparams->scheme = Scheme::per_group;
  qparams->group = static_cast<uint32_t>(block);
  qparams->qmin = -(1 << (bits - 1));
  qparams->qmax = (1 << (bits - 1)) - 1;
  Tensor codes(qparams->dtype, entry->shape);
  auto* out = static_cast<uint8_t*>(codes.data());
  const size_t blocks = entry->bytes.size() / encoding->bytes;
  qparams->scale.reserve(blocks);
  qparams->zero_point.reserve(blocks);
  std::vector<int8_t> buffer(block);
  for (size_t b = 0; b < blocks; ++b, out += block * bits / 8) {
    const float scale = encoding->codes(entry->bytes.data() + b * encoding->bytes, buffer.data());
    if (!std::isfinite(scale)) return not_finite(name, *entry, static_cast<int64_t>(b * block), scale);
    const Block found = normalized(scale, buffer);
    qparams->scale.push_back(found.scale);
    qparams->zero_point.push_back(found.zero_point);
    store(buffer, bits, out);
  }
  if (std::all_of(qparams->zero_point.begin(), qparams->zero_point.end(), [](int32_t zero) { return zero == 0; }))
    qparams->zero_point.clear();
  return Quantized{std::move(codes), std::move(qparams)};
}

}  // namespace quoin::checkpoint
