#include "runtime/runnable.hpp"

#include <algorithm>
#include <cstring>

#include <fmt/ranges.h>

#include "program/length.hpp"

namespace quoin::runtime {
namespace {

// "f32[..512, 64]"
std::string type_text(const program::Value& value) {
  std::vector<std::string> dims;
  for (size_t i = 0; i < value.type.shape.size(); ++i)
    dims.push_back(fmt::format("{}{}", (value.dynamic >> i & 1) != 0 ? ".." : "", value.type.shape[i]));
  return fmt::format("{}[{}]", name(value.type.dtype), fmt::join(dims, ", "));
}

uint64_t bytes_of(DType dtype, const Shape& shape) { return static_cast<uint64_t>(byte_size(dtype, shape)); }

// Bytes of a tensor that came from outside; its dims were compared with those of a value.
uint64_t bytes_of(const quoin_tensor& tensor, DType dtype) {
  uint64_t rows = 1;
  for (uint32_t i = 0; i + 1 < tensor.rank; ++i) rows *= static_cast<uint64_t>(tensor.dims[i]);
  const uint64_t columns = tensor.rank == 0 ? 1 : static_cast<uint64_t>(tensor.dims[tensor.rank - 1]);
  return rows * ((columns * bits(dtype) + 7) / 8);
}

Status check_data(const quoin_tensor& tensor, DType dtype) {
  const uint64_t element = std::max<uint64_t>(bits(dtype) / 8, 1);
  if (tensor.data == nullptr || reinterpret_cast<uintptr_t>(tensor.data) % element != 0)
    return fail(Code::input, "its data is missing or not aligned to {} bytes", element);
  return {};
}

// Whether a run can write `bytes` of the output there.
Status check_memory(const quoin_tensor& given, const program::Value& value, uint64_t bytes) {
  if (given.size < bytes)
    return fail(Code::input, "{} bytes of memory, {} takes {}", given.size, type_text(value), bytes);
  return bytes == 0 ? Status{} : check_data(given, value.type.dtype);
}

std::string found_text(const quoin_tensor& given) {
  const auto dtype = dtype_from_code(given.dtype);
  const bool shaped = given.rank <= kMaxRank && (given.rank == 0 || given.dims != nullptr);
  return fmt::format("{}{}", dtype ? name(*dtype) : "an unknown type",
                     shaped ? to_string(Shape(given.dims, given.dims + given.rank)) : " without a shape");
}

// One input against its value. `length`: of the inputs before, 0: none has one.
Status check_input(const program::Value& value, const quoin_tensor& given, int64_t& length) {
  const auto misfit = [&] { return fail(Code::input, "expected {}, found {}", type_text(value), found_text(given)); };
  const Shape& shape = value.type.shape;
  if (given.dtype != static_cast<quoin_dtype>(value.type.dtype) || given.rank != shape.size()) return misfit();
  if (given.rank != 0 && given.dims == nullptr) return misfit();
  for (size_t i = 0; i < shape.size(); ++i) {
    const int64_t dim = given.dims[i], most = shape[i];
    if ((value.dynamic >> i & 1) == 0) {
      if (dim != most) return misfit();
      continue;
    }
    if (dim < 1 || dim > most)
      return fail(Code::input, "a length of {} in dim {}, the program takes 1 to {}", dim, i, most);
    if (length != 0 && dim != length)
      return fail(Code::input, "a length of {} in dim {}, other inputs have {} (at most {})", dim, i, length, most);
    length = dim;
  }
  const uint64_t bytes = bytes_of(given, value.type.dtype);
  if (given.size != bytes) return fail(Code::input, "{} bytes, {} takes {}", given.size, found_text(given), bytes);
  if (bytes == 0) return {};
  return check_data(given, value.type.dtype);
}

Status check_count(size_t found, const std::vector<uint32_t>& ids, const program::Graph& graph, const char* what) {
  if (found == ids.size()) return {};
  std::vector<std::string> names;
  for (const uint32_t id : ids) names.push_back(graph.values[id].name);
  return fail(Code::input, "{} {}s, the program {} {} ({})", found, what,
              std::strcmp(what, "input") == 0 ? "takes" : "gives", ids.size(), fmt::join(names, ", "));
}

}  // namespace

Runnable::Runnable(std::unique_ptr<Bound> bound) : bound_(std::move(bound)) {
  for (size_t s = 0; s < bound_->steps.size(); ++s)
    for (size_t i = 0; i < bound_->steps[s].locations.size(); ++i)
      if (const Location& at = bound_->steps[s].locations[i]; at.kind == Location::input || at.kind == Location::output)
        patches_.push_back({s, i, at});
  for (size_t i = 0; i < bound_->outputs.size(); ++i) output_dims_.push_back(output(i).type.shape);
}

void Runnable::use(const Blocks& blocks) {
  for (Step& step : bound_->steps)
    for (size_t i = 0; i < step.tensors.size(); ++i) {
      const Location& location = step.locations[i];
      if (location.kind == Location::arena) step.tensors[i].data = blocks.arena.data() + location.at;
      if (location.kind == Location::state) step.tensors[i].data = blocks.states.data() + location.at;
      if (location.kind == Location::constant) step.tensors[i].data = const_cast<void*>(location.data);
    }
}

Result<int64_t> Runnable::check_inputs(std::span<const quoin_tensor> inputs) const {
  QUOIN_CHECK(check_count(inputs.size(), bound_->inputs, graph(), "input"));
  int64_t length = 0;
  for (size_t i = 0; i < inputs.size(); ++i)
    QUOIN_CHECK_AT(check_input(input(i), inputs[i], length), "input {} ({})", i, input(i).name);
  return length;
}

Status Runnable::describe_outputs(int64_t length, std::span<quoin_tensor> outputs, bool check) {
  QUOIN_CHECK(check_count(outputs.size(), bound_->outputs, graph(), "output"));
  for (size_t i = 0; i < outputs.size(); ++i) {
    const program::Value& value = output(i);
    quoin_tensor& to = outputs[i];
    program::set_dims(value, length, output_dims_[i]);
    const uint64_t bytes = bytes_of(value.type.dtype, output_dims_[i]);
    if (check) QUOIN_CHECK_AT(check_memory(to, value, bytes), "output {} ({})", i, value.name);
    to.dtype = static_cast<quoin_dtype>(value.type.dtype);
    to.rank = static_cast<uint32_t>(output_dims_[i].size());
    to.dims = output_dims_[i].data();
    to.size = bytes;
    to.qparams = nullptr;
  }
  return {};
}

Status Runnable::run_step(const Step& step, const Blocks& blocks, Stop& stop, Observer* observer) const {
  QUOIN_CHECK_AT(stop.check(), "{}", describe(*step.node));
  const quoin_run call{sizeof call,           0,
                       step.input_array(),    step.output_array(),
                       blocks.scratch.data(), blocks.scratch.size(),
                       stop.profiler(),       stop.word()};
  if (observer != nullptr) observer->begin(step);
  auto status = step.kernel ? step.kernel->run(call) : step.loaded->run(call);
  if (observer != nullptr) observer->end();
  if (status) return {};
  // What stopped it says more than a delegate that found itself stopped.
  if (status.error().code == Code::cancelled) QUOIN_CHECK_AT(stop.check(), "{}", describe(*step.node));
  return std::move(status).failure().at("{}", describe(*step.node));
}

Status Runnable::run(std::span<const quoin_tensor> inputs, std::span<const quoin_tensor> outputs, const Blocks& blocks,
                     Stop& stop, Observer* observer) {
  for (const Patch& patch : patches_)
    bound_->steps[patch.step].tensors[patch.tensor].data =
        patch.location.kind == Location::input ? inputs[patch.location.at].data : outputs[patch.location.at].data;
  for (const Step& step : bound_->steps) QUOIN_CHECK(run_step(step, blocks, stop, observer));
  for (const StateCopy& copy : bound_->copies)
    std::memcpy(blocks.states.data() + copy.to, blocks.arena.data() + copy.from, copy.bytes);
  copy_outputs(inputs, outputs);
  return {};
}

void Runnable::copy_outputs(std::span<const quoin_tensor> inputs, std::span<const quoin_tensor> outputs) const {
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (is_made(i) || outputs[i].data == nullptr || outputs[i].size == 0) continue;
    const Location& location = bound_->output_locations[i];
    const void* from = location.kind == Location::input      ? inputs[location.at].data
                       : location.kind == Location::constant ? location.data
                                                             : outputs[location.at].data;
    if (from != outputs[i].data) std::memmove(outputs[i].data, from, outputs[i].size);
  }
}

}  // namespace quoin::runtime
