// Runs a program::Model on tensors of our own: an Instance for the command. Kernels and delegates are chosen and
// prepared at load; run() does no selection.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/diagnostics.hpp"
#include "host/backend.hpp"
#include "kernels/select.hpp"
#include "program/model.hpp"
#include "runtime/instance.hpp"

namespace quoin::runtime {

struct TensorSpec {
  std::string name;
  TensorType type;       // of the longest run
  uint32_t dynamic = 0;  // bit i: dim i is the length of the run, from 1 to type.shape[i]
};

struct Event {
  static constexpr uint32_t kDevice = UINT32_MAX;  // timed by the device itself
  std::string name, op, module, backend;           // kernel or plugin
  uint64_t debug_id = 0, start_ns = 0, end_ns = 0;
  uint32_t thread = 0;  // 0: the one that called run(); others count in the order of their first event
  uint64_t bytes = 0;   // of operands, constants included, and results; 0: not known (operations inside a delegate)
};

struct Options {
  // Finds the backend of a delegate; may be empty when the program has none.
  std::function<Result<std::shared_ptr<host::Backend>>(const std::string& name)> backend;
  // The parameters that init() of a delegate gets, a list of quoin_param; may be empty.
  std::function<Result<quoin_array>(const host::Backend&)> params;
  std::string fallback = "warn";  // allow | warn | error: delegate that cannot run -> its original sub-graph
  const kernels::KernelSet* kernels = nullptr;
};

// A program has methods, in its order; states (buffers that live between runs, such as key/value caches) belong to the
// object and are shared by its methods. They are zero at first, and after an error their content is unspecified.
// One run() at a time per object, which is checked; several objects may share one program and pool. `host` and
// `kernels` must outlive it.
class Executable {
 public:
  // prepare() and plan() with memory of the host's.
  // Errors: program_version (delegate's plugin missing or too old and no original stored), plugin, unsupported, limit.
  static Result<Executable> load(program::Model model, const Options& options, const quoin_host& host,
                                 Diagnostics& diagnostics);
  // Chooses and prepares kernels and delegates. Precondition: `model` is verified (program::read and verify do it).
  static Result<Executable> prepare(std::shared_ptr<const program::Model> model, const Options& options,
                                    const quoin_host& host, Diagnostics& diagnostics);
  MemoryNeed need() const;
  // Must precede every run; a second call moves to other memory. States become zero. Errors: limit, input (what is
  // given is too small or misaligned).
  Status plan(const Memory& memory = {});
  // Runs of this length will not allocate, either: operators outside of delegates that follow the length are prepared
  // for it once and kept, as they are for the longest. Before plan(), so that need() includes it, or behind it. Errors:
  // input (no such length), those of prepare(); limit (the scratch memory that was given is too small for it).
  Status prepare_length(size_t method, int64_t length);
  Executable(Executable&&) noexcept;
  Executable& operator=(Executable&&) noexcept;
  ~Executable();

  const program::Model& model() const;
  size_t methods() const;  // at least 1
  std::optional<size_t> method(std::string_view name) const;
  // Without the states. Precondition: method < methods().
  std::vector<TensorSpec> inputs(size_t method = 0) const;
  std::vector<TensorSpec> outputs(size_t method = 0) const;
  std::vector<TensorSpec> states() const;  // of all methods, by name
  // Inputs by position, without the states. All dynamic dims of one run are equal: its length; what the change of the
  // length costs is paid in the first run of that length. Outputs have the shapes of this run.
  // Errors: input (count, dtype, shape, length; names the input), plugin, cancelled.
  Result<std::vector<Tensor>> run(size_t method, std::span<const Tensor> inputs, std::vector<Event>* profile = nullptr);
  Result<std::vector<Tensor>> run(std::span<const Tensor> inputs, std::vector<Event>* profile = nullptr) {
    return run(0, inputs, profile);
  }
  // The same with memory of the caller's for every output: data, and in `size` how many bytes there are. The run writes
  // size and sets rank, dims (valid until the next run of the method) and type. Does not allocate, with these
  // exceptions: it fails; its observer does; it has another length than the run before, for which
  // prepare_length() was not called, and operators outside of delegates follow the length. Errors: as above; input (an
  // output is too small).
  Status run(size_t method, std::span<const quoin_tensor> inputs, std::span<quoin_tensor> outputs,
             const RunOptions& options = {});
  void reset_states();  // to zero
  // Bytes of arena, scratch and states that this object holds.
  uint64_t memory() const;

 private:
  struct State;
  static Result<Executable> make(std::shared_ptr<const program::Model> model, bool is_verified, const Options& options,
                                 const quoin_host& host, Diagnostics& diagnostics);
  explicit Executable(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace quoin::runtime
