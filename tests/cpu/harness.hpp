// Drives the cpu backend through its C table alone, and the portable kernels beside it for the expected results.
#pragma once

#include <gtest/gtest.h>
#include <quoin/abi.h>

#include <map>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "ir/graph.hpp"
#include "ir/snapshot.hpp"

namespace quoin::cpu::testing {

// Threads are simulated: parallel_for runs its pieces in turn under changing worker numbers.
class FakeHost {
 public:
  explicit FakeHost(uint32_t workers = 1, uint64_t isa = machine_isa());
  static uint64_t machine_isa();
  quoin_host table{};
  uint32_t workers;
};

using Blob = std::vector<char>;
using Named = std::map<std::string, Blob>;  // what lies beside blobs

struct Claimed {
  std::vector<std::vector<uint32_t>> claims;  // node ids of the snapshot
  std::vector<std::pair<uint32_t, std::string>> declined;
};

// An opened backend.
class Plugin {
 public:
  explicit Plugin(const FakeHost& host);
  ~Plugin();
  Plugin(const Plugin&) = delete;
  Plugin& operator=(const Plugin&) = delete;
  const quoin_plugin& table() const { return *table_; }
  quoin_backend* backend() const { return backend_; }

  Claimed partition(const ir::Graph& graph) const;
  // Expects that one claim covers the graph. Named data is added to `named`; equal keys must bring equal bytes.
  Blob compile(const ir::Graph& graph, Named& named) const;
  Blob compile(const ir::Graph& graph) const {
    Named none;
    return compile(graph, none);
  }

 private:
  const quoin_plugin* table_;
  quoin_backend* backend_ = nullptr;
};

// A blob loaded from memory of exactly its size. Every status is kept, nothing is asserted.
class Loaded {
 public:
  Loaded(const FakeHost& host, const Plugin& plugin, Blob blob, const Named& named = {});
  ~Loaded();
  Loaded(const Loaded&) = delete;
  Loaded& operator=(const Loaded&) = delete;
  quoin_status status() const { return status_; }
  std::string message() const { return {error_.message, error_.message_size}; }
  // plan, then run; outputs get the types of `outputs`.
  quoin_status run(std::span<const Tensor> inputs, std::span<Tensor> outputs, const quoin_profiler* profiler = nullptr,
                   const uint32_t* cancel = nullptr, uint64_t less_scratch = 0);

 private:
  const Plugin& plugin_;
  std::shared_ptr<char> bytes_;
  std::map<std::string, std::pair<std::shared_ptr<char>, uint64_t>, std::less<>> named_;
  uint64_t size_;
  quoin_delegate* delegate_ = nullptr;
  quoin_status status_ = QUOIN_OK;
  quoin_error error_{};
};

// What the portable kernels compute, node by node.
std::vector<Tensor> reference(const FakeHost& host, const ir::Graph& graph, std::span<const Tensor> inputs);
// Random inputs of the graph's types: floats of about -3..3, integers over the whole range.
std::vector<Tensor> random_inputs(const ir::Graph& graph, std::mt19937& random);

// Compiles the graph into one delegate and runs it beside the reference: integers must be equal, floats within
// tolerance * (1 + |expected|).
void expect_same(const ir::Graph& graph, std::mt19937& random, uint32_t workers = 1, float tolerance = 2e-5f,
                 uint64_t isa = FakeHost::machine_isa());

// -- graphs

// Builds typed and float graphs with random weights. In typed form every result gets the qparams given or random ones.
class Net {
 public:
  explicit Net(std::mt19937& r, bool quantized = true) : random(r), typed(quantized) {}
  ir::Graph graph;
  std::mt19937& random;
  bool typed;
  DType weight_dtype = DType::s8;  // or s4, u4, s2: packed

  using V = ir::ValueId;
  V input(Shape shape);
  V constant(Shape shape);
  // An operator without parameters. Results take random qparams, or the first operand's.
  V op(const char* name, std::vector<V> inputs, Attrs attrs = {});
  V same(const char* name, std::vector<V> inputs, Attrs attrs = {});
  V real(const char* name, std::vector<V> inputs, Attrs attrs = {});  // the result is float
  struct Conv {
    int64_t out = 8, kernel = 1, stride = 1, pad = 0, dilation = 1, groups = 1;
    bool bias = true, per_channel = true;
  };
  V conv2d(V x, const Conv& conv);
  V linear(V x, int64_t out, bool bias = true);
  V linear_dynamic(V x, int64_t out, bool bias = true);  // some scheme and eps
  V quantize(V x) { return op("quoin.quantize.default", {x}); }
  V dequantize(V x) { return real("quoin.dequantize.default", {x}); }
  V clamp(V x, double low = 0, double high = 6) {
    return same("aten.hardtanh.default", {x}, {{"min_val", low}, {"max_val", high}});
  }
  const ir::Graph& returns(std::vector<V> outputs) {
    graph.set_outputs(std::move(outputs));
    return graph;
  }
  int64_t dim(V value, size_t i) const { return graph.value(value).type.shape[i]; }
  int64_t pick(int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(random); }

 private:
  std::shared_ptr<const QParams> activation();
  void set(V value, std::shared_ptr<const QParams> q);
  V add(const char* name, std::vector<V> inputs, Attrs attrs);
  V weight(Shape shape, bool per_channel);
  V bias(V x, V w, int64_t n);
  V layer(const char* name, V x, Shape weight_shape, Attrs attrs, bool with_bias, bool per_channel);
};

}  // namespace quoin::cpu::testing
