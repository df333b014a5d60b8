// What each instruction of a blob means: how it is checked before anything runs, and how it runs. One row per Op in the
// tables of execute_*.cpp.
#pragma once

#include <array>
#include <quoin/plugin.hpp>
#include <string_view>
#include <vector>

#include "kernels/kernels.hpp"
#include "program.hpp"

namespace quoin::cpu {

// Sizes in bytes of every region a Ref can name.
struct Regions {
  uint64_t scratch = 0, worker = 0, data = 0;
  std::vector<uint64_t> named, inputs, outputs;
};

// Untrusted numbers: every helper throws CORRUPT before a value is used that could leave its region.
class Checker {
 public:
  Checker(const Regions& regions, uint32_t index) : regions_(regions), index_(index) {}
  [[noreturn]] void fail(const char* what) const;
  void require(bool holds, const char* what) const {
    if (!holds) fail(what);
  }
  void size(int64_t value, const char* what, int64_t low = 1) const { require(value >= low && value <= kMax, what); }
  // Elements spanned by `rows` rows of `cols`, `stride` apart.
  int64_t span(int64_t rows, int64_t stride, int64_t cols) const { return add(mul(rows - 1, stride), cols); }
  int64_t mul(int64_t a, int64_t b) const;
  int64_t add(int64_t a, int64_t b) const;
  // `count` elements are read or written from the Ref on. u8 operands of kernels are read kReadPadding further.
  template <class T>
  void reads(const Ref& ref, int64_t count, int64_t padding = sizeof(T) == 1 ? kReadPadding : 0) const {
    inside(ref, add(mul(count, sizeof(T)), padding), sizeof(T), false);
  }
  template <class T>
  void writes(const Ref& ref, int64_t count) const {
    inside(ref, mul(count, sizeof(T)), sizeof(T), true);
  }
  // Parameters in data or beside the blob, aligned for vector loads.
  template <class T>
  void parameters(const Ref& ref, int64_t count) const {
    require((ref.space == Space::data || ref.space == Space::named) && ref.offset % kAlign == 0,
            "a parameter is not in the data");
    inside(ref, mul(count, sizeof(T)), sizeof(T), false);
  }
  void worker(uint64_t bytes) const { require(bytes <= regions_.worker, "too little memory per worker"); }
  void u8_range(const Instruction& i) const;  // zero points and bounds
  void window(const Instruction& i) const;

 private:
  static constexpr int64_t kMax = int64_t{1} << 40;
  void inside(const Ref& ref, int64_t bytes, size_t alignment, bool write) const;
  const Regions& regions_;
  uint32_t index_;
};

// One run: where the regions are, and the threads.
class Context {
 public:
  const KernelTable& kernels;
  const quoin_host& host;
  uint32_t workers;
  char* scratch;
  char* worker_memory;
  uint64_t worker_bytes;
  const char* data;
  std::span<const char* const> named;
  std::span<char*const> inputs, outputs;
  const uint32_t* cancel;  // null: the run cannot be cancelled

  template <class T>
  T* at(const Ref& ref, int64_t offset = 0) const {
    return reinterpret_cast<T*>(base(ref) + ref.offset) + offset;
  }
  template <class T>
  T* worker(uint32_t index) const {
    return reinterpret_cast<T*>(worker_memory + index * worker_bytes);
  }
  bool cancelled() const { return cancel != nullptr && __atomic_load_n(cancel, __ATOMIC_RELAXED) != 0; }
  // One thread, and nobody who might stop it: work is not cut into pieces.
  bool runs_alone() const { return workers == 1 && cancel == nullptr; }
  // body(begin, end, worker), noexcept. Small counts run here and now. Pieces that have not begun when the run is
  // cancelled are left out; whoever started the run sees the flag, too, and gives no result.
  template <class F>
  void parallel(int64_t count, int64_t grain, const F& body) const {
    if (count <= grain || runs_alone()) return body(uint64_t{0}, static_cast<uint64_t>(count), 0u);
    const auto unless_cancelled = [&](uint64_t begin, uint64_t end, uint32_t worker) noexcept {
      if (!cancelled()) body(begin, end, worker);
    };
    if (workers > 1)
      return sdk::parallel_for(host, static_cast<uint64_t>(count), static_cast<uint64_t>(grain), unless_cancelled);
    constexpr int64_t kLooks = 16;  // at the flag, per instruction: each piece may cost a packing of its own
    const int64_t pieces = (count + grain - 1) / grain, step = (pieces + kLooks - 1) / kLooks * grain;
    for (int64_t begin = 0; begin < count; begin += step)
      unless_cancelled(static_cast<uint64_t>(begin), static_cast<uint64_t>(std::min(begin + step, count)), 0u);
  }

 private:
  char* base(const Ref& ref) const {
    switch (ref.space) {
      case Space::scratch:
        return scratch;
      case Space::data:
        return const_cast<char*>(data);  // checked: only ever read
      case Space::named:
        return const_cast<char*>(named[ref.index]);
      case Space::input:
        return inputs[ref.index];
      case Space::output:
        return outputs[ref.index];
      case Space::none:
        break;
    }
    return nullptr;
  }
};

struct Operation {
  Op op;
  std::string_view name;  // of profile events
  void (*check)(const Instruction&, const Checker&);
  void (*run)(const Instruction&, const Context&);
};
std::span<const Operation> convolution_operations();
std::span<const Operation> matrix_operations();
std::span<const Operation> elementwise_operations();
std::span<const Operation> pooling_operations();
std::span<const Operation> movement_operations();
std::span<const Operation> grouped_operations();
std::span<const Operation> language_operations();
std::span<const Operation> sdpa_operations();

// nullptr for a code that no operation has.
const Operation* find_operation(Op op);

}  // namespace quoin::cpu
