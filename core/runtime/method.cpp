#include "runtime/method.hpp"

#include <algorithm>
#include <cstring>

#include "ops/schema.hpp"
#include "ops/short_text.hpp"
#include "program/view/length.hpp"
#include "runtime/delegate.hpp"
#include "runtime/graph_view.hpp"
#include "runtime/prepare.hpp"

namespace quoin::runtime {
namespace {

// "f32[..512, 64]"
ShortText expected_text(const view::Value& value) { return type_text(value.dtype, value.shape.span(), value.dynamic); }

ShortText found_text(const quoin_tensor& given) {
  const bool shaped = given.rank <= kMaxRank && (given.rank == 0 || given.dims != nullptr);
  return type_text(static_cast<DType>(given.dtype), {given.dims, shaped ? given.rank : 0});
}

bool check_data(const quoin_tensor& tensor, DType dtype, Fault& fault) {
  const uint64_t element = std::max<uint64_t>(bits(dtype) / 8, 1);
  return (tensor.data != nullptr && reinterpret_cast<uintptr_t>(tensor.data) % element == 0) ||
         fault.fail(Code::input, "its data is missing or not aligned to {} bytes", element);
}

// Whether a run can write `bytes` of the output there.
bool check_memory(const quoin_tensor& given, const view::Value& value, uint64_t bytes, Fault& fault) {
  if (given.size < bytes)
    return fault.fail(Code::input, "{} bytes of memory, {} takes {}", given.size, expected_text(value).text(), bytes);
  return bytes == 0 || check_data(given, value.dtype, fault);
}

// One input against its value. `length`: of the inputs before, 0: none has one.
bool check_input(const view::Value& value, const quoin_tensor& given, int64_t& length, Fault& fault) {
  const auto misfit = [&] {
    return fault.fail(Code::input, "expected {}, found {}", expected_text(value).text(), found_text(given).text());
  };
  if (given.dtype != static_cast<quoin_dtype>(value.dtype) || given.rank != value.shape.size ||
      (given.rank != 0 && given.dims == nullptr))
    return misfit();
  for (uint32_t i = 0; i < given.rank; ++i) {
    const int64_t dim = given.dims[i], most = value.shape[i];
    if (!view::follows(value, i)) {
      if (dim != most) return misfit();
      continue;
    }
    if (dim < 1 || dim > most)
      return fault.fail(Code::input, "a length of {} in dim {}, the program takes 1 to {}", dim, i, most);
    if (length != 0 && dim != length)
      return fault.fail(Code::input, "a length of {} in dim {}, other inputs have {} (at most {})", dim, i, length,
                        most);
    length = dim;
  }
  const auto bytes = static_cast<uint64_t>(byte_size(value.dtype, {given.dims, given.rank}));
  if (given.size != bytes)
    return fault.fail(Code::input, "{} bytes, {} takes {}", given.size, found_text(given).text(), bytes);
  return bytes == 0 || check_data(given, value.dtype, fault);
}

bool check_count(size_t found, std::span<const uint32_t> ids, const view::Graph& graph, const char* what,
                 const char* takes, Fault& fault) {
  if (found == ids.size()) return true;
  ShortText names;
  for (const uint32_t id : ids) names.add("{}{}", names.size() == 0 ? "" : ", ", graph.values[id].name);
  return fault.fail(Code::input, "{} {}s, the program {} {} ({})", found, what, takes, ids.size(), names.text());
}

}  // namespace

void close(Method& method) {
  for (Step* step = method.steps; step != nullptr; step = step->next) close(*step);
  if (kHasOperators) forget(method);
}

void Method::use(const Blocks& blocks) {
  for (Step* step = steps; step != nullptr; step = step->next)
    for (size_t i = 0; i < step->tensors.size(); ++i) {
      const Location& location = step->locations[i];
      void*& data = step->tensors[i].data;
      if (location.kind == Location::arena) data = blocks.arena.data() + location.at;
      if (location.kind == Location::state) data = blocks.states.data() + location.at;
      if (location.kind == Location::constant) data = reinterpret_cast<void*>(location.at);
    }
}

bool Method::check_inputs(std::span<const quoin_tensor> given, int64_t& run_length, Fault& fault) const {
  run_length = 0;
  if (!check_count(given.size(), inputs, of->graph(), "input", "takes", fault)) return false;
  for (size_t i = 0; i < given.size(); ++i)
    if (!check_input(input(i), given[i], run_length, fault)) return fault.at("input {} ({})", i, input(i).name);
  return true;
}

bool Method::describe_outputs(int64_t run_length, std::span<quoin_tensor> to, bool check, Fault& fault) {
  if (!check_count(to.size(), outputs, of->graph(), "output", "gives", fault)) return false;
  for (size_t i = 0; i < to.size(); ++i) {
    const view::Value& value = output(i);
    const std::span<int64_t> dims(output_dims[i], value.shape.size);
    view::set_dims(value, run_length, dims.data());
    const auto bytes = static_cast<uint64_t>(byte_size(value.dtype, dims));
    if (check && !check_memory(to[i], value, bytes, fault)) return fault.at("output {} ({})", i, value.name);
    to[i] = {static_cast<quoin_dtype>(value.dtype),
             static_cast<uint32_t>(dims.size()),
             dims.data(),
             to[i].data,
             bytes,
             nullptr};
  }
  return true;
}

bool Method::run_step(const Step& step, const Blocks& blocks, Stop& stop, Observer* observer, Fault& fault) const {
  const quoin_run call{sizeof call,           0,
                       step.input_array(),    step.output_array(),
                       blocks.scratch.data(), blocks.scratch.size(),
                       stop.profiler(),       stop.word()};
  if (observer != nullptr) observer->begin(step);
  const bool done =
      step.is_delegate() ? run_delegate(step, call, fault) : kHasOperators && step.kernel->run(call, fault);
  if (observer != nullptr) observer->end();
  // What stopped it says more than a delegate that found itself stopped.
  if (!done && fault.code() == Code::cancelled) stop.check(fault);
  return done;
}

bool Method::run(std::span<const quoin_tensor> given, std::span<const quoin_tensor> made, const Blocks& blocks,
                 Stop& stop, Observer* observer, Fault& fault) {
  for (const Patch& patch : patches)
    patch.tensor->data =
        patch.location.kind == Location::input ? given[patch.location.at].data : made[patch.location.at].data;
  for (const Step* step = steps; step != nullptr; step = step->next)
    if (!stop.check(fault) || !run_step(*step, blocks, stop, observer, fault)) return at_node(*step->node, fault);
  for (const StateCopy& copy : copies)
    std::memcpy(blocks.states.data() + copy.to, blocks.arena.data() + copy.from, copy.bytes);
  copy_outputs(given, made);
  return true;
}

void Method::copy_outputs(std::span<const quoin_tensor> given, std::span<const quoin_tensor> made) const {
  for (size_t i = 0; i < made.size(); ++i) {
    if (is_made(i) || made[i].data == nullptr || made[i].size == 0) continue;
    const Location& location = output_locations[i];
    const void* from = location.kind == Location::input      ? given[location.at].data
                       : location.kind == Location::constant ? reinterpret_cast<const void*>(location.at)
                                                             : made[location.at].data;
    if (from != made[i].data) std::memmove(made[i].data, from, made[i].size);
  }
}

}  // namespace quoin::runtime
