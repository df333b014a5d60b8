#include "execute.hpp"

#include <algorithm>

#include "geometry.hpp"

namespace quoin::npu {
namespace {

constexpr std::string_view kNames[] = {"load", "store", "convolve", "depthwise", "max_pool", "average", "add", "move"};

std::string text(std::span<const int64_t> dims) {
  std::string out = "[";
  for (const int64_t d : dims) out += (out.size() > 1 ? ", " : "") + std::to_string(d);
  return out + "]";
}

// One run: its memory and its tensors.
class Device {
 public:
  Device(const quoin_host& host, const Program& program, const sdk::Run& run)
      : host_(host), program_(program), run_(run), memory_(static_cast<char*>(run.raw.scratch)) {}

  void execute(const Command& c) const {
    const sdk::Event event(run_.raw.profiler, kNames[static_cast<uint32_t>(c.kind)], c.debug_id);
    if (c.y_bytes == 1)
      dispatch(c, kernels().s8);
    else
      dispatch(c, kernels().s16);
  }

 private:
  template <class T>
  void dispatch(const Command& c, const Kernels<T>& k) const {
    switch (c.kind) {
      case Kind::load: {
        const T* port = static_cast<const T*>(run_.inputs[static_cast<uint32_t>(c.x)].data);
        T* y = tensor<T>(c.y);
        return each(blocks(c.out.channels), [&](int32_t b) { k.load(c, b, port, y + b * block_elements(c.out)); });
      }
      case Kind::store: {
        T* port = static_cast<T*>(run_.outputs[static_cast<uint32_t>(c.y)].data);
        const T* x = tensor<T>(c.x);
        return each(blocks(c.in.channels), [&](int32_t b) { k.store(c, b, x + b * block_elements(c.in), port); });
      }
      case Kind::add:
        return each(blocks(c.out.channels), [&](int32_t b) {
          const int64_t size = block_elements(c.out), at = b * size;
          k.add(c, size, tensor<T>(c.x) + at, tensor<T>(c.x2) + at, tensor<T>(c.y) + at);
        });
      case Kind::move:
        return each(blocks(c.in.channels), [&](int32_t b) {
          T* y = tensor<T>(c.y) + (b + c.first_block) * block_elements(c.out);
          if (c.x_bytes == 1)
            move(c, k.move_from_s8, tensor<int8_t>(c.x) + b * block_elements(c.in), y);
          else
            move(c, k.move_from_s16, tensor<int16_t>(c.x) + b * block_elements(c.in), y);
        });
      default:
        return window(c, k);
    }
  }

  // Rows of one block; those above and below the operand are padding.
  template <class From, class T>
  static void move(const Command& c, void (*row)(const Command&, const From*, T*), const From* x, T* y) {
    const int64_t x_row = int64_t{c.in.width} * kLanes, y_row = int64_t{c.out.width} * kLanes;
    for (int32_t h = 0; h < c.out.height; ++h) {
      const int32_t from = h - c.pad_top;
      row(c, from >= 0 && from < c.in.height ? x + from * x_row : nullptr, y + h * y_row);
    }
  }

  // Bands of rows times blocks of the result. A core keeps its band on chip while it walks over blocks that read it.
  template <class T>
  void window(const Command& c, const Kernels<T>& k) const {
    const int32_t count = blocks(c.out.channels), bands = (c.out.height + c.band_rows - 1) / c.band_rows;
    const auto items = static_cast<uint64_t>(bands) * static_cast<uint64_t>(count);
    const uint64_t workers = host_.workers(host_.self);
    const auto body = [&](uint64_t item, uint64_t end, uint32_t worker) noexcept {
      T* sram = reinterpret_cast<T*>(memory_ + program_.header.arena_bytes + worker * program_.header.sram_bytes);
      for (int32_t fetched = -1; item < end && !run_.cancelled(); ++item) {
        const auto band = static_cast<int32_t>(item / count), block = static_cast<int32_t>(item % count);
        const int32_t first = band * c.band_rows, rows = std::min(c.band_rows, c.out.height - first);
        if (c.kind != Kind::convolve)
          k.fetch(c, {block, first, rows}, tensor<T>(c.x), sram);
        else if (fetched != band)
          k.fetch(c, {0, first, rows}, tensor<T>(c.x), sram);
        fetched = band;
        T* y = tensor<T>(c.y) + block * block_elements(c.out) + int64_t{first} * c.out.width * kLanes;
        compute(c, k, {block, first, rows}, sram, y);
      }
    };
    sdk::parallel_for(host_, items, (items + workers - 1) / workers, body);
  }

