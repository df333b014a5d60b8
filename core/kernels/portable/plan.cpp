#include "kernels/portable/plan.hpp"

#include <algorithm>
#include "base/checked.hpp"
#include "ops/shape.hpp"

namespace quoin::kernels {
namespace {

bool per_tensor(const TensorType& type) { return type.qparams && type.qparams->scale.size() == 1; }

TensorType plain(DType dtype, const TensorType& like) { return {dtype, like.shape, nullptr}; }

// Type that Mode::numbers computes in.
DType number_type(const NodeView& view, uint64_t as_is) {
  const auto real = [](const TensorType& type) { return type.qparams || is_floating(type.dtype); };
  for (size_t i = 0; i < view.inputs.size(); ++i)
    if (view.inputs[i] && (as_is >> std::min<size_t>(i, 63) & 1u) == 0 && real(*view.inputs[i])) return DType::f32;
  for (const TensorType& type : view.outputs)
    if (real(type)) return DType::f32;
  for (const auto& [name, attr] : view.attrs)
    if (const double* number = std::get_if<double>(&attr);
        number != nullptr && with_number(DType::s64, *number) != DType::s64)
      return DType::f32;
  return DType::s64;
}

// Types that agree byte for byte: equal, or quantized along some axis with the same numbers (a transposed weight).
bool same_bytes(const TensorType& a, const TensorType& b) {
  if (a.dtype != b.dtype || !a.qparams != !b.qparams || bits(a.dtype) < 8) return false;
  return !a.qparams || (a.qparams->scale == b.qparams->scale && a.qparams->zero_point == b.qparams->zero_point);
}

// What operands of a moving kernel become: the result's type where elements can be converted one by one without knowing
// their place, else f32.
TensorType moved_type(const NodeView& view, uint64_t as_is) {
  const TensorType& out = view.outputs[0];
  bool direct = true, identical = true;
  for (size_t i = 0; i < view.inputs.size(); ++i) {
    if (!view.inputs[i] || (as_is >> std::min<size_t>(i, 63) & 1u) != 0) continue;
    const TensorType& in = *view.inputs[i];
    identical = identical && same_bytes(in, out);
    const bool fits = out.qparams ? per_tensor(out) && per_tensor(in) : true;
    direct = direct && fits && bits(out.dtype) >= 8;
  }
  return direct || identical ? out : plain(DType::f32, out);
}

class Builder {
 public:
  Builder(const NodeView& view, Mode mode, uint64_t as_is, bool own_result)
      : view_(view), mode_(mode), as_is_(as_is), own_result_(own_result) {}

  Result<Plan> build() {
    plan_.seen = view_;
    plan_.scratch = (view_.inputs.size() + view_.outputs.size()) * sizeof(void*);
    if (mode_ == Mode::numbers) compute_ = number_type(view_, as_is_);
    if (mode_ == Mode::moves) moved_ = moved_type(view_, as_is_);
    for (size_t i = 0; i < view_.inputs.size(); ++i) QUOIN_CHECK(add_input(i));
    for (size_t i = 0; i < view_.outputs.size(); ++i) QUOIN_CHECK(add_output(i));
    plan_.scratch = align_up<uint64_t>(plan_.scratch, 64);
    return std::move(plan_);
  }

 private:
  TensorType target(const TensorType& type) const {
    if (mode_ == Mode::moves) return {moved_.dtype, type.shape, moved_.qparams};
    return plain(compute_, type);
  }
  uint64_t reserve(const TensorType& type) {
    const uint64_t offset = align_up<uint64_t>(plan_.scratch, 64);
    plan_.scratch = offset + static_cast<uint64_t>(byte_size(type.dtype, type.shape));
    return offset;
  }

