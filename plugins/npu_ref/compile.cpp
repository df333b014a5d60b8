// Graph to command stream: one command per layer, padding in front of a window and clamps behind it folded in.
#include "compile.hpp"

#include <quoin/layers.hpp>

#include <map>
#include <set>

#include "checks.hpp"
#include "geometry.hpp"
#include "memory.hpp"
#include "nodes.hpp"
#include "rules.hpp"

namespace quoin::npu {
namespace {

using sdk::Node, sdk::Value;

class Compiler {
 public:
  Compiler(const sdk::Graph& graph, const Options& options) : graph_(graph), options_(options) {}

  void run() {
    for (uint32_t i = 0; i < graph_.inputs().size(); ++i) load(i);
    for (uint32_t n = 0; n < graph_.num_nodes(); ++n)
      if (!done_.contains(n)) node(graph_.node(n));
    for (uint32_t o = 0; o < graph_.outputs().size(); ++o) store(o);
  }
  void write(sdk::Blob& blob);

 private:
  // -- tensors

  uint64_t tensor_of(const Value& v) const {
    const auto found = tensors_.find(v.id());
    if (found == tensors_.end())
      throw sdk::Failure(QUOIN_INVALID, "'" + std::string(sdk::view(v.raw.name)) + "' is used before it is made");
    return found->second;
  }
  uint64_t make_tensor(const Value& v) {
    const uint64_t id = memory_.add(tensor_bytes(*device_shape(v.dims()), element_bytes(v)));
    tensors_[v.id()] = id;
    return id;
  }
  // Until write(), the fields x, x2 and y of a command name tensors.
  void emit(const Command& c) {
    if (c.kind != Kind::load) memory_.use(c.x, commands_.size());
    if (c.kind == Kind::add) memory_.use(c.x2, commands_.size());
    if (c.kind != Kind::store) memory_.use(c.y, commands_.size());
    commands_.push_back(c);
  }

  // -- ports

  void load(uint32_t port) {
    const Value v = graph_.value(graph_.inputs()[port]);
    Command c;
    c.kind = Kind::load;
    c.x_bytes = c.y_bytes = element_bytes(v);
    c.in = c.out = *device_shape(v.dims());
    c.x = port;
    c.y = make_tensor(v);
    emit(c);
  }
  void store(uint32_t port) {
    const Value v = graph_.value(graph_.outputs()[port]);
    Command c;
    c.kind = Kind::store;
    c.x_bytes = c.y_bytes = element_bytes(v);
    c.in = c.out = *device_shape(v.dims());
    c.x = tensor_of(v);
    c.y = port;
    emit(c);
  }

  // -- nodes

  void node(const Node& n) {
    const std::string_view op = n.op();
    if (is_window(n)) return window(n);
    if (op == "aten.add.Tensor") return add(n);
    if (op == "aten.cat.default") return cat(n);
    if (op == "aten.pad.default") return pad(n);
    if (sdk::clamp_of(n) || op == "quoin.requantize.default") return move(n);
    tensors_[graph_.output(n).id()] = tensor_of(graph_.input(n, 0));  // a view
  }

  // The result of a node, or of the clamp that alone reads it; sets the range of the result.
  Value result_of(const Node& n, Command& c) {
    Value y = graph_.output(n);
    const auto next = options_.fuse() ? graph_.single_user(y) : std::nullopt;
    auto bounds = clamp_bounds(n, *y.qparams());
    if (!bounds && next && sdk::clamp_of(*next)) {
      done_.insert(next->id());
      y = graph_.output(*next);
      bounds = clamp_bounds(*next, *y.qparams());
    }
    c.low = bounds ? bounds->low : y.qparams()->qmin;
    c.high = bounds ? bounds->high : y.qparams()->qmax;
    c.y_bytes = element_bytes(y);
    return y;
  }

  Command command(Kind kind, const Node& n) const {
    const Value x = graph_.input(n, 0), y = graph_.output(n);
    Command c;
    c.kind = kind;
    c.x_bytes = element_bytes(x);
    c.debug_id = n.raw.debug_id;
    c.in = *device_shape(x.dims());
    c.out = *device_shape(y.dims());
    return c;
  }