  template <class T>
  void compute(const Command& c, const Kernels<T>& k, const typename Kernels<T>::Band& band, const T* sram,
               T* y) const {
    if (c.kind == Kind::max_pool) return k.max_pool(c, band.rows, sram, y);
    if (c.kind == Kind::average) return k.average(c, band.rows, sram, y);
    const typename Kernels<T>::Weights weights{
        reinterpret_cast<const int8_t*>(program_.data + c.weights) + band.block * weight_block_bytes(c),
        reinterpret_cast<const Lanes*>(program_.data + c.lanes) + band.block};
    (c.kind == Kind::convolve ? k.convolve : k.depthwise)(c, band.rows, sram, weights, y);
  }

  // body(block) for every block of channels, until the run is cancelled.
  template <class F>
  void each(int32_t count, const F& body) const {
    sdk::parallel_for(host_, static_cast<uint64_t>(count), 1, [&](uint64_t b, uint64_t end, uint32_t) noexcept {
      for (; b < end && !run_.cancelled(); ++b) body(static_cast<int32_t>(b));
    });
  }

  template <class T>
  T* tensor(uint64_t offset) const {
    return reinterpret_cast<T*>(memory_ + offset);
  }

  const quoin_host& host_;
  const Program& program_;
  const sdk::Run& run_;
  char* const memory_;
};

}  // namespace

Executor::Executor(const quoin_host& host, const sdk::Load& load) : host_(host), program_(read_program(load.blob)) {}

uint64_t Executor::scratch_bytes() const {
  return program_.header.arena_bytes + program_.header.sram_bytes * host_.workers(host_.self);
}

void Executor::check_port(const quoin_tensor& tensor, const Port& port, const char* what) const {
  const std::span<const int64_t> dims(tensor.dims, tensor.rank), expected(port.dims, port.rank);
  if (tensor.dtype != port.dtype || !std::ranges::equal(dims, expected))
    throw sdk::Failure(QUOIN_UNSUPPORTED,
                       std::string(what) + " was compiled for " + text(expected) + ", found " + text(dims));
}

void Executor::plan(sdk::Array<quoin_tensor> inputs, sdk::Array<quoin_tensor> outputs, quoin_memory_need& need) const {
  const uint32_t num_inputs = program_.header.num_inputs;
  if (inputs.size() != num_inputs || outputs.size() != program_.header.num_outputs)
    throw sdk::Failure(QUOIN_INVALID, "number of inputs or outputs differs from the compiled graph");
  for (uint32_t i = 0; i < inputs.size(); ++i) check_port(inputs[i], program_.ports[i], "input");
  for (uint32_t o = 0; o < outputs.size(); ++o) {
    const quoin_tensor tensor = outputs[o];
    const Port& port = program_.ports[num_inputs + o];
    if (tensor.dtype != port.dtype || tensor.rank != port.rank)
      throw sdk::Failure(QUOIN_UNSUPPORTED, "an output has another type or rank than compiled");
    std::copy_n(port.dims, port.rank, tensor.dims);
  }
  need.alignment = kAlign;
  need.persistent = 0;
  need.scratch = scratch_bytes();
}

void Executor::run(const sdk::Run& run) const {
  const uint32_t num_inputs = program_.header.num_inputs;
  if (run.inputs.size() != num_inputs || run.outputs.size() != program_.header.num_outputs ||
      run.raw.scratch_size < scratch_bytes() || reinterpret_cast<uintptr_t>(run.raw.scratch) % kAlign != 0)
    throw sdk::Failure(QUOIN_INVALID, "inputs, outputs or scratch are not what plan() asked for");
  for (uint32_t n = 0; n < program_.ports.size(); ++n) {
    const quoin_tensor tensor = n < num_inputs ? run.inputs[n] : run.outputs[n - num_inputs];
    if (tensor.data == nullptr || tensor.size != port_bytes(program_.ports[n]))
      throw sdk::Failure(QUOIN_INVALID, "a tensor has another size than planned");
  }
  const Device device(host_, program_, run);
  for (const Command& command : program_.commands) {
    if (run.cancelled()) throw sdk::Failure(QUOIN_CANCELLED, "cancelled");
    device.execute(command);
  }
  if (run.cancelled()) throw sdk::Failure(QUOIN_CANCELLED, "cancelled");
}

}  // namespace quoin::npu