  Status add_input(size_t i) {
    plan_.inputs.emplace_back();
    plan_.input_bytes.push_back(0);
    if (!view_.inputs[i]) return {};
    const TensorType& type = *view_.inputs[i];
    plan_.input_bytes.back() = static_cast<uint64_t>(byte_size(type.dtype, type.shape));
    const bool keep = (as_is_ >> std::min<size_t>(i, 63) & 1u) != 0;
    const TensorType seen = mode_ == Mode::exact || keep ? type : target(type);
    if (keep || mode_ == Mode::exact || (mode_ == Mode::moves && same_bytes(type, seen))) return {};
    QUOIN_TRY(Converter converter, Converter::make(type, seen));
    plan_.seen.inputs[i] = seen;
    if (converter.copies()) return {};
    plan_.inputs.back() = {std::move(converter), reserve(seen)};
    return {};
  }

  Status add_output(size_t i) {
    plan_.outputs.emplace_back();
    const TensorType& type = view_.outputs[i];
    plan_.output_bytes.push_back(static_cast<uint64_t>(byte_size(type.dtype, type.shape)));
    if (mode_ == Mode::exact || own_result_) return {};
    const TensorType seen = target(type);
    QUOIN_TRY(Converter converter, Converter::make(seen, type));
    plan_.seen.outputs[i] = seen;
    if (converter.copies()) return {};
    plan_.outputs.back() = {std::move(converter), reserve(seen)};
    return {};
  }

  const NodeView& view_;
  const Mode mode_;
  const uint64_t as_is_;
  const bool own_result_;
  DType compute_ = DType::f32;
  TensorType moved_;
  Plan plan_;
};

Status check_tensors(const quoin_array& tensors, std::span<const uint64_t> bytes, std::string_view what) {
  if (tensors.count > bytes.size())
    return fail(Code::internal, "{} {}s given, {} planned", tensors.count, what, bytes.size());
  for (uint32_t i = 0; i < bytes.size(); ++i) {
    const quoin_tensor tensor = i < tensors.count ? element<quoin_tensor>(tensors, i) : quoin_tensor{};
    if (tensor.size < bytes[i] || (bytes[i] != 0 && tensor.data == nullptr))
      return fail(Code::internal, "{} {} has {} bytes, {} planned", what, i, tensor.size, bytes[i]);
  }
  return {};
}

}  // namespace

Result<Plan> Plan::make(const NodeView& view, Mode mode, uint64_t as_is, bool own_result) {
  return Builder(view, mode, as_is, own_result).build();
}

Status Plan::check(const quoin_run& run, uint64_t own) const {
  const uint64_t needed = scratch + own;
  if (run.scratch_size < needed || run.scratch == nullptr)
    return fail(Code::internal, "{} bytes of scratch given, {} planned", run.scratch_size, needed);
  QUOIN_CHECK(check_tensors(run.inputs, input_bytes, "operand"));
  return check_tensors(run.outputs, output_bytes, "result");
}

Pointers Plan::before(const quoin_host& host, const quoin_run& run) const {
  auto* memory = static_cast<std::byte*>(run.scratch);
  Pointers out{reinterpret_cast<const void**>(memory), reinterpret_cast<void**>(memory) + inputs.size(),
               memory + scratch};
  for (uint32_t i = 0; i < inputs.size(); ++i) {
    out.inputs[i] = i < run.inputs.count && seen.inputs[i] ? element<quoin_tensor>(run.inputs, i).data : nullptr;
    if (!inputs[i].converter) continue;
    inputs[i].converter->run(host, out.inputs[i], memory + inputs[i].offset);
    out.inputs[i] = memory + inputs[i].offset;
  }
  for (uint32_t i = 0; i < outputs.size(); ++i)
    out.outputs[i] = outputs[i].converter ? memory + outputs[i].offset : element<quoin_tensor>(run.outputs, i).data;
  return out;
}

void Plan::after(const quoin_host& host, const quoin_run& run, const Pointers& pointers) const {
  for (uint32_t i = 0; i < outputs.size(); ++i)
    if (outputs[i].converter)
      outputs[i].converter->run(host, pointers.outputs[i], element<quoin_tensor>(run.outputs, i).data);
}

}  // namespace quoin::kernels
