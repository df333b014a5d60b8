// A tree of modules that own named parameters, as a framework's nn modules do, and export themselves as graph nodes.
// Not thread safe, except that parameters may be loaded from several threads.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.hpp"
#include "ir/graph.hpp"

namespace quoin::nn {

using checkpoint::Quantized;
class Emitter;

// A named tensor of a module, read when it is needed. Copies share what they load (tied weights).
class Parameter {
 public:
  using Load = std::function<Result<Tensor>()>;
  using LoadStored = std::function<Result<std::optional<Quantized>>()>;
  Parameter(std::string name, Shape shape, Load load, LoadStored stored = {});

  std::string name;  // "model.layers.0.self_attn.q_proj.weight"
  Shape shape;
  // Replaces the float tensor in exported graphs. Rows may have more columns than shape[1]: those beyond stand for 0.
  std::optional<Quantized> quantized;

  // The f32 tensor. While somebody holds it, everybody gets the same bytes; afterwards it is read anew.
  Result<Tensor> load() const;
  // Codes that the checkpoint holds (GGUF Q4_0, Q8_0), if it holds some and nobody replaced them.
  Result<std::optional<Quantized>> load_stored() const;
  // load() gives this f32 tensor of `shape` from now on, here only.
  void replace(Tensor tensor);
  // Whether both load the same tensor.
  bool same_source(const Parameter& other) const { return source_ == other.source_; }

 private:
  struct Source;
  std::shared_ptr<Source> source_;
};

class Module {
 public:
  Module(std::string path, std::string type) : path_(std::move(path)), type_(std::move(type)) {}
  virtual ~Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  const std::string& path() const { return path_; }            // "model.layers.0.self_attn.q_proj"; "" for the root
  const std::string& type() const { return type_; }            // "Linear"
  virtual std::vector<Module*> children() { return {}; }       // in order of execution
  virtual std::vector<Parameter*> parameters() { return {}; }  // its own, not those of children

 private:
  std::string path_, type_;
};

// Calls `visit` for the module and everything below it, parents first.
void visit(Module& module, const std::function<void(Module&)>& visit);
// The same; stops at the first error.
Status try_visit(Module& module, const std::function<Status(Module&)>& visit);

// y = x . weight^T + bias. Exports aten.linear, or quoin.linear_dynamic (scheme token) when dynamic_activations.
class Linear final : public Module {
 public:
  Linear(std::string path, Parameter weight, std::optional<Parameter> bias);
  Parameter weight;  // [out_features, in_features]
  std::optional<Parameter> bias;
  bool dynamic_activations = false;  // needs a quantized weight

  int64_t in_features() const { return weight.shape[1]; }
  int64_t out_features() const { return weight.shape[0]; }
  // Columns of the exported weight; where they are more than in_features, x is padded with zeros.
  int64_t padded_in() const { return weight.quantized ? weight.quantized->codes.shape()[1] : in_features(); }
  std::vector<Parameter*> parameters() override;
  Result<ir::ValueId> emit(Emitter& emitter, ir::ValueId x);
};

// Rows of a table. Exports aten.embedding.
class Embedding final : public Module {
 public:
  Embedding(std::string path, Parameter weight);
  Parameter weight;  // [rows, features]

  std::vector<Parameter*> parameters() override { return {&weight}; }
  Result<ir::ValueId> emit(Emitter& emitter, ir::ValueId indices);
};

// x / sqrt(mean(x^2) + eps) * weight over the last dim.
class RMSNorm final : public Module {
 public:
  RMSNorm(std::string path, Parameter weight, double eps);
  Parameter weight;  // [features]
  double eps;

  std::vector<Parameter*> parameters() override { return {&weight}; }
  Result<ir::ValueId> emit(Emitter& emitter, ir::ValueId x);
};

}  // namespace quoin::nn
