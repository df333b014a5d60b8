// Drives npu_ref, linked in, through its table: typed graphs with powers of two, claims with their reasons, runs in
// guarded memory, and the portable kernels beside them.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "conform/delegate.hpp"
#include "conform/dice.hpp"
#include "host/services.hpp"
#include "lower/partition.hpp"

namespace quoin::npu::testing {

using Ints = std::vector<int64_t>;

// Compile-time options in the form of a request.
class Settings {
 public:
  Settings& sram_kib(int64_t kib);
  Settings& tensor_kib(int64_t kib);
  Settings& fuse(bool on);
  std::vector<quoin_param> list() const;

 private:
  int64_t sram_kib_ = 512, tensor_kib_ = 4096;
  uint8_t fuse_ = 1;
};

// An opened backend.
class Device {
 public:
  explicit Device(uint32_t threads = 1);
  const host::Backend& backend() const { return *backend_; }
  const std::shared_ptr<host::Backend>& shared() const { return backend_; }
  const quoin_host& host() const { return services_.table(); }

  // Why each node was not claimed, in graph order: "" where it was.
  std::vector<std::string> reasons(const ir::Graph& graph, const Settings& settings = {}) const;
  // Expects that one claim covers the graph.
  lower::Compiled compile(const ir::Graph& graph, const Settings& settings = {}) const;
  std::vector<Tensor> run(const ir::Graph& graph, const lower::Compiled& compiled,
                          const std::vector<Tensor>& inputs) const;
  std::vector<Tensor> portable(const ir::Graph& graph, const std::vector<Tensor>& inputs) const;

 private:
  lower::Options options(const Settings& settings) const;
  host::Services services_;
  std::shared_ptr<host::Backend> backend_;
};

// Builds graphs of symmetric power-of-two tensors; `exponent` is that of a scale. Without a type the graph is float.
class Net {
 public:
  using V = ir::ValueId;
  explicit Net(uint32_t seed, DType dtype = DType::s8) : dice(seed), dtype_(dtype) {}
  ir::Graph graph;
  conform::Dice dice;

  V input(Shape shape, int exponent = -4);
  V op(const char* name, std::vector<V> inputs, Attrs attrs = {}, int exponent = -4);
  V same(const char* name, std::vector<V> inputs, Attrs attrs = {}) {
    return op(name, inputs, std::move(attrs), exponents_.at(inputs[0]));
  }
  struct Layer {
    int64_t out = 8, kernel = 1, stride = 1, pad = 0, dilation = 1, groups = 1;
    bool bias = true, per_channel = true;
    int weight_exponent = -8;  // of the first channel; the others are up to 2^3 away
    int exponent = -4;         // of the result
  };
  V conv2d(V x, const Layer& layer);
  V linear(V x, const Layer& layer);
  V clamp(V x, double low = 0, double high = 6) {
    return same("aten.hardtanh.default", {x}, {{"min_val", low}, {"max_val", high}});
  }
  V pad(V x, Ints counts) {
    return same("aten.pad.default", {x},
                {{"pad", std::move(counts)}, {"mode", std::string("constant")}, {"value", 0.0}});
  }
  const ir::Graph& returns(std::vector<V> outputs) {
    graph.set_outputs(std::move(outputs));
    return graph;
  }
  std::vector<Tensor> inputs();  // over the whole range of the type
  void set_dtype(DType dtype) { dtype_ = dtype; }
  // Replaces the qparams of a value.
  void quantize(V value, QParams q) { graph.value(value).type.qparams = std::make_shared<const QParams>(std::move(q)); }

 private:
  QParams activation(int exponent) const;
  V product(const char* name, V x, Shape weight_shape, const Layer& layer, Attrs attrs);
  DType dtype_;
  std::map<V, int> exponents_;
};

// Runs the graph on the device and on the portable kernels. Results may be `steps` apart.
void expect_same(const Device& device, Net& net, const Settings& settings = {}, int steps = 0);

}  // namespace quoin::npu::testing