  void window(const Node& n) {
    Command c = window_command(graph_, n);
    Value x = graph_.input(n, 0);
    if (const auto pad = fused_pad(x, c)) {
      x = graph_.input(*pad, 0);
      c.in = *device_shape(x.dims());
      c.pad_top += padding_of(*pad)->top;
      c.pad_left += padding_of(*pad)->left;
    }
    if (c.kind == Kind::convolve || c.kind == Kind::depthwise) pack(n, c);
    if (c.kind == Kind::average) {
      c.divisor = static_cast<int32_t>(n.attrs().integer("divisor_override", c.kernel_h * c.kernel_w));
      set_shifts(exponent(x), exponent(graph_.output(n)), c);
    }
    c.x = tensor_of(x);
    c.y = make_tensor(c.kind == Kind::max_pool ? plain_result(n, c) : result_of(n, c));
    c.band_rows = c.out.height;
    while (c.band_rows > 1 && sram_need(c, c.band_rows) > options_.sram_bytes()) --c.band_rows;
    sram_bytes_ = std::max(sram_bytes_, sram_need(c, c.band_rows));
    emit(c);
  }

  Value plain_result(const Node& n, Command& c) const {
    const Value y = graph_.output(n);
    c.low = y.qparams()->qmin;
    c.high = y.qparams()->qmax;
    return y;
  }

  // The pad node that made `x`, if it only serves this convolution and stays within its window.
  std::optional<Node> fused_pad(const Value& x, const Command& c) const {
    const auto made = graph_.producer(x);
    return made && fuses(*made) && (c.kind == Kind::convolve || c.kind == Kind::depthwise) ? made : std::nullopt;
  }
  bool fuses(const Node& pad) const {
    if (!options_.fuse() || pad.op() != "aten.pad.default") return false;
    const auto reader = graph_.single_user(graph_.output(pad));
    if (!reader || reader->op() != "aten.conv2d.default") return false;
    const Command c = window_command(graph_, *reader);
    const Padding p = *padding_of(pad);
    return p.top + c.pad_top < c.kernel_h && p.left + c.pad_left < c.kernel_w;
  }

  void pad(const Node& n) {
    if (fuses(n)) return;
    Command c = command(Kind::move, n);
    const Padding p = *padding_of(n);
    c.pad_top = p.top;
    c.pad_left = p.left;
    c.x = tensor_of(graph_.input(n, 0));
    c.y = make_tensor(plain_result(n, c));
    c.y_bytes = c.x_bytes;
    emit(c);
  }

  void move(const Node& n) {
    Command c = command(Kind::move, n);
    set_shifts(exponent(graph_.input(n, 0)), exponent(graph_.output(n)), c);
    c.x = tensor_of(graph_.input(n, 0));
    c.y = make_tensor(result_of(n, c));
    emit(c);
  }

  void cat(const Node& n) {
    const uint64_t y = make_tensor(graph_.output(n));
    int32_t block = 0;
    for (uint32_t slot = 0; slot < n.inputs().size(); ++slot) {
      Command c = command(Kind::move, n);
      plain_result(n, c);
      c.y_bytes = c.x_bytes;
      c.in = *device_shape(graph_.input(n, slot).dims());
      c.x = tensor_of(graph_.input(n, slot));
      c.y = y;
      c.first_block = block;
      block += blocks(c.in.channels);
      emit(c);
    }
  }

  void add(const Node& n) {
    Command c = command(Kind::add, n);
    const int32_t a = exponent(graph_.input(n, 0)), b = exponent(graph_.input(n, 1)), y = exponent(graph_.output(n));
    const int32_t low = std::min({a, b, y});
    c.left = a - low;
    c.left2 = b - low;
    c.right = y - low;
    c.x = tensor_of(graph_.input(n, 0));
    c.x2 = tensor_of(graph_.input(n, 1));
    c.y = make_tensor(result_of(n, c));
    emit(c);
  }

  static void set_shifts(int32_t from, int32_t to, Command& c) {
    const Shifts s = shifts(from, to);
    c.left = s.left;
    c.right = s.right;
  }

  void pack(const Node& n, Command& c);

