#include "builder.hpp"

#include <algorithm>
#include <memory>
#include <numeric>
#include <quoin/numerics.hpp>

namespace quoin::cpu {
namespace {

constexpr uint64_t aligned(uint64_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

// Images in one order have the same bytes in the other when there is one channel or one pixel.
bool same_in_both(const sdk::Value& value) {
  const auto d = value.dims();
  return d.size() != 4 || d[1] == 1 || d[2] * d[3] == 1;
}

bool works_on_images(const sdk::Node& node) {
  const std::string_view op = node.op();
  return op == "aten.conv2d.default" || op.find("_pool2d.") != std::string_view::npos;
}

// Readers that take either layout and hand it on.
bool passes_layout(const sdk::Node& node) {
  const std::string_view op = node.op();
  return op == "aten.pad.default" || op.starts_with("quoin.") || clamp_of(node).has_value();
}

template <class F>
void for_each_ref(Instruction& i, const F& f) {
  for (Ref* r : {&i.x, &i.x2, &i.x3, &i.y, &i.y2, &i.weights, &i.bias, &i.multiplier, &i.sums, &i.positions}) f(*r);
}

}  // namespace

Range u8_range(const sdk::QParams& q, const Clamp& clamp) {
  const auto bound = [&](float x) {
    return numerics::clamp_bound(x, q.scale[0], q.zero_point(), q.qmin, q.qmax) + 128;
  };
  const int32_t low = bound(clamp.low), high = bound(clamp.high);
  return {u8_zero(q), std::min(low, high), high};
}

std::vector<int8_t> integers(const sdk::Value& weight) {
  if (weight.dtype() == QUOIN_S8) {
    const auto bytes = weight.constant<int8_t>();
    return {bytes.begin(), bytes.end()};
  }
  const uint32_t width = weight.dtype() == QUOIN_S2 ? 2 : 4, per_byte = 8 / width, top = 1u << (width - 1);
  const auto bytes = weight.constant<uint8_t>();
  const auto count = static_cast<size_t>(weight.numel()), columns = static_cast<size_t>(weight.dims().back());
  const size_t row_bytes = (columns + per_byte - 1) / per_byte;
  std::vector<int8_t> out(count);
  for (size_t i = 0; i < count; ++i) {
    const size_t row = i / columns, column = i % columns;
    const uint32_t code =
        (uint32_t{bytes[row * row_bytes + column / per_byte]} >> (column % per_byte * width)) & ((1u << width) - 1);
    // Two's complement: the top bit counts negative.
    out[i] = static_cast<int8_t>(weight.dtype() == QUOIN_U4 ? code : (code ^ top) - top);
  }
  return out;
}

int64_t product(std::span<const int64_t> dims) {
  return std::accumulate(dims.begin(), dims.end(), int64_t{1}, std::multiplies<>());
}

Dims dense_strides(std::span<const int64_t> dims) {
  Dims out(dims.size());
  int64_t stride = 1;
  for (size_t i = dims.size(); i-- > 0;) {
    out[i] = stride;
    stride *= dims[i];
  }
  return out;
}

int64_t wrap(int64_t dim, size_t rank) { return dim < 0 ? dim + static_cast<int64_t>(rank) : dim; }

Builder::Builder(const sdk::Graph& g, const quoin_host& h, sdk::Blob& out) : graph(g), host(h), blob_(out) {
  for (uint32_t v = 0; v < graph.num_values(); ++v) {
    const sdk::Value value = graph.value(v);
    for (uint32_t d = 0; d < value.raw.rank; ++d) {
      if (!value.is_dynamic(d)) continue;
      if (d != 0 || (length_ != 0 && value.dims()[0] != length_))
        throw sdk::Failure(QUOIN_UNSUPPORTED, "value '" + std::string(sdk::view(value.raw.name)) +
                                                  "' follows the length of a run otherwise than with its first dim");
      length_ = value.dims()[0];
    }
  }
  for (uint32_t i = 0; i < graph.inputs().size(); ++i) {
    const sdk::Value value = graph.value(graph.inputs()[i]);
    if (!is_u8(value)) where_[{value.id(), Layout::plain}] = add_storage(info(value).bytes, {Space::input, i, 0});
  }
}

Dims Builder::strides(const sdk::Value& value, Layout layout) {
  const auto d = value.dims();
  if (layout == Layout::plain || d.size() != 4) return dense_strides(d);
  return {d[1] * d[2] * d[3], 1, d[3] * d[1], d[1]};
}

Layout Builder::layout(const sdk::Value& value) const {
  return where_.contains({value.id(), Layout::nhwc}) ? Layout::nhwc : Layout::plain;
}

Layout Builder::wanted(const sdk::Value& value) const {
  if (value.raw.rank != 4) return Layout::plain;
  std::vector<uint32_t> open{value.id()};
  for (size_t i = 0; i < open.size() && i < 8; ++i)  // a short look ahead is enough
    for (const quoin_place& user : graph.value(open[i]).users()) {
      const sdk::Node node = graph.node(user.node);
      if (works_on_images(node)) return Layout::nhwc;
      if (passes_layout(node)) open.push_back(node.outputs()[0]);
    }
  return Layout::plain;
}

Ref Builder::read(const sdk::Value& value, Layout layout) {
  if (const auto found = where_.find({value.id(), layout}); found != where_.end()) return ref(found->second);
  const Layout other = layout == Layout::plain ? Layout::nhwc : Layout::plain;
  auto source = where_.find({value.id(), other});
  if (source == where_.end()) {
    const Ref imported = import(value);
    if (layout == Layout::plain) return imported;
    source = where_.find({value.id(), other});
  }
  if (same_in_both(value)) {
    where_[{value.id(), layout}] = source->second;
    return ref(source->second);
  }
  const Ref from = ref(source->second), to = write(value, layout);
  convert(value, from, to, layout);
  return to;
}

Ref Builder::write(const sdk::Value& value, Layout layout) {
  const uint64_t bytes = static_cast<uint64_t>(value.numel()) * element_size(value);
  const uint32_t storage = add_storage(bytes + (is_u8(value) ? kReadPadding : 0));
  where_[{value.id(), layout}] = storage;
  return ref(storage);
}

void Builder::alias(const sdk::Value& value, const sdk::Value& same, Layout layout) {
  where_[{value.id(), Layout::plain}] = read(same, layout).index;
}

Ref Builder::temporary(uint64_t bytes) { return ref(add_storage(bytes)); }

// Constants and quantized graph inputs get their buffer on first use.
Ref Builder::import(const sdk::Value& value) {
  if (value.is_constant()) return constant(value);
  const auto at = std::find(graph.inputs().begin(), graph.inputs().end(), value.id());
  if (at == graph.inputs().end() || !is_u8(value))
    throw sdk::Failure(QUOIN_INTERNAL,
                       "value '" + std::string(sdk::view(value.raw.name)) + "' is used before it is made");
  Instruction i;
  i.op = Op::flip_sign;
  i.x = {Space::input, static_cast<uint32_t>(at - graph.inputs().begin()), 0};
  i.n = value.numel();
  i.rows = 1;
  i.y = write(value, Layout::plain);
  emit(i);
  return i.y;
}

Ref Builder::constant(const sdk::Value& value) {
  Ref at;
  if (is_u8(value)) {
    const auto from = value.constant<int8_t>();
    const auto [place, to] = room<uint8_t>(static_cast<int64_t>(from.size()) + kReadPadding);
    std::transform(from.begin(), from.end(), to, [](int8_t q) { return static_cast<uint8_t>(q + 128); });
    at = place;
  } else {
    const auto from = value.constant<char>();
    const auto [place, to] = room<char>(static_cast<int64_t>(from.size()));
    std::copy(from.begin(), from.end(), to);
    at = place;
  }
  const uint32_t storage = add_storage(0, at);
  where_[{value.id(), Layout::plain}] = storage;
  return ref(storage);
}

Ref Builder::named(const sdk::Value& constant, const std::string& layout, uint64_t bytes,
                   const std::function<void(std::byte*)>& fill) {
  const std::string key = std::string(sdk::view(constant.raw.name)) + ":" + layout;
  const auto [found, fresh] = named_.try_emplace(key, static_cast<uint32_t>(named_infos_.size()));
  if (fresh) {
    const auto free = [](std::byte* p) { ::operator delete[](p, std::align_val_t{kAlign}); };
    const std::unique_ptr<std::byte[], decltype(free)> memory(new (std::align_val_t{kAlign}) std::byte[bytes]{}, free);
    fill(memory.get());
    blob_.named(key, {memory.get(), bytes}, kAlign);
    named_infos_.push_back({bytes, keys_.size(), key.size()});
    keys_ += key;
  }
  return {Space::named, found->second, 0};
}

void Builder::convert(const sdk::Value& value, Ref from, Ref to, Layout to_layout) {
  const auto d = value.dims();
  Instruction i;
  i.op = is_u8(value) ? Op::transpose_u8 : Op::transpose_f32;
  i.x = from;
  i.y = to;
  i.batch = d[0];
  i.rows = to_layout == Layout::nhwc ? d[1] : d[2] * d[3];
  i.n = to_layout == Layout::nhwc ? d[2] * d[3] : d[1];
  emit(i);
}

std::pair<sdk::Value, Clamp> Builder::through_clamp(const sdk::Node& node) {
  const sdk::Value out = graph.output(node);
  const auto next = graph.single_user(out);
  const auto clamp = next ? clamp_of(*next) : std::nullopt;
  if (!clamp) return {out, Clamp{}};
  done_.insert(next->id());
  return {graph.output(*next), *clamp};
}

TensorInfo Builder::info(const sdk::Value& value) const {
  TensorInfo out;
  out.dtype = value.dtype();
  out.rank = value.raw.rank;
  std::copy(value.dims().begin(), value.dims().end(), out.dims);
  out.bytes = static_cast<uint64_t>(value.numel()) * element_size(value);
  out.follows = follows(value, 1);
  return out;
}

// Results end up in the caller's tensors: directly where the producer can write there, else by a copy.
void Builder::write_outputs() {
  for (uint32_t o = 0; o < graph.outputs().size(); ++o) {
    const sdk::Value value = graph.value(graph.outputs()[o]);
    const Ref from = read(value, Layout::plain);
    const Ref place{Space::output, o, 0};
    Storage& storage = storages_[from.index];
    if (!is_u8(value) && storage.place.space == Space::none && storage.bytes == info(value).bytes) {
      storage.place = place;
      continue;
    }
    constexpr uint32_t last = kMaxDims - 1;
    Instruction i;
    i.op = is_u8(value) ? Op::flip_sign : value.dtype() == QUOIN_F32 ? Op::copy_f32 : Op::copy_u8;
    i.x = from;
    i.y = place;
    i.rows = 1;
    i.n = value.numel();
    std::fill(std::begin(i.dims), std::end(i.dims), 1);
    i.dims[last] = value.numel();
    i.x_strides[last] = i.y_strides[last] = 1;
    i.follows = follows(value, kFollowN | kFollowDims << last);
    emit(i);
  }
}

// Largest first, at the lowest offset where nothing alive at the same time lies.
uint64_t Builder::plan_scratch() {
  for (size_t n = 0; n < instructions_.size(); ++n)
    for_each_ref(instructions_[n], [&](const Ref& r) {
      if (r.space != Space::scratch) return;
      Storage& s = storages_[r.index];
      s.first = std::min(s.first, n);
      s.last = std::max(s.last, n);
    });
  std::vector<uint32_t> order;
  for (uint32_t s = 0; s < storages_.size(); ++s)
    if (storages_[s].place.space == Space::none && storages_[s].first != SIZE_MAX) order.push_back(s);
  std::stable_sort(order.begin(), order.end(),
                   [&](uint32_t a, uint32_t b) { return storages_[a].bytes > storages_[b].bytes; });
  uint64_t total = 0;
  std::vector<uint32_t> placed;  // by offset
  for (const uint32_t s : order) {
    uint64_t offset = 0;
    for (const uint32_t p : placed) {
      const Storage& other = storages_[p];
      if (other.last < storages_[s].first || storages_[s].last < other.first) continue;
      if (offset + storages_[s].bytes <= other.place.offset) break;
      offset = std::max(offset, other.place.offset + aligned(other.bytes));
    }
    storages_[s].place = {Space::scratch, 0, offset};
    total = std::max(total, offset + aligned(storages_[s].bytes));
    placed.insert(
        std::upper_bound(placed.begin(), placed.end(), s,
                         [&](uint32_t a, uint32_t b) { return storages_[a].place.offset < storages_[b].place.offset; }),
        s);
  }
  return total;
}

void Builder::resolve() {
  for (Instruction& i : instructions_)
    for_each_ref(i, [&](Ref& r) {
      if (r.space != Space::scratch) return;
      const uint64_t inside = r.offset;
      r = storages_[r.index].place;
      r.offset += inside;
    });
}

void Builder::write_tensors() {
  for (const auto& ids : {graph.inputs(), graph.outputs()})
    for (const uint32_t id : ids) {
      const TensorInfo t = info(graph.value(id));
      blob_.bytes(&t, sizeof t);
    }
  blob_.align(kAlign);
}

void Builder::write_names() {
  blob_.bytes(named_infos_.data(), named_infos_.size() * sizeof(NamedInfo));
  blob_.bytes(keys_.data(), keys_.size());
  blob_.align(kAlign);
}

void Builder::finish() {
  write_outputs();
  Header header;
  header.num_inputs = static_cast<uint32_t>(graph.inputs().size());
  header.num_outputs = static_cast<uint32_t>(graph.outputs().size());
  header.num_instructions = static_cast<uint32_t>(instructions_.size());
  header.num_named = static_cast<uint32_t>(named_infos_.size());
  header.key_bytes = keys_.size();
  header.length = length_;
  header.scratch_bytes = aligned(plan_scratch());
  header.worker_bytes = aligned(worker_bytes_);
  resolve();
  data_.resize(aligned(data_.size() + kReadPadding));
  header.data_bytes = data_.size();
  blob_.bytes(&header, sizeof header);
  blob_.align(kAlign);
  write_tensors();
  write_names();
  blob_.bytes(instructions_.data(), instructions_.size() * sizeof(Instruction));
  blob_.align(kAlign);
  blob_.bytes(data_.data(), data_.size());
}

void compile(const sdk::Graph& graph, const quoin_host& host, sdk::Blob& blob) {
  std::map<std::string_view, const Emitter*> emitters;
  for (const auto& group : {convolution_emitters(), matrix_emitters(), elementwise_emitters(), pooling_emitters(),
                            movement_emitters(), language_emitters()})
    for (const Emitter& e : group) emitters[e.op] = &e;
  Builder builder(graph, host, blob);
  find_attentions(builder);
  for (uint32_t n = 0; n < graph.num_nodes(); ++n) {
    const sdk::Node node = graph.node(n);
    if (builder.is_done(node)) continue;
    const auto found = emitters.find(node.op());
    if (found == emitters.end()) throw sdk::Failure(QUOIN_INVALID, "cpu cannot compile " + std::string(node.op()));
    found->second->emit(builder, node);
  }
  builder.finish();
}

}  // namespace quoin::cpu
