// quoin/runtime.h for C++: handles that release themselves. No exceptions, no RTTI, nothing to link but the C library.
//
//   quoin::rt::Error error;
//   auto engine = quoin::rt::Engine::create({}, error);
//   auto program = engine ? engine.open("model.quoin", {}, error) : quoin::rt::Program();
//   if (!program) std::fputs(std::string(error.message()).c_str(), stderr);
#pragma once

#include <quoin/runtime.h>

#include <memory>
#include <span>
#include <string_view>

namespace quoin::rt {

class Error {
 public:
  quoin_error* get() { return &error_; }
  quoin_status status() const { return error_.code; }
  uint32_t code() const { return error_.vendor_code; }  // docs/exit_codes.md
  std::string_view message() const { return {error_.message, error_.message_size}; }

 private:
  quoin_error error_{sizeof(quoin_error), QUOIN_OK, 0, 0, {}};
};

namespace detail {
template <class Handle, void (*kRelease)(Handle*)>
struct Release {
  void operator()(Handle* handle) const { kRelease(handle); }
};
template <class Handle, void (*kRelease)(Handle*)>
using Owned = std::unique_ptr<Handle, Release<Handle, kRelease>>;
template <class Options>
Options sized(Options options) {
  options.struct_size = sizeof options;
  return options;
}
inline std::string_view text(quoin_str str) { return {str.data, str.size}; }
}  // namespace detail

// Ready to run; one thread at a time. False: it could not be made.
class Instance {
 public:
  Instance() = default;
  explicit Instance(quoin_instance* handle) : handle_(handle) {}
  explicit operator bool() const { return handle_ != nullptr; }
  quoin_instance* get() const { return handle_.get(); }

  quoin_memory need() const {
    quoin_memory out = detail::sized(quoin_memory{});
    quoin_instance_need(get(), &out);
    return out;
  }
  bool plan(quoin_memory memory, Error& error) {
    memory = detail::sized(memory);
    return quoin_instance_plan(get(), &memory, error.get()) == QUOIN_OK;
  }
  bool prepare_length(uint32_t method, int64_t length, Error& error) {
    return quoin_instance_prepare_length(get(), method, length, error.get()) == QUOIN_OK;
  }
  bool run(std::span<const quoin_tensor> inputs, std::span<quoin_tensor> outputs, quoin_run_options options,
           Error& error) {
    options = detail::sized(options);
    return quoin_instance_run(get(), &options, inputs.data(), static_cast<uint32_t>(inputs.size()), outputs.data(),
                              static_cast<uint32_t>(outputs.size()), error.get()) == QUOIN_OK;
  }
  void reset() { quoin_instance_reset(get()); }

 private:
  detail::Owned<quoin_instance, quoin_instance_destroy> handle_;
};

class Program {
 public:
  Program() = default;
  explicit Program(quoin_program* handle) : handle_(handle) {}
  explicit operator bool() const { return handle_ != nullptr; }
  quoin_program* get() const { return handle_.get(); }

  uint32_t methods() const { return quoin_program_methods(get()); }
  std::string_view method_name(uint32_t method) const { return detail::text(quoin_program_method_name(get(), method)); }
  std::string_view metadata(const char* key) const { return detail::text(quoin_program_metadata(get(), key)); }
  uint32_t inputs(uint32_t method = 0) const { return quoin_program_inputs(get(), method); }
  uint32_t outputs(uint32_t method = 0) const { return quoin_program_outputs(get(), method); }
  // A slot without a name and type: there is none.
  quoin_slot input(uint32_t i, uint32_t method = 0) const {
    quoin_slot out = detail::sized(quoin_slot{});
    quoin_program_input(get(), method, i, &out, nullptr);
    return out;
  }
  quoin_slot output(uint32_t i, uint32_t method = 0) const {
    quoin_slot out = detail::sized(quoin_slot{});
    quoin_program_output(get(), method, i, &out, nullptr);
    return out;
  }
  Instance instance(quoin_instance_options options, Error& error) const {
    options = detail::sized(options);
    quoin_instance* out = nullptr;
    quoin_instance_create(get(), &options, &out, error.get());
    return Instance(out);
  }

 private:
  detail::Owned<quoin_program, quoin_program_close> handle_;
};

class Engine {
 public:
  Engine() = default;
  static Engine create(quoin_engine_options options, Error& error) {
    options = detail::sized(options);
    Engine out;
    quoin_engine* handle = nullptr;
    quoin_engine_create(&options, &handle, error.get());
    out.handle_.reset(handle);
    return out;
  }
  explicit operator bool() const { return handle_ != nullptr; }
  quoin_engine* get() const { return handle_.get(); }

  Program open(const char* path, quoin_program_options options, Error& error) const {
    options = detail::sized(options);
    quoin_program* out = nullptr;
    quoin_program_open(get(), path, &options, &out, error.get());
    return Program(out);
  }
  Program view(quoin_bytes file, quoin_program_options options, Error& error) const {
    options = detail::sized(options);
    quoin_program* out = nullptr;
    quoin_program_view(get(), file, &options, &out, error.get());
    return Program(out);
  }

 private:
  detail::Owned<quoin_engine, quoin_engine_destroy> handle_;
};

}  // namespace quoin::rt
