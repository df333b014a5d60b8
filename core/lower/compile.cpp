#include "lower/compile.hpp"

#include <algorithm>
#include <cstring>
#include <exception>
#include <optional>

#include "host/call_result.hpp"
#include "ir/snapshot.hpp"
#include "lower/buffer.hpp"
#include "lower/placement.hpp"

namespace quoin::lower {
namespace {

constexpr size_t kLarge = 1u << 20;          // bytes of named data that go to the temporary file
constexpr size_t kRest = size_t{256} << 20;  // bytes after which pages of the spill are let go

// What a delegate's spans borrow from.
struct Storage {
  Buffer blob;
  std::vector<std::shared_ptr<const void>> named;
};

// Collects what the plugin writes.
class Writer {
 public:
  Writer(const std::string& plugin, NamedData& named)
      : plugin_(plugin), all_named_(named), storage_(std::make_shared<Storage>()) {}

  quoin_blob_writer table() {
    return {sizeof(quoin_blob_writer),
            0,
            this,
            [](void* self, quoin_bytes chunk) { return static_cast<Writer*>(self)->guarded_write(chunk); },
            [](void* self, quoin_str key, quoin_bytes data, uint64_t alignment) {
              return static_cast<Writer*>(self)->guarded_named(key, data, alignment);
            },
            [](void* self, uint64_t isa) { static_cast<Writer*>(self)->isa_ |= isa; }};
  }
  const std::optional<Error>& fault() const { return fault_; }
  // Call once, after compile().
  void move_into(program::Delegate& delegate) {
    storage_->blob.shrink_to_fit();
    delegate.blob = storage_->blob;
    delegate.named = std::move(named_);
    delegate.isa = isa_;
    delegate.owner = std::move(storage_);
  }

 private:
  // Nothing may throw into the plugin.
  quoin_status guarded_write(quoin_bytes chunk) noexcept try {
    const auto* bytes = static_cast<const std::byte*>(chunk.data);
    if (chunk.size == 0) return QUOIN_OK;
    if (bytes == nullptr) return refuse(fmt::format("wrote {} bytes from nowhere", chunk.size));
    storage_->blob.insert(storage_->blob.end(), bytes, bytes + chunk.size);
    return QUOIN_OK;
  } catch (const std::exception&) {
    return QUOIN_OUT_OF_MEMORY;
  }
  quoin_status guarded_named(quoin_str key, quoin_bytes data, uint64_t alignment) noexcept try {
    return named(key, data, alignment);
  } catch (const std::exception&) {
    return QUOIN_OUT_OF_MEMORY;
  }

  quoin_status named(quoin_str key, quoin_bytes data, uint64_t alignment) {
    if (key.data == nullptr || key.size == 0) return refuse("named data without a key");
    const std::string name(key.data, key.size);
    if (data.data == nullptr && data.size != 0)
      return refuse(fmt::format("data {}: {} bytes from nowhere", name, data.size));
    if (alignment > 64) return refuse(fmt::format("data {}: alignment {}, at most 64", name, alignment));
    auto kept = all_named_.keep(plugin_, name, {static_cast<const std::byte*>(data.data), data.size});
    if (!kept) return refuse(std::move(kept).error());
    storage_->named.push_back(kept->owner);
    named_[name] = kept->bytes;
    return QUOIN_OK;
  }
  quoin_status refuse(std::string why) { return refuse(Error{Code::plugin, std::move(why), {}, {}}); }
  quoin_status refuse(Error why) {
    if (!fault_) fault_ = std::move(why);
    return QUOIN_INVALID;
  }

  const std::string& plugin_;
  NamedData& all_named_;
  std::shared_ptr<Storage> storage_;
  std::map<std::string, std::span<const std::byte>> named_;
  uint64_t isa_ = 0;
  std::optional<Error> fault_;
};

std::vector<ir::ValueId> graph_values(const ir::Snapshot& snapshot, const uint32_t* ids, uint32_t count) {
  std::vector<ir::ValueId> out;
  for (uint32_t i = 0; i < count; ++i) out.push_back(snapshot.value_ids()[ids[i]]);
  return out;
}

}  // namespace

Result<Spill::Kept> NamedData::store(Bytes bytes) {
  if (bytes.size() < kLarge) {
    const auto copy = std::make_shared<const Buffer>(bytes.begin(), bytes.end());
    return Spill::Kept{copy, *copy};
  }
  if (!spill_) {
    QUOIN_TRY(spill_, Spill::create());
  }
  return spill_->keep(bytes);
}

// Weights come from the same file, or from one like it: what was read of them is let go, too.
void NamedData::rest(size_t bytes) {
  since_rest_ += bytes;
  if (!spill_ || since_rest_ < kRest) return;
  spill_->let_go();
  since_rest_ = 0;
}

Result<Spill::Kept> NamedData::keep(const std::string& plugin, const std::string& key, Bytes bytes) {
  rest(bytes.size());
  auto& of_plugin = by_plugin_[plugin];
  if (const auto known = of_plugin.find(key); known != of_plugin.end()) {
    const Bytes before = known->second.bytes;
    if (before.size() == bytes.size() && (bytes.empty() || std::memcmp(before.data(), bytes.data(), bytes.size()) == 0))
      return known->second;
    return fail(Code::plugin, "data {} was written twice with different bytes", key);
  }
  auto kept = store(bytes);
  if (!kept) return std::move(kept).failure().at("data {}", key);
  return of_plugin[key] = *std::move(kept);
}

Result<Compiled> compile(const ir::Graph& graph, const Claim& claim, const Options& options, NamedData& named) {
  const host::Backend& backend = *claim.backend;
  const ir::Snapshot snapshot = ir::Snapshot::of(graph, claim.nodes, ir::Dims::marked);
  const quoin_lower_request request{
      sizeof request,
      0,
      snapshot.view(),
      {options.params.data(), static_cast<uint32_t>(options.params.size()), sizeof(quoin_param)},
      options.isa};
  Writer writer(backend.name(), named);
  const quoin_blob_writer table = writer.table();
  auto called = host::call(backend.name(), [&](quoin_error* error) {
    return backend.table().compiler->compile(backend.handle(), &request, &table, error);
  });
  const std::string where =
      fmt::format("compile {} ({} nodes from {})", claim.tag, claim.nodes.size(), graph.describe(claim.nodes[0]));
  if (writer.fault()) return fail(in(where + ": plugin " + backend.name(), *writer.fault()));
  if (!called.ok()) return std::move(called.done).failure().at("{}", where);

  Compiled out;
  out.inputs = graph_values(snapshot, snapshot.view()->inputs, snapshot.view()->num_inputs);
  out.outputs = graph_values(snapshot, snapshot.view()->outputs, snapshot.view()->num_outputs);
  out.delegate.plugin = backend.name();
  out.delegate.version = backend.version();
  out.delegate.tag = claim.tag;
  out.delegate.blob_format = backend.table().compiler->blob_format;
  writer.move_into(out.delegate);
  for (const ir::NodeId id : claim.nodes) {
    const ir::Node& node = graph.node(id);
    out.delegate.debug_ids.push_back(node.debug_id);
    out.delegate.macs.push_back(static_cast<uint64_t>(macs(graph, node)));
  }
  return out;
}

}  // namespace quoin::lower
