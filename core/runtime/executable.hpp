// Runs a program. Kernels and delegates are chosen and prepared at load; run() does no selection.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/diagnostics.hpp"
#include "host/backend.hpp"
#include "kernels/select.hpp"
#include "program/model.hpp"

namespace quoin::runtime {

struct TensorSpec {
  std::string name;
  TensorType type;
};

struct Event {
  std::string name, op, module, backend;  // kernel or plugin
  uint64_t debug_id = 0, start_ns = 0, end_ns = 0;
};

struct Options {
  // Finds the backend of a delegate; may be empty when the program has none.
  std::function<Result<std::shared_ptr<host::Backend>>(const std::string& name)> backend;
  // The parameters that init() of a delegate gets, a list of quoin_param; may be empty.
  std::function<Result<quoin_array>(const host::Backend&)> params;
  std::string fallback = "warn";  // allow | warn | error: delegate that cannot run -> its original sub-graph
  const kernels::KernelSet* kernels = nullptr;
};

// One run() at a time per object; several objects may share one program and pool. `host` and `kernels` must outlive it.
class Executable {
 public:
  // Errors: program_version (delegate's plugin missing or too old and no original stored), plugin, unsupported, limit.
  static Result<Executable> load(program::Model model, const Options& options, const quoin_host& host,
                                 Diagnostics& diagnostics);
  Executable(Executable&&) noexcept;
  Executable& operator=(Executable&&) noexcept;
  ~Executable();

  const program::Model& model() const;
  std::vector<TensorSpec> inputs() const;
  std::vector<TensorSpec> outputs() const;
  // Inputs by position. Errors: input (count, dtype, shape; names the input), plugin, cancelled.
  Result<std::vector<Tensor>> run(std::span<const Tensor> inputs, std::vector<Event>* profile = nullptr);
  // Bytes of arena plus scratch that this object holds.
  uint64_t memory() const;

 private:
  struct State;
  explicit Executable(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace quoin::runtime
