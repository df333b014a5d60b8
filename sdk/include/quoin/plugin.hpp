// Header-only C++20 face of quoin/abi.h: write a class, name it in QUOIN_PLUGIN, and every rule of the ABI is met.
//
//   class Mine {
//    public:
//     Mine(const quoin_host& host, quoin::sdk::Params params);
//     // quantizer: presets, annotate; optional: passes, derive, `using Observers = std::tuple<MyObserver, ...>`
//     // compiler:  blob_format, partition, compile
//     // executor:  Delegate(Mine&, const Load&) with run; optional: Delegate::plan, Mine::reentrant
//     // kernels:   static kernels() (a span)
//     // options:   options, set_option, get_option;   extensions: static extensions()
//   };
//   QUOIN_PLUGIN(Mine, "mine", "1.0.0")
//
// A role exists exactly when the class satisfies its concept (Quantizes, Lowers, Runs); half a role does not compile.
// Inside the class failures are thrown as Failure; guard() turns them into statuses, nothing crosses the boundary.
// Depends on the standard library only; has no ABI of its own.
#pragma once

#include <quoin/graph.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <exception>
#include <new>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <vector>

namespace quoin::sdk {

// -- what the roles are given

struct QuantConfig {
  std::string_view preset;
  Params params;
};

class QuantRequest {
 public:
  explicit QuantRequest(const quoin_quant_request* from) : graph(from->graph), raw(from) {}
  bool is_qat() const { return raw->is_qat != 0; }
  // The preset and parameters the recipe chose for the node, or nothing: leave it in float.
  std::optional<QuantConfig> config(uint32_t node) const {
    const uint32_t index = node < graph.num_nodes() ? raw->node_config[node] : QUOIN_NONE;
    if (index == QUOIN_NONE) return std::nullopt;
    const quoin_quant_config c = Array<quoin_quant_config>(raw->configs)[index];
    return QuantConfig{view(c.preset), Params(c.params)};
  }
  const Graph graph;
  const quoin_quant_request* raw;
};

class Annotator {
 public:
  explicit Annotator(const quoin_annotator* raw) : raw_(raw) {}
  // False when the host refuses the place, because another quantizer was there first; throws on any other failure.
  bool set(quoin_place place, const quoin_qspec& spec) {
    const quoin_status status = raw_->set(raw_->self, place, &spec);
    if (status != QUOIN_OK && status != QUOIN_INVALID) throw Failure(status, "the host could not store an annotation");
    return status == QUOIN_OK;
  }
  bool input(uint32_t node, uint32_t slot, const quoin_qspec& spec) { return set({node, slot, 0, 0}, spec); }
  bool output(uint32_t node, uint32_t slot, const quoin_qspec& spec) { return set({node, slot, 1, 0}, spec); }
  void match(std::span<const uint32_t> nodes, std::string_view rule) {
    raw_->match(raw_->self, nodes.data(), static_cast<uint32_t>(nodes.size()), str(rule));
  }
  void skip(uint32_t node, std::string_view reason) { raw_->skip(raw_->self, node, str(reason)); }

 private:
  const quoin_annotator* raw_;
};

// What an observer of the plugin is to measure. Borrowed for the call of its constructor.
struct ObserverSpec {
  explicit ObserverSpec(const quoin_qspec& from)
      : dtype(from.dtype),
        scheme(from.scheme),
        axis(from.axis),
        group(from.group),
        qmin(from.qmin),
        qmax(from.qmax),
        symmetric((from.flags & QUOIN_SYMMETRIC) != 0),
        pow2_scale((from.flags & QUOIN_POW2_SCALE) != 0),
        eps(from.eps),
        params(from.observer_params),
        block(from.block, static_cast<size_t>(from.block_rank)) {}
  quoin_dtype dtype;
  uint32_t scheme;
  int32_t axis;
  uint32_t group;
  int32_t qmin, qmax;
  bool symmetric, pow2_scale;
  double eps;  // smallest scale; 0: 2^-23
  Params params;
  std::span<const int64_t> block;
};

// What an observer found: one scale per channel, group or block (one for the tensor); zero_point: as many, or none.
struct Scales {
  std::vector<float> scale;
  std::vector<int32_t> zero_point;
};

class LowerRequest {
 public:
  explicit LowerRequest(const quoin_lower_request* raw)
      : graph(raw->graph), params(raw->params), target_isa(raw->target_isa) {}
  const Graph graph;
  const Params params;
  const uint64_t target_isa;  // of the machine that will run the blob
};

class Claims {
 public:
  explicit Claims(const quoin_claims* raw) : raw_(raw) {}
  void claim(std::span<const uint32_t> nodes, std::string_view tag) {
    check(raw_->claim(raw_->self, nodes.data(), static_cast<uint32_t>(nodes.size()), str(tag)), "claim refused");
  }
  void decline(uint32_t node, std::string_view reason) { raw_->decline(raw_->self, node, str(reason)); }

