// What the programs of these tests share: plugins from files, buffers for all slots of a method.
#pragma once

#include <dlfcn.h>
#include <quoin/runtime.hpp>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

namespace quoin::testing {

[[noreturn]] inline void die(const std::string& what) {
  std::fprintf(stderr, "%s\n", what.c_str());
  std::exit(1);
}
[[noreturn]] inline void die(const rt::Error& error) { die(std::string(error.message())); }

// The entry function of a plugin file; the library stays loaded.
inline quoin_plugin_entry_fn entry_of(const char* path) {
  void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) die(dlerror());
  return reinterpret_cast<quoin_plugin_entry_fn>(dlsym(library, QUOIN_ENTRY_SYMBOL));
}

inline rt::Engine engine_with(const std::vector<quoin_plugin_entry_fn>& plugins, const quoin_host* host = nullptr) {
  rt::Error error;
  rt::Engine engine = rt::Engine::create({.struct_size = 0,
                                          .num_plugins = static_cast<uint32_t>(plugins.size()),
                                          .plugins = plugins.data(),
                                          .host = host,
                                          .files = nullptr},
                                         error);
  if (!engine) die(error);
  return engine;
}

// Memory for the longest run of a method: small numbers in float inputs, zeros in all others.
struct Buffers {
  std::vector<std::vector<unsigned char>> memory;
  std::vector<quoin_tensor> inputs, outputs;

  Buffers(const rt::Program& program, uint32_t method) {
    for (uint32_t i = 0; i < program.inputs(method); ++i) add(program.input(i, method).tensor, inputs);
    for (uint32_t i = 0; i < program.outputs(method); ++i) add(program.output(i, method).tensor, outputs);
    for (const quoin_tensor& input : inputs)
      for (uint64_t k = 0; input.dtype == QUOIN_F32 && k < input.size / sizeof(float); ++k)
        static_cast<float*>(input.data)[k] = 0.01f * static_cast<float>(k % 89) - 0.4f;
  }

 private:
  void add(quoin_tensor tensor, std::vector<quoin_tensor>& to) {
    memory.emplace_back(tensor.size + 64);
    auto* data = memory.back().data();
    tensor.data = data + (64 - reinterpret_cast<uintptr_t>(data) % 64) % 64;
    to.push_back(tensor);
  }
};

}  // namespace quoin::testing
