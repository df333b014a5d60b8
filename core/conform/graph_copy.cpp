#include "conform/graph_copy.hpp"

#include <algorithm>
#include <new>

#include "ops/abi_read.hpp"

namespace quoin::conform {
namespace {

constexpr uint64_t kBlock = 1 << 16;

class Copier {
 public:
  Copier(Arena& arena, std::span<const uint32_t> values) : arena_(arena), to_old_(values), to_new_(values.size()) {
    for (uint32_t i = 0; i < values.size(); ++i) to_new_[values[i]] = i;
  }

  const quoin_graph* graph(const quoin_graph& source) {
    quoin_graph out = source;
    std::vector<quoin_value> values;
    for (uint32_t i = 0; i < source.values.count; ++i)
      values.push_back(value(element<quoin_value>(source.values, to_old_.empty() ? i : to_old_[i])));
    std::vector<quoin_node> nodes;
    for (const quoin_node& n : elements<quoin_node>(source.nodes)) nodes.push_back(node(n));
    out.values = array(values);
    out.nodes = array(nodes);
    out.inputs = ids(source.inputs, source.num_inputs);
    out.outputs = ids(source.outputs, source.num_outputs);
    return arena_.copy(&out, 1);
  }

 private:
  template <class T>
  quoin_array array(const std::vector<T>& items) {
    return {arena_.copy(items.data(), items.size()), static_cast<uint32_t>(items.size()), sizeof(T)};
  }
  quoin_str text(quoin_str source) { return {arena_.copy(source.data, source.size), source.size}; }
  const uint32_t* ids(const uint32_t* source, uint32_t count) {
    uint32_t* out = arena_.copy(source, count);
    for (uint32_t i = 0; !to_new_.empty() && i < count; ++i)
      if (out[i] != QUOIN_NONE) out[i] = to_new_[out[i]];
    return out;
  }
  const quoin_qparams* qparams(const quoin_qparams* source) {
    if (source == nullptr) return nullptr;
    quoin_qparams out = *source;
    out.scale = arena_.copy(source->scale, source->count);
    out.zero_point = arena_.copy(source->zero_point, source->count);
    out.block = arena_.copy(source->block, source->block_rank);
    return arena_.copy(&out, 1);
  }
  quoin_value value(quoin_value out) {
    out.name = text(out.name);
    out.dims = arena_.copy(out.dims, out.rank);
    out.dims_max = arena_.copy(out.dims_max, out.rank);
    out.users = arena_.copy(out.users, out.num_users);
    if (out.constant.data != nullptr) {
      void* bytes = arena_.take(out.constant.size, 64);
      std::memcpy(bytes, out.constant.data, out.constant.size);
      out.constant.data = bytes;
    }
    out.qparams = qparams(out.qparams);
    return out;
  }
  quoin_node node(quoin_node out) {
    out.op = text(out.op);
    out.inputs = ids(out.inputs, out.num_inputs);
    out.outputs = ids(out.outputs, out.num_outputs);
    std::vector<quoin_param> attrs;
    for (const quoin_param& attr : elements<quoin_param>(out.attrs)) attrs.push_back(param(attr));
    out.attrs = array(attrs);
    out.scope = text(out.scope);
    out.scope_type = text(out.scope_type);
    return out;
  }
  quoin_param param(quoin_param out) {
    out.name = text(out.name);
    switch (out.kind) {
      case QUOIN_PARAM_BOOL:
        out.data = arena_.copy(static_cast<const uint8_t*>(out.data), out.count);
        break;
      case QUOIN_PARAM_INT:
        out.data = arena_.copy(static_cast<const int64_t*>(out.data), out.count);
        break;
      case QUOIN_PARAM_FLOAT:
        out.data = arena_.copy(static_cast<const double*>(out.data), out.count);
        break;
      default: {
        quoin_str* texts = arena_.copy(static_cast<const quoin_str*>(out.data), out.count);
        for (uint32_t i = 0; i < out.count; ++i) texts[i] = text(texts[i]);
        out.data = texts;
      }
    }
    return out;
  }

  Arena& arena_;
  std::span<const uint32_t> to_old_;
  std::vector<uint32_t> to_new_;
};

}  // namespace

void* Arena::take(uint64_t size, uint64_t alignment) {
  const uint64_t misfit = (alignment - reinterpret_cast<uintptr_t>(next_) % alignment) % alignment;
  if (misfit + size > left_) {
    left_ = std::max(kBlock, (size + 63) / 64 * 64);
    blocks_.emplace_back(left_, 64);
    next_ = static_cast<char*>(blocks_.back().data());
    if (next_ == nullptr) throw std::bad_alloc();
    return take(size, alignment);
  }
  void* const out = next_ + misfit;
  next_ += misfit + size;
  left_ -= misfit + size;
  return out;
}

void Arena::forbid() const {
  for (const GuardedMemory& block : blocks_) block.forbid();
}

GraphCopy::GraphCopy(const quoin_graph& source, std::span<const uint32_t> values)
    : view_(Copier(arena_, values).graph(source)) {}

}  // namespace quoin::conform