 private:
  const quoin_claims* raw_;
};

// Writes a blob front to back; align() counts from its first byte, which the loader places on 64.
class Blob {
 public:
  explicit Blob(const quoin_blob_writer* raw) : raw_(raw) {}
  uint64_t size() const { return size_; }
  void bytes(const void* data, uint64_t size) {
    check(raw_->write(raw_->self, {data, size}), "the host could not store the blob");
    size_ += size;
  }
  template <class T>
  requires std::is_trivially_copyable_v<T>
  void put(const T& value) {
    static_assert(std::has_unique_object_representations_v<T> || std::is_floating_point_v<T>,
                  "padding bytes would make the blob differ from run to run");
    bytes(&value, sizeof value);
  }
  template <class T>
  void array(std::span<const T> items) {
    bytes(items.data(), items.size_bytes());
  }
  void align(uint64_t alignment) {  // a power of two, at most 64
    static constexpr char zeros[64] = {};
    bytes(zeros, (alignment - size_ % alignment) % alignment);
  }
  void named(std::string_view key, quoin_bytes data, uint64_t alignment) {
    check(raw_->named(raw_->self, str(key), data, alignment), "the host could not store named data");
  }
  // For a blob with code or layouts of one instruction set: where it is missing, the host does not even try.
  void needs_isa(uint64_t isa) {
    if (QUOIN_HAS(quoin_blob_writer, raw_, needs_isa)) raw_->needs_isa(raw_->self, isa);
  }

 private:
  const quoin_blob_writer* raw_;
  uint64_t size_ = 0;
};

// Cursor over untrusted bytes: every read is checked before it happens and throws CORRUPT past the end.
class Reader {
 public:
  explicit Reader(quoin_bytes bytes) : begin_(static_cast<const char*>(bytes.data)), size_(bytes.size) {}
  uint64_t position() const { return position_; }
  uint64_t rest() const { return size_ - position_; }
  template <class T>
  requires std::is_trivially_copyable_v<T> T get() {
    T out;
    std::memcpy(&out, take(1, sizeof out), sizeof out);
    return out;
  }
  template <class T>
  std::span<const T> array(uint64_t count) {  // in place, no copy
    const char* at = take(count, sizeof(T));
    if (reinterpret_cast<uintptr_t>(at) % alignof(T) != 0) throw Failure(QUOIN_CORRUPT, "blob field is misaligned");
    return {reinterpret_cast<const T*>(at), static_cast<size_t>(count)};
  }
  void align(uint64_t alignment) { take((alignment - position_ % alignment) % alignment, 1); }

 private:
  const char* take(uint64_t count, uint64_t size) {
    if (count > rest() / size) throw Failure(QUOIN_CORRUPT, "blob is truncated at byte " + std::to_string(position_));
    const char* at = begin_ + position_;
    position_ += count * size;
    return at;
  }
  const char* begin_;
  uint64_t size_, position_ = 0;
};

class Load {
 public:
  explicit Load(const quoin_load_request* from) : blob(from->blob), params(from->params), raw(from) {}
  quoin_bytes named(std::string_view key) const {
    quoin_bytes out{};
    check(raw->named(raw->self, str(key), &out), "named data is missing");
    return out;
  }
  const quoin_bytes blob;  // mapped until the delegate is destroyed
  const Params params;
  const quoin_load_request* raw;
};

class Run {
 public:
  explicit Run(const quoin_run* from) : raw(sized(from)), inputs(raw.inputs), outputs(raw.outputs) {}
  bool cancelled() const { return raw.cancel != nullptr && __atomic_load_n(raw.cancel, __ATOMIC_RELAXED) != 0; }
  const quoin_run raw;
  const Array<quoin_tensor> inputs, outputs;
};

// One profiled span, from construction to destruction; costs a branch when profiling is off.
class Event {
 public:
  Event(const quoin_profiler* profiler, std::string_view name, uint64_t debug_id) : profiler_(profiler) {
    if (profiler_ != nullptr) token_ = profiler_->begin(profiler_->self, str(name), debug_id);
  }
  ~Event() {
    if (profiler_ != nullptr) profiler_->end(profiler_->self, token_);
  }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

 private:
  const quoin_profiler* profiler_;
  uint64_t token_ = 0;
};

// body(begin, end, worker) over pieces of [0, count). It runs on the host's threads, so it must not throw.
template <class F>
void parallel_for(const quoin_host& host, uint64_t count, uint64_t grain, F&& body) {
  static_assert(std::is_nothrow_invocable_v<F&, uint64_t, uint64_t, uint32_t>,
                "parallel_for: body(uint64_t begin, uint64_t end, uint32_t worker) must be noexcept");
  const auto call = [](void* f, uint64_t begin, uint64_t end, uint32_t worker) {
    (*static_cast<std::remove_reference_t<F>*>(f))(begin, end, worker);
  };
  host.parallel_for(host.self, count, grain, call, const_cast<void*>(static_cast<const void*>(&body)));
}
inline void log(const quoin_host& host, int32_t level, std::string_view text) { host.log(host.self, level, str(text)); }

}  // namespace quoin::sdk

#include <quoin/plugin_table.hpp>
