// What the emitters of compile_*.cpp write to: turns values into buffers with layouts, collects instructions and data,
// plans the scratch and writes the blob.
#pragma once

#include <array>
#include <cstring>
#include <functional>
#include <map>
#include <optional>
#include <quoin/layers.hpp>
#include <set>
#include <utility>
#include <vector>

#include "kernels/kernels.hpp"
#include "program.hpp"

namespace quoin::cpu {

using Dims = std::vector<int64_t>;

// Order of the bytes of a value: as the graph says, or (rank 4 only) with channels last.
enum class Layout { plain, nhwc };

using sdk::Clamp, sdk::clamp_of;

// Integer bounds of a typed result in the u8 domain: its range cut by a fused clamp.
struct Range {
  int32_t zero = 0, low = 0, high = 255;
};
Range u8_range(const sdk::QParams& q, const Clamp& clamp = {});
inline int32_t u8_zero(const sdk::QParams& q) { return q.zero_point() + 128; }

// The integers of a constant weight, row by row; types of 2 and 4 bits are unpacked.
std::vector<int8_t> integers(const sdk::Value& weight);

int64_t product(std::span<const int64_t> dims);
Dims dense_strides(std::span<const int64_t> dims);
int64_t wrap(int64_t dim, size_t rank);  // a negative dim counts from the end

// A zero padding in front of a convolution that the convolution does itself.
struct Padding {
  uint32_t source = QUOIN_NONE;  // the value before the pad
  int32_t top = 0, left = 0;     // bottom and right follow from the size of the result
};

// softmax(q k^T * scale + mask) v for every head of every image; the result is written in the order of its readers.
struct Sdpa {
  struct Operand {
    uint32_t value = QUOIN_NONE;
    int64_t batch = 0, head = 0, row = 0;  // strides of [batch, heads, rows, width] in the value's bytes
  };
  Operand q, k, v, y;
  uint32_t mask = QUOIN_NONE;
  float scale = 1;
  int64_t batch = 0, heads = 0, width = 0;  // width: of v and the result
  std::array<int64_t, 3> lengths{};         // rows of q, rows of k, width of both
};

// While building, a Ref into scratch has the storage in `index` and an offset inside it; finish() places storages.
class Builder {
 public:
  // Named data goes to `out` while instructions are emitted, the blob itself by finish().
  // Throws UNSUPPORTED where another dim than the first follows the length of a run; the rules decline such nodes.
  Builder(const sdk::Graph& g, const quoin_host& h, sdk::Blob& out);
  const sdk::Graph& graph;
  const quoin_host& host;

  // -- values
  // The value's buffer in a layout; emits the conversion on first use. Quantized values are u8.
  Ref read(const sdk::Value& value, Layout layout);
  // A new buffer for the value.
  Ref write(const sdk::Value& value, Layout layout);
  // The value in plain layout has the bytes that `same` has in `layout`.
  void alias(const sdk::Value& value, const sdk::Value& same, Layout layout = Layout::plain);
  // The layout the value exists in now (channels last where it exists in both).
  Layout layout(const sdk::Value& value) const;
  // Channels last when some reader works on images.
  Layout wanted(const sdk::Value& value) const;
  // Element strides of the value's dims in the given layout.
  static Dims strides(const sdk::Value& value, Layout layout);
  static bool is_u8(const sdk::Value& value) { return value.raw.qparams != nullptr; }
  static uint64_t element_size(const sdk::Value& value) {
    return value.dtype() == QUOIN_S64 ? sizeof(int64_t) : value.dtype() == QUOIN_F32 ? sizeof(float) : 1;
  }
  // `bits` where the value's first dim follows the length of a run: for Instruction::follows.
  static uint64_t follows(const sdk::Value& value, uint64_t bits) { return value.is_dynamic(0) ? bits : 0; }

  Ref temporary(uint64_t bytes);
  // Every worker gets at least this much memory of its own.
  void need_worker(uint64_t bytes) { worker_bytes_ = std::max(worker_bytes_, bytes); }

  // -- data
  // Zeroed room in the data segment; valid to write through until the next call.
  template <class T>
  std::pair<Ref, T*> room(int64_t count) {
    data_.resize((data_.size() + kAlign - 1) / kAlign * kAlign);
    const Ref ref{Space::data, 0, data_.size()};
    data_.resize(data_.size() + static_cast<size_t>(count) * sizeof(T));
    return {ref, reinterpret_cast<T*>(data_.data() + ref.offset)};
  }
  // A per-channel array, padded as kernels.hpp asks.
  template <class T>
  Ref channels(std::span<const T> items);
  // Bytes of a constant in some layout, kept beside the blob under the constant's name and `layout`, so that all
  // delegates of a program share them. `fill` writes them, zeroed and aligned before; it is called once per key.
  Ref named(const sdk::Value& constant, const std::string& layout, uint64_t bytes,
            const std::function<void(std::byte*)>& fill);

