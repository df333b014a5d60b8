#include "kernels/portable/plan.hpp"

#include <algorithm>

#include "base/checked.hpp"
#include "ops/shape.hpp"

namespace quoin::kernels {
namespace {

uint64_t bytes_of(const TensorType& type) { return static_cast<uint64_t>(byte_size(type.dtype, type.shape)); }
bool per_tensor(const TensorType& type) { return type.qparams && type.qparams->scale.size() == 1; }
bool real(const TensorType& type) { return type.qparams || is_floating(type.dtype); }

// Type that Mode::numbers computes in.
DType number_type(const NodeView& view, const Conversions& conversions) {
  for (size_t i = 0; i < view.inputs.size(); ++i)
    if (view.has_in(i) && !conversions.keeps(i) && real(view.in(i))) return DType::f32;
  for (const TensorType* type : view.outputs)
    if (real(*type)) return DType::f32;
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
TensorType moved_type(const NodeView& view, const Conversions& conversions) {
  const TensorType& out = view.out();
  bool direct = bits(out.dtype) >= 8, identical = true;
  for (size_t i = 0; i < view.inputs.size(); ++i) {
    if (!view.has_in(i) || conversions.keeps(i)) continue;
    const TensorType& in = view.in(i);
    identical = identical && same_bytes(in, out);
    direct = direct && (!out.qparams || (per_tensor(out) && per_tensor(in)));
  }
  return direct || identical ? TensorType{out.dtype, {}, out.qparams} : TensorType{};
}

// Puts `target`, with the shape of the tensor, in the place of its type; null: the type stays.
Status convert(Plan& plan, const TensorType*& place, const TensorType* target, bool result, Plan::Step& step) {
  const TensorType& given = *place;
  step.bytes = bytes_of(given);
  if (target == nullptr) return {};
  place = plan.seen.keep({target->dtype, given.shape, target->qparams});
  QUOIN_TRY(step.converter, result ? Converter::make(*place, given) : Converter::make(given, *place));
  if (step.converter.copies()) return {};
  step.offset = align_up<uint64_t>(plan.scratch, 64);
  plan.scratch = step.offset + bytes_of(*place);
  return {};
}

Status check_tensors(const quoin_array& tensors, std::span<const Plan::Step> steps, std::string_view what) {
  if (tensors.count > steps.size())
    return fail(Code::internal, "{} {}s given, {} planned", tensors.count, what, steps.size());
  for (uint32_t i = 0; i < steps.size(); ++i) {
    const quoin_tensor tensor = i < tensors.count ? element<quoin_tensor>(tensors, i) : quoin_tensor{};
    if (tensor.size < steps[i].bytes || (steps[i].bytes != 0 && tensor.data == nullptr))
      return fail(Code::internal, "{} {} has {} bytes, {} planned", what, i, tensor.size, steps[i].bytes);
  }
  return {};
}

}  // namespace

Status Plan::make(const Conversions& conversions) {
  inputs.resize(seen.inputs.size());
  outputs.resize(seen.outputs.size());
  scratch = (inputs.size() + outputs.size()) * sizeof(void*);
  TensorType type;  // f32
  if (conversions.mode == Mode::numbers) type.dtype = number_type(seen, conversions);
  if (conversions.mode == Mode::moves) type = moved_type(seen, conversions);
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!seen.has_in(i)) continue;
    const bool stays = conversions.exact() || conversions.keeps(i) ||
                       (conversions.mode == Mode::moves && same_bytes(seen.in(i), type));
    QUOIN_CHECK(convert(*this, seen.inputs[i], stays ? nullptr : &type, false, inputs[i]));
  }
  for (size_t i = 0; i < outputs.size(); ++i)
    QUOIN_CHECK(convert(*this, seen.outputs[i], conversions.exact() || conversions.own_result ? nullptr : &type, true,
                        outputs[i]));
  scratch = align_up<uint64_t>(scratch, 64);
  return {};
}

Status Plan::check(const quoin_run& run, uint64_t own) const {
  const uint64_t needed = scratch + own;
  if (run.scratch_size < needed || run.scratch == nullptr)
    return fail(Code::internal, "{} bytes of scratch given, {} planned", run.scratch_size, needed);
  QUOIN_CHECK(check_tensors(run.inputs, inputs, "operand"));
  return check_tensors(run.outputs, outputs, "result");
}

Run Plan::before(const quoin_host& host, const quoin_run& run) const {
  auto* memory = static_cast<std::byte*>(run.scratch);
  const Run out{host, reinterpret_cast<const void**>(memory), reinterpret_cast<void**>(memory) + inputs.size(),
                memory + scratch};
  for (uint32_t i = 0; i < inputs.size(); ++i) {
    const Step& step = inputs[i];
    const void* data = i < run.inputs.count && seen.has_in(i) ? element<quoin_tensor>(run.inputs, i).data : nullptr;
    out.inputs[i] = step.converter.copies() ? data : memory + step.offset;
    if (!step.converter.copies()) step.converter.run(host, data, memory + step.offset);
  }
  for (uint32_t i = 0; i < outputs.size(); ++i)
    out.outputs[i] =
        outputs[i].converter.copies() ? element<quoin_tensor>(run.outputs, i).data : memory + outputs[i].offset;
  return out;
}

void Plan::after(const Run& pointers, const quoin_run& run) const {
  for (uint32_t i = 0; i < outputs.size(); ++i)
    if (!outputs[i].converter.copies())
      outputs[i].converter.run(pointers.host, pointers.outputs[i], element<quoin_tensor>(run.outputs, i).data);
}

}  // namespace quoin::kernels
