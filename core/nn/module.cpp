#include "nn/module.hpp"

#include <mutex>

#include "nn/emitter.hpp"

namespace quoin::nn {

struct Parameter::Source {
  Load load;
  LoadStored stored;
  std::mutex mutex;
  std::weak_ptr<const void> owner;  // of what was loaded last
  const void* data = nullptr;
};

Parameter::Parameter(std::string parameter_name, Shape parameter_shape, Load load, LoadStored stored)
    : name(std::move(parameter_name)), shape(std::move(parameter_shape)), source_(std::make_shared<Source>()) {
  source_->load = std::move(load);
  source_->stored = std::move(stored);
}

Result<Tensor> Parameter::load() const {
  const std::lock_guard lock(source_->mutex);
  if (auto owner = source_->owner.lock()) return Tensor(DType::f32, shape, std::move(owner), source_->data);
  QUOIN_TRY(Tensor tensor, source_->load());
  source_->owner = tensor.owner();
  source_->data = std::as_const(tensor).data();
  return tensor;
}

Result<std::optional<Quantized>> Parameter::load_stored() const {
  if (!source_->stored) return std::nullopt;
  return source_->stored();
}

void Parameter::replace(Tensor tensor) {
  source_ = std::make_shared<Source>();
  source_->load = [tensor = std::move(tensor)]() -> Result<Tensor> { return tensor; };
}

void visit(Module& module, const std::function<void(Module&)>& visitor) {
  visitor(module);
  for (Module* child : module.children()) visit(*child, visitor);
}

Status try_visit(Module& module, const std::function<Status(Module&)>& visitor) {
  QUOIN_CHECK(visitor(module));
  for (Module* child : module.children()) QUOIN_CHECK(try_visit(*child, visitor));
  return {};
}

Linear::Linear(std::string path, Parameter linear_weight, std::optional<Parameter> linear_bias)
    : Module(std::move(path), "Linear"), weight(std::move(linear_weight)), bias(std::move(linear_bias)) {}

std::vector<Parameter*> Linear::parameters() {
  std::vector<Parameter*> out{&weight};
  if (bias) out.push_back(&*bias);
  return out;
}

Result<ir::ValueId> Linear::emit(Emitter& emitter, ir::ValueId x) {
  const Emitter::Scope scope(emitter, *this);
  if (dynamic_activations && !weight.quantized)
    return fail(Code::input, "dynamic activations need a quantized weight").at("module {}", path());
  if (const int64_t extra = padded_in() - in_features(); extra > 0) {
    QUOIN_TRY(x, emitter.add("aten.pad.default", {x}, {{"pad", std::vector<int64_t>{0, extra}}}));
  }
  QUOIN_TRY(const ir::ValueId matrix, emitter.constant(weight));
  std::vector<ir::ValueId> inputs{x, matrix};
  if (bias) {
    QUOIN_TRY(const ir::ValueId added, emitter.constant(*bias));
    inputs.push_back(added);
  }
  if (!dynamic_activations) return emitter.add("aten.linear.default", std::move(inputs));
  return emitter.add("quoin.linear_dynamic.default", std::move(inputs), {{"scheme", std::string("token")}});
}

Embedding::Embedding(std::string path, Parameter table)
    : Module(std::move(path), "Embedding"), weight(std::move(table)) {}

Result<ir::ValueId> Embedding::emit(Emitter& emitter, ir::ValueId indices) {
  const Emitter::Scope scope(emitter, *this);
  QUOIN_TRY(const ir::ValueId table, emitter.constant(weight));
  QUOIN_TRY(const ir::ValueId rows, emitter.add("aten.embedding.default", {table, indices}));
  const int64_t features = weight.shape[1];
  if (emitter.graph.value(rows).type.shape.back() == features) return rows;
  return emitter.add("aten.slice.Tensor", {rows}, {{"dim", int64_t{-1}}, {"start", int64_t{0}}, {"end", features}});
}

RMSNorm::RMSNorm(std::string path, Parameter norm_weight, double norm_eps)
    : Module(std::move(path), "RMSNorm"), weight(std::move(norm_weight)), eps(norm_eps) {}

Result<ir::ValueId> RMSNorm::emit(Emitter& emitter, ir::ValueId x) {
  const Emitter::Scope scope(emitter, *this);
  QUOIN_TRY(const ir::ValueId scales, emitter.constant(weight));
  return emitter.add("aten.rms_norm.default", {x, scales}, {{"normalized_shape", weight.shape}, {"eps", eps}});
}

}  // namespace quoin::nn