  // -- nodes
  Instruction make(Op op, const sdk::Node& node) const {
    Instruction i;
    i.op = op;
    i.debug_id = node.raw.debug_id;
    return i;
  }
  void emit(const Instruction& i) { instructions_.push_back(i); }
  bool is_done(const sdk::Node& node) const { return done_.contains(node.id()); }
  // The result after a clamp that alone reads the node's result, which then counts as done; bounds are that clamp's.
  std::pair<sdk::Value, Clamp> through_clamp(const sdk::Node& node);
  void mark_done(const sdk::Node& node) { done_.insert(node.id()); }

  std::map<uint32_t, Padding> paddings;       // by the padded value
  std::map<uint32_t, uint32_t> transposed;    // result of a transpose of the last two dims -> its source
  std::map<uint32_t, uint32_t> row_paddings;  // value padded behind its rows -> the value before the pad
  std::map<uint32_t, Sdpa> attentions;        // by the product that ends them
  std::map<uint32_t, uint32_t> gates;  // result of a silu that the multiplication behind it computes -> its operand
  struct Rows {
    Ref x, scale, zero, sums;
  };
  // Dynamically quantized values by value, numerics::Dynamic and eps, and where they are in groups by the rest; shared
  // by their readers.
  using RowsKey = std::tuple<uint32_t, uint32_t, float, int64_t, int64_t, int32_t>;
  std::map<RowsKey, Rows> quantized_rows;
  std::map<std::tuple<uint32_t, uint32_t, float>, Ref> rope_tables;  // by positions, frequencies and scale

  // -- the end
  void finish();

 private:
  struct Storage {
    uint64_t bytes;
    Ref place;                          // where it is outside scratch; Space::none: planned
    size_t first = SIZE_MAX, last = 0;  // instructions that use it
  };
  using Key = std::pair<uint32_t, Layout>;

  uint32_t add_storage(uint64_t bytes, Ref place = {}) {
    storages_.push_back({bytes, place, SIZE_MAX, 0});
    return static_cast<uint32_t>(storages_.size() - 1);
  }
  static Ref ref(uint32_t storage) { return {Space::scratch, storage, 0}; }
  Ref import(const sdk::Value& value);
  Ref constant(const sdk::Value& value);
  void convert(const sdk::Value& value, Ref from, Ref to, Layout to_layout);
  void write_outputs();
  uint64_t plan_scratch();
  void resolve();
  TensorInfo info(const sdk::Value& value) const;
  void write_tensors();
  void write_names();

  sdk::Blob& blob_;
  int64_t length_ = 0;  // of the longest run; 0: no dim follows it
  std::vector<Storage> storages_;
  std::map<Key, uint32_t> where_;
  std::vector<Instruction> instructions_;
  std::vector<char> data_;
  std::map<std::string, uint32_t, std::less<>> named_;  // key -> index
  std::vector<NamedInfo> named_infos_;
  std::string keys_;
  std::set<uint32_t> done_;
  uint64_t worker_bytes_ = 0;
};

template <class T>
Ref Builder::channels(std::span<const T> items) {
  const auto count = static_cast<int64_t>(items.size());
  const auto [at, to] = room<T>((count + kChannelPadding - 1) / kChannelPadding * kChannelPadding);
  std::copy(items.begin(), items.end(), to);
  return at;
}

// -- emitters

// Emits the instructions of one node; may take clamps behind it along.
struct Emitter {
  std::string_view op;
  void (*emit)(Builder&, const sdk::Node&);
};
std::span<const Emitter> convolution_emitters();
std::span<const Emitter> matrix_emitters();
std::span<const Emitter> elementwise_emitters();
std::span<const Emitter> pooling_emitters();
std::span<const Emitter> movement_emitters();
std::span<const Emitter> language_emitters();

// linear and quoin.linear_dynamic whose weight has few bits in groups; embeddings (compile_grouped.cpp).
void emit_grouped_linear(Builder& b, const sdk::Node& node);
void emit_grouped_dynamic(Builder& b, const sdk::Node& node);
void emit_embedding(Builder& b, const sdk::Node& node);

// Fills Builder::attentions and marks the nodes before their last product as done.
void find_attentions(Builder& b);
void emit_sdpa(Builder& b, const sdk::Node& node, const Sdpa& attention);

// Moves elements: dims are those of the result, strides those of the operand behind them (0 repeats). `from_end`: the
// elements by which the place moves with the length of a run, where it counts from the end. Becomes an alias where
// nothing moves.
void emit_copy(Builder& b, const sdk::Node& node, const sdk::Value& x, Layout x_layout, const Dims& x_strides,
               int64_t x_offset, int64_t from_end = 0);

// bias folded with the operand's zero point, multiplier and zero_x of a typed conv2d or linear whose geometry is set.
void fill_integer_parameters(Builder& b, const sdk::Node& node, const sdk::Value& weight, Instruction& i);
// The bias of a float conv2d or linear, if it has one.
void fill_float_bias(Builder& b, const sdk::Node& node, Instruction& i);

// The whole graph of a claim. Throws INVALID for what no emitter knows.
void compile(const sdk::Graph& graph, const quoin_host& host, sdk::Blob& blob);

}  // namespace quoin::cpu
