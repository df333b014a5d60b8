// A program made ready to run: what devices link. Executable is the same for programs and tensors of our own.
#pragma once

#include <atomic>

#include "base/arena.hpp"
#include "runtime/method.hpp"
#include "runtime/prepare.hpp"
#include "runtime/setting.hpp"

namespace quoin::runtime {

// How one run ends early, and who looks on.
struct RunOptions {
  // Where not null: any thread stores non-zero (atomically) to end the run soon. Read between nodes and by delegates.
  uint32_t* stop = nullptr;
  uint64_t deadline_ns = 0;  // by the host's clock; 0: none. When it passes, kDeadlinePassed is stored in `stop`
  Observer* observer = nullptr;
};

// A program has methods, in its order; states (buffers that live between runs, such as key/value caches) belong to the
// object and are shared by its methods. They are zero at first, and after an error their content is unspecified.
// One call at a time per object, which is checked; several objects may share one program and pool. Program, `host` and
// the kernels of the setting must outlive it.
class Instance {
 public:
  explicit Instance(const view::Program& program, const quoin_host& host)
      : program_(program), host_(host), arena_({host.self, host.alloc, host.free}) {}
  ~Instance() {
    for (Method& method : methods_) close(method);
  }

  // Chooses and prepares kernels and delegates; comes first. Errors: program_version (delegate's plugin missing or too
  // old and no original stored), plugin, unsupported, limit.
  bool prepare(Setting& setting, Fault& fault);
  MemoryNeed need() const;
  // Must precede every run; a second call moves to other memory. States become zero. Errors: limit, input (what is
  // given is too small or misaligned); after one it must be called again.
  [[gnu::noinline]] bool plan(const Memory& memory, Fault& fault);
  // Runs of this length will not allocate, either: operators outside of delegates that follow the length are prepared
  // for it once and kept, as they are for the longest. Before plan(), so that need() includes it, or behind it. Errors:
  // input (no such length), those of prepare(); limit (the scratch memory that was given is too small for it).
  bool prepare_length(size_t method, int64_t length, Fault& fault);
  // Inputs by position, without the states. All dynamic dims of one run are equal: its length; what the change of the
  // length costs is paid in the first run of that length. Outputs: data, and in `size` how many bytes there are; the
  // run writes size and sets rank, dims (valid until the next run of the method) and type. Does not allocate, with
  // these exceptions: its observer does; it has another length than the run before, for which prepare_length() was not
  // called, and operators outside of delegates follow the length. Errors: input (count, dtype, shape, length, an output
  // that is too small; names it), plugin, cancelled.
  [[gnu::noinline]] bool run(size_t method, std::span<const quoin_tensor> inputs, std::span<quoin_tensor> outputs,
                             const RunOptions& options, Fault& fault);
  void reset_states();  // to zero

  const view::Program& program() const { return program_; }
  const quoin_host& host() const { return host_; }
  const Method& method(size_t i) const { return methods_[i]; }
  const Blocks& blocks() const { return blocks_; }

  // The parts of a run, for callers that make the outputs in between. One turn spans them.
  class Turn {
   public:
    explicit Turn(Instance& of) : busy_(of.busy_), mine_(busy_.exchange(1, std::memory_order_acquire) == 0) {}
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    ~Turn() {
      if (mine_) busy_.store(0, std::memory_order_release);
    }
    bool check(Fault& fault) const;

   private:
    std::atomic<uint32_t>& busy_;
    const bool mine_;
  };
  bool start(size_t method, std::span<const quoin_tensor> inputs, int64_t& length, Fault& fault);
  bool describe_outputs(size_t method, int64_t length, std::span<quoin_tensor> outputs, bool check, Fault& fault) {
    return methods_[method].describe_outputs(length, outputs, check, fault);
  }
  bool finish(size_t method, std::span<const quoin_tensor> inputs, std::span<const quoin_tensor> outputs,
              const RunOptions& options, Fault& fault);

 private:
  bool set_length(Method& method, int64_t length, Fault& fault);

  const view::Program& program_;
  const quoin_host& host_;
  const kernels::KernelSet* kernels_ = nullptr;
  Arena arena_;
  std::span<Method> methods_;
  Scratch need_;  // the most of all methods and of the lengths seen so far
  Blocks blocks_;
  std::atomic<uint32_t> busy_ = 0;
};

}  // namespace quoin::runtime
