// What stands behind the handles of quoin/runtime.h, and how errors leave through them. Each object counts who holds
// it: its handle, and the objects made from it.
#pragma once

#include <quoin/runtime.h>

#include <atomic>
#include <span>

#include "base/arena.hpp"
#include "base/guard.hpp"
#include "kernels/select.hpp"
#include "ops/abi_read.hpp"
#include "program/view/view.hpp"
#include "runtime/instance.hpp"

// Memory of its own comes from the host.
struct quoin_engine {
  std::atomic<uint32_t> holders = 1;
  quoin_host host{};
  quoin_files files{};
  quoin::Arena arena;
  std::span<quoin::runtime::Plugin> plugins;     // opened, in order of preference
  quoin::kernels::KernelSet* kernels = nullptr;  // owned; null where no operators are known

  explicit quoin_engine(const quoin_host& services) : host(services), arena({host.self, host.alloc, host.free}) {}
  ~quoin_engine();
  void log(int32_t level, std::string_view text) const { host.log(host.self, level, {text.data(), text.size()}); }
};

namespace quoin::embed {

// A file that the engine's hook or the system opened.
struct OpenFile {
  void* handle = nullptr;
  quoin_bytes bytes{};
  bool is_open = false;
};
// Inputs and outputs of a method that belong to no state.
struct Slots {
  std::span<quoin_slot> inputs, outputs;
};

}  // namespace quoin::embed

struct quoin_program {
  std::atomic<uint32_t> holders = 1;
  quoin_engine* engine;  // held
  quoin::Arena arena;
  quoin::embed::OpenFile file, weights;
  const quoin::program::view::Program* program = nullptr;
  std::span<quoin::embed::Slots> methods;

  explicit quoin_program(quoin_engine* on);
  ~quoin_program();
};
struct quoin_instance {
  quoin_program* program;  // held
  quoin::runtime::Instance instance;
  explicit quoin_instance(quoin_program* of);
  ~quoin_instance();
};

namespace quoin::embed {

void hold(quoin_engine* engine);
void release(quoin_engine* engine);
void hold(quoin_program* program);
void release(quoin_program* program);

// An object in memory of the host; null: the fault says that there is none.
template <class T, class... Args>
T* make(const quoin_host& host, Fault& fault, Args&&... args) {
  void* memory = host.alloc(host.self, sizeof(T), alignof(T));
  if (memory == nullptr) {
    fault.fail(Code::limit, "out of memory");
    return nullptr;
  }
  return new (memory) T(std::forward<Args>(args)...);
}
template <class T>
void destroy(T* object, const quoin_host& host) {
  object->~T();
  host.free(host.self, object, sizeof(T), alignof(T));
}

// Files of the system, mapped.
quoin_files system_files();

// Fills `out` (may be null); returns the status for the code.
quoin_status report(const Fault& fault, quoin_error* out) noexcept;

// body(fault) returns bool: the end of every function of the C interface that can fail.
template <class F>
[[gnu::always_inline]] inline quoin_status answer(quoin_error* out, F&& body) noexcept {
  Fault fault;
#if defined(__cpp_exceptions)
  const Status done = guarded([&]() -> Status {
    if (body(fault)) return {};
    return fault.failure();
  });
  if (!done) fault.take(done.error());
  return done ? QUOIN_OK : report(fault, out);
#else
  return body(fault) ? QUOIN_OK : report(fault, out);
#endif
}

// Options of the caller, widened to this header's struct; zeros where there are none. Errors: input.
bool read_options(const void* given, void* to, uint32_t size, Fault& fault);
template <class T>
bool options_of(const T* given, T& to, Fault& fault) {
  return read_options(given, &to, sizeof to, fault);
}

}  // namespace quoin::embed
