// What stands behind the handles of quoin/runtime.h, and how errors leave through them.
#pragma once

#include <quoin/runtime.h>

#include <list>
#include <memory>
#include <string_view>
#include <vector>

#include "base/guard.hpp"
#include "host/backend.hpp"
#include "kernels/select.hpp"
#include "ops/abi_read.hpp"
#include "runtime/executable.hpp"

namespace quoin::embed {

struct Engine {
  quoin_host host;
  quoin_files files;
  std::vector<std::shared_ptr<host::Backend>> backends;  // in order of preference
  kernels::KernelSet kernels;
  void log(int32_t level, std::string_view text) const { host.log(host.self, level, {text.data(), text.size()}); }
};

struct Program {
  // Views of the model, made once. States are left out.
  struct Method {
    std::vector<quoin_slot> inputs, outputs;
  };
  std::shared_ptr<const Engine> engine;
  std::shared_ptr<const program::Model> model;  // keeps the file
  std::vector<Method> methods;
  std::list<quoin_qparams> qparams;  // a list: slots point into it
};

// Files of the system, mapped.
quoin_files system_files();

// Fills `out` (may be null); returns the status for the code.
quoin_status report(const Error& error, quoin_error* out) noexcept;
// body() returns Status: the end of every function of the C interface that can fail.
template <class F>
quoin_status answer(quoin_error* out, F&& body) noexcept {
  const Status done = guarded(body);
  return done ? QUOIN_OK : report(done.error(), out);
}
// Options of the caller, widened to this header's struct; zeros where there are none. Errors: input.
template <class T>
Result<T> options_of(const T* given) {
  if (given == nullptr) return T{};
  if (given->struct_size < sizeof(uint64_t)) return fail(Code::input, "struct_size of the options is not set");
  return widened(given);
}

}  // namespace quoin::embed

struct quoin_engine {
  std::shared_ptr<const quoin::embed::Engine> engine;
};
struct quoin_program {
  std::shared_ptr<const quoin::embed::Program> program;
};
struct quoin_instance {
  std::shared_ptr<const quoin::embed::Program> program;
  quoin::runtime::Executable executable;
};
