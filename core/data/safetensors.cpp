// Tensors in the safetensors container. Its header is read by core/checkpoint.
#include "checkpoint/safetensors.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/checked.hpp"
#include "data/files.hpp"
#include "data/internal.hpp"

namespace quoin::data {
namespace {

constexpr size_t kAlignment = 8;  // bytes at which the data starts

}  // namespace

Result<TensorMap> read_safetensors(const std::string& path, std::map<std::string, std::string>* metadata) {
  QUOIN_TRY(MappedFile file, MappedFile::open(path));
  const auto owner = std::make_shared<const MappedFile>(std::move(file));
  QUOIN_TRY(checkpoint::SafetensorsHeader header, checkpoint::parse_safetensors(owner->bytes(), path, Code::data));
  if (metadata != nullptr) *metadata = std::move(header.metadata);
  TensorMap out;
  for (checkpoint::SafetensorsEntry& entry : header.entries) {
    QUOIN_TRY(Tensor tensor,
              tensor_over(entry.dtype, std::move(entry.shape), entry.bytes, owner, path + ": tensor " + entry.name));
    out.emplace(std::move(entry.name), std::move(tensor));
  }
  return out;
}

Status write_safetensors(const std::string& path, const TensorMap& tensors,
                         const std::map<std::string, std::string>& metadata) {
  std::vector<const TensorMap::value_type*> order;
  for (const auto& item : tensors) {
    if (checkpoint::safetensors_type(item.second.dtype()).empty())
      return fail(Code::input, "safetensors has no element type for {}", name(item.second.dtype()))
          .at("{}", path + ": tensor " + item.first);
    order.push_back(&item);
  }
  // Widest elements first: with an 8-byte aligned start every tensor is aligned for its type.
  std::stable_sort(order.begin(), order.end(),
                   [](const auto* a, const auto* b) { return bits(a->second.dtype()) > bits(b->second.dtype()); });
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header[checkpoint::kSafetensorsMetadata] = metadata;
  size_t at = 0;
  for (const auto* item : order) {
    const Tensor& tensor = item->second;
    header[item->first] = {{"dtype", checkpoint::safetensors_type(tensor.dtype())},
                           {"shape", tensor.shape()},
                           {"data_offsets", {at, at + tensor.bytes()}}};
    at += tensor.bytes();
  }
  std::string text = header.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  text.resize(align_up(text.size(), kAlignment), ' ');
  const uint64_t length = text.size();
  QUOIN_TRY(AtomicFile file, AtomicFile::create(path));
  QUOIN_CHECK(file.write(std::as_bytes(std::span(&length, 1))));
  QUOIN_CHECK(file.write(as_bytes(text)));
  for (const auto* item : order)
    QUOIN_CHECK(file.write({static_cast<const std::byte*>(item->second.data()), item->second.bytes()}));
  return file.commit();
}

}  // namespace quoin::data
