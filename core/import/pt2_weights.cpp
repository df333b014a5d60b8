#include "import/pt2_weights.hpp"

#include <cstring>

#include "base/checked.hpp"
#include "json/parse.hpp"

namespace quoin::import::pt2 {
namespace {

constexpr uint64_t kMaxTable = 64ull << 20, kMaxPayload = 1ull << 40;

bool row_major(const TensorMeta& meta) {
  int64_t expected = 1;
  for (size_t i = meta.shape.size(); i-- > 0;) {
    if (meta.shape[i] != 1 && meta.strides[i] != expected) return false;
    expected *= meta.shape[i];
  }
  return true;
}

// Elements of storage up to the tensor's last one. Errors (model): negative strides or offset, overflow.
Result<int64_t> extent(const TensorMeta& meta) {
  if (meta.offset < 0) return fail(Code::model, "storage offset {} is negative", meta.offset);
  int64_t last = meta.offset;
  if (numel(meta.shape) == 0) return 0;
  for (size_t i = 0; i < meta.shape.size(); ++i) {
    if (meta.strides[i] < 0) return fail(Code::model, "stride {} is negative", meta.strides[i]);
    const auto step = checked_mul(meta.shape[i] - 1, meta.strides[i]);
    const auto sum = step ? checked_add(last, *step) : std::nullopt;
    if (!sum) return fail(Code::model, "strides overflow");
    last = *sum;
  }
  const auto count = checked_add<int64_t>(last, 1);
  if (!count || !checked_mul<int64_t>(*count, 8)) return fail(Code::model, "strides overflow");
  return *count;
}

Tensor gather(const TensorMeta& meta, const Blob& blob) {
  const size_t width = bits(meta.dtype) / 8;
  const std::byte* base = blob.data.get() + static_cast<size_t>(meta.offset) * width;
  if (row_major(meta)) return Tensor(meta.dtype, meta.shape, blob.data, base);
  Tensor out(meta.dtype, meta.shape);
  auto* to = static_cast<std::byte*>(out.data());
  Shape index(meta.shape.size(), 0);
  for (int64_t i = 0, count = out.size(); i < count; ++i, to += width) {
    int64_t from = 0;
    for (size_t axis = 0; axis < index.size(); ++axis) from += index[axis] * meta.strides[axis];
    std::memcpy(to, base + static_cast<size_t>(from) * width, width);
    for (size_t axis = index.size(); axis-- > 0 && ++index[axis] == meta.shape[axis];) index[axis] = 0;
  }
  return out;
}

}  // namespace

Result<Weights> Weights::open(Archive& archive, const std::string& root, const std::string& file) {
  Weights out(archive, file);
  QUOIN_CHECK(out.read_table(root + "data/weights/", "model_weights_config.json"));
  QUOIN_CHECK(out.read_table(root + "data/constants/", "model_constants_config.json"));
  return out;
}

Status Weights::read_table(const std::string& folder, const std::string& table) {
  if (!archive_->contains(folder + table)) return {};  // models without parameters
  const std::string where = file_ + "/" + folder + table;
  QUOIN_TRY(const Blob blob, archive_->read(folder + table, kMaxTable));
  QUOIN_TRY(const auto document, json::parse(blob.text(), where));
  QUOIN_TRY(const Place config, Place(document, where).at("config"));
  QUOIN_TRY(const auto members, config.members());
  const auto plain = [](const Place& json) -> Result<int64_t> {
    QUOIN_TRY(const Place value, json.at("as_int"));
    return value.integer();
  };
  for (const auto& [name, json] : members) {
    QUOIN_TRY(const Place path, json.at("path_name"));
    QUOIN_TRY(const std::string member, path.text());
    Entry entry{folder + member, false, {}};
    if (const auto pickled = json.find("use_pickle")) {
      QUOIN_TRY(entry.pickled, pickled->flag());
    }
    if (const auto meta = json.find("tensor_meta")) {
      QUOIN_TRY(entry.meta, read_meta(*meta, plain));
    } else {
      entry.pickled = true;  // custom objects have no tensor data
    }
    entries_.insert_or_assign(name, std::move(entry));
  }
  return {};
}

Result<Blob> Weights::payload(const std::string& member) {
  if (const auto found = payloads_.find(member); found != payloads_.end()) return found->second;
  QUOIN_TRY(Blob blob, archive_->read(member, kMaxPayload));
  return payloads_.emplace(member, std::move(blob)).first->second;
}

Result<Tensor> Weights::read(const std::string& name) {
  const auto found = entries_.find(name);
  if (found == entries_.end())
    return fail(Code::model, "tensor \"{}\" is in no weight table", name)
        .at("{}", file_)
        .hint("save the program with its state: torch.export.save keeps it");
  const Entry& entry = found->second;
  const std::string where = file_ + "/" + entry.member;
  if (entry.pickled)
    return fail(Code::unsupported, "tensor \"{}\" is stored as a Python pickle, which is never executed", name)
        .at("{}", where)
        .hint("save plain tensors; tensor subclasses must be unwrapped first");
  auto count = extent(entry.meta);
  if (!count) return std::move(count).failure().at("{}", where);
  QUOIN_TRY(const Blob blob, payload(entry.member));
  const uint64_t needed = static_cast<uint64_t>(*count) * (bits(entry.meta.dtype) / 8);
  // An expanded tensor (stride 0) is larger than its storage, but not by what no model needs.
  const auto dense = static_cast<uint64_t>(byte_size(entry.meta.dtype, entry.meta.shape));
  if (blob.size < needed || dense > 64 * (blob.size + 4096))
    return fail(Code::model, "tensor \"{}\" {}{} needs {} bytes, the member has {}", name,
                quoin::name(entry.meta.dtype), to_string(entry.meta.shape), std::max(needed, dense), blob.size)
        .at("{}", where);
  return gather(entry.meta, blob);
}

}  // namespace quoin::import::pt2
