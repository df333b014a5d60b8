// Any bytes as a program file that is loaded and run on the portable kernels: an error, or outputs.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numeric>
#include <vector>

#include "host/services.hpp"
#include "program/file.hpp"
#include "program/length.hpp"
#include "runtime/executable.hpp"
#include "target.hpp"

using namespace quoin;

namespace {

// A legal program may ask for more than a run of the fuzzer may take: it is loaded, but not run.
constexpr uint64_t kMaxMemory = 32u << 20;  // bytes of all values
constexpr double kMaxWork = 1e7;            // about: elements of a result times elements of the largest operand

struct Host {
  Host() : services({1, *host::detect_isa(), {}}), table(services.table()) {
    table.alloc = [](void*, uint64_t size, uint64_t alignment) -> void* {
      return size > kMaxMemory ? nullptr : std::aligned_alloc(alignment, size);
    };
    table.free = [](void*, void* memory, uint64_t, uint64_t) { std::free(memory); };
  }
  host::Services services;
  quoin_host table;
  kernels::KernelSet kernels;
};

uint64_t bytes_of(const program::Value& value) {
  return static_cast<uint64_t>(byte_size(value.type.dtype, value.type.shape));
}

double elements(const program::Graph& graph, const std::vector<uint32_t>& ids) {
  double most = 1;
  for (const uint32_t id : ids)
    if (id != program::kNone) most = std::max(most, static_cast<double>(numel(graph.values[id].type.shape)));
  return most;
}

// Sizes in attributes (kernels, repeats) multiply, too.
double attribute_size(const program::Node& node) {
  double size = 1;
  for (const auto& [name, attr] : node.attrs) {
    if (const auto* one = std::get_if<int64_t>(&attr)) size *= std::max(1.0, std::abs(static_cast<double>(*one)));
    if (const auto* list = std::get_if<std::vector<int64_t>>(&attr))
      for (const int64_t item : *list) size *= std::max(1.0, std::abs(static_cast<double>(item)));
  }
  return size;
}

bool is_small(const program::Graph& graph) {
  uint64_t bytes = graph.arena_size;
  for (const program::Value& value : graph.values)
    if ((bytes += bytes_of(value)) > kMaxMemory) return false;
  double work = 0;
  for (const program::Node& node : graph.nodes)
    work += elements(graph, node.outputs) * elements(graph, node.inputs) *
            (node.op.empty() ? 1 : std::min(attribute_size(node), 1e6));
  return work <= kMaxWork;
}

bool is_small(const program::Model& model) {
  for (const program::Method& method : model.methods)
    if (!is_small(method.graph)) return false;
  for (const program::Delegate& delegate : model.delegates)
    if (delegate.original && !is_small(*delegate.original)) return false;
  return true;
}

// Bytes 0, 1, 2, ..., which are small integers and tiny floats; and a 1.0 now and then.
Tensor some_tensor(const TensorType& type) {
  Tensor tensor(type.dtype, type.shape);
  auto* bytes = static_cast<uint8_t*>(tensor.data());
  std::iota(bytes, bytes + tensor.bytes(), uint8_t{0});
  if (type.dtype == DType::boolean)
    for (size_t i = 0; i < tensor.bytes(); ++i) bytes[i] &= 1;
  if (type.dtype == DType::f32)
    for (size_t i = 0; i < tensor.as<float>().size(); i += 2) tensor.as<float>()[i] = 1;
  return tensor;
}

void run(runtime::Executable& program, size_t method, bool shortest) {
  std::vector<Tensor> inputs;
  for (const runtime::TensorSpec& spec : program.inputs(method))
    inputs.push_back(some_tensor(shortest ? program::type_at({{}, spec.type, {}, 0, spec.dynamic}, 1) : spec.type));
  const auto outputs = program.run(method, inputs);
  if (outputs)
    fuzz::require(outputs->size() == program.outputs(method).size(), "a run gives every output");
  else
    fuzz::require(outputs.error().code != Code::internal, "an error is not a bug");
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Host host;
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  const auto file = std::make_shared<std::vector<std::byte>>(bytes, bytes + size);
  auto model = program::read(file, *file, "fuzz.quoin");
  if (!model || !is_small(*model)) return 0;
  runtime::Options options;
  options.kernels = &host.kernels;
  options.fallback = "allow";
  options.backend = [](const std::string&) -> Result<std::shared_ptr<host::Backend>> {
    return fail(Code::plugin, "there are no plugins");
  };
  Diagnostics diagnostics;
  auto program = runtime::Executable::load(*std::move(model), options, host.table, diagnostics);
  if (!program) {
    fuzz::require(program.error().code != Code::internal, "an error is not a bug");
    return 0;
  }
  fuzz::accepted();
  for (size_t method = 0; method < program->methods(); ++method) {
    run(*program, method, false);
    run(*program, method, true);
  }
  return 0;
}