  const sdk::Graph& graph_;
  const Options& options_;
  std::map<uint32_t, uint64_t> tensors_;  // value -> tensor
  std::set<uint32_t> done_;               // clamps computed by the node before them
  Memory memory_;
  std::vector<Command> commands_;
  std::vector<char> data_;
  uint64_t sram_bytes_ = 0;
};

// Weights and lane parameters in the order in which the device reads them, one block of output channels at a time.
void Compiler::pack(const Node& n, Command& c) {
  const Value w = graph_.input(n, 1), x = graph_.input(n, 0), y = graph_.output(n);
  const auto weights = w.constant<int8_t>();
  const std::span<const int32_t> bias =
      n.has_input(2) ? graph_.input(n, 2).constant<int32_t>() : std::span<const int32_t>();
  const auto scales = w.qparams()->scale;
  const size_t depth = c.kind == Kind::convolve ? static_cast<size_t>(c.in.channels) : 1;
  const size_t taps = static_cast<size_t>(c.kernel_h) * c.kernel_w, count = blocks(c.out.channels);
  const auto append = [&](uint64_t bytes) {
    const uint64_t at = data_.size();
    data_.resize(aligned(at + bytes));
    return at;
  };
  c.weights = append(count * weight_block_bytes(c));
  c.lanes = append(count * sizeof(Lanes));
  std::vector<Lanes> lanes(count);
  for (size_t o = 0; o < static_cast<size_t>(c.out.channels); ++o) {
    const size_t block = o / kLanes, lane = o % kLanes;
    char* to = data_.data() + c.weights + block * weight_block_bytes(c) + lane;
    for (size_t i = 0; i < depth; ++i) {
      const size_t first = i / kLanes * kLanes, width = std::min<size_t>(kLanes, depth - first);
      for (size_t tap = 0; tap < taps; ++tap)  // [blocks of x][taps][channels of the block]
        to[((first * taps) + tap * width + (i - first)) * kLanes] =
            static_cast<char>(weights[(o * depth + i) * taps + tap]);
    }
    lanes[block].bias[lane] = bias.empty() ? 0 : bias[o];
    lanes[block].shift[lane] = exponent(y) - exponent(x) - *exponent_of(scales[scales.size() == 1 ? 0 : o]);
  }
  std::memcpy(data_.data() + c.lanes, lanes.data(), count * sizeof(Lanes));
}

Port port_of(const Value& v) {
  Port p;
  p.dtype = v.dtype();
  p.rank = v.raw.rank;
  std::copy(v.dims().begin(), v.dims().end(), p.dims);
  return p;
}

void Compiler::write(sdk::Blob& blob) {
  Header header;
  header.num_inputs = static_cast<uint32_t>(graph_.inputs().size());
  header.num_outputs = static_cast<uint32_t>(graph_.outputs().size());
  header.num_commands = static_cast<uint32_t>(commands_.size());
  header.arena_bytes = memory_.plan();
  header.sram_bytes = sram_bytes_;
  header.data_bytes = data_.size();
  blob.put(header);
  blob.align(kAlign);
  for (const auto ids : {graph_.inputs(), graph_.outputs()})
    for (const uint32_t id : ids) blob.put(port_of(graph_.value(id)));
  blob.align(kAlign);
  for (Command c : commands_) {
    if (c.kind != Kind::load) c.x = memory_.offset(c.x);
    if (c.kind == Kind::add) c.x2 = memory_.offset(c.x2);
    if (c.kind != Kind::store) c.y = memory_.offset(c.y);
    blob.put(c);
  }
  blob.align(kAlign);
  blob.bytes(data_.data(), data_.size());
}

}  // namespace

void partition(const sdk::Graph& graph, const Options& options, sdk::Claims& claims) {
  sdk::Regions regions(graph);
  for (uint32_t i = 0; i < graph.num_nodes(); ++i) {
    const Node node = graph.node(i);
    std::string reason = rules().why_not(graph, node);
    if (reason.empty()) reason = check_memory(graph, node, options);
    if (!reason.empty()) claims.decline(i, reason);
    regions.add(i, reason.empty());
  }
  for (const auto& [first, nodes] : regions.all()) claims.claim(nodes, "npu_ref." + std::to_string(first));
}

void compile(const sdk::Graph& graph, const Options& options, sdk::Blob& blob) {
  Compiler compiler(graph, options);
  compiler.run();
  compiler.write(blob);
}

}  // namespace quoin::npu
