// reference MODEL|PROGRAM RECIPE FOLDER [PLUGINS]: runs every sample of the recipe's evaluation data and writes what
// went in and what came out, so that another runtime can be given the same numbers: FOLDER/input_K.npy and
// FOLDER/output_K.npy, samples along a new first dim. Models run node by node with the portable kernels, programs with
// the plugins in PLUGINS.
#include <cstdio>
#include <cstring>
#include <functional>

#include "data/files.hpp"
#include "flow/flow.hpp"
#include "interpret/interpreter.hpp"

namespace quoin {
namespace {

// Tensors of equal shape one after the other.
class Stack {
 public:
  explicit Stack(size_t samples) : samples_(samples) {}
  void add(const Tensor& tensor) {
    if (count_ == 0) {
      Shape shape = tensor.shape();
      shape.insert(shape.begin(), static_cast<int64_t>(samples_));
      all_ = Tensor(tensor.dtype(), std::move(shape));
    }
    std::memcpy(static_cast<std::byte*>(all_.data()) + count_++ * tensor.bytes(), tensor.data(), tensor.bytes());
  }
  Status write(const std::string& path) const { return data::write_npy(path, all_); }

 private:
  size_t samples_, count_ = 0;
  Tensor all_;
};

using Run = std::function<Result<std::vector<Tensor>>(const std::vector<Tensor>&)>;

Status run_all(const data::Dataset& dataset, const Run& run, const std::string& folder) {
  std::vector<Stack> inputs, outputs;
  for (size_t i = 0; i < dataset.size(); ++i) {
    QUOIN_TRY(const data::Sample sample, dataset.sample(i));
    QUOIN_TRY(const std::vector<Tensor> results, run(sample.inputs));
    inputs.resize(sample.inputs.size(), Stack(dataset.size()));
    outputs.resize(results.size(), Stack(dataset.size()));
    for (size_t k = 0; k < inputs.size(); ++k) inputs[k].add(sample.inputs[k]);
    for (size_t k = 0; k < outputs.size(); ++k) outputs[k].add(results[k]);
  }
  for (size_t k = 0; k < inputs.size(); ++k) QUOIN_CHECK(inputs[k].write(fmt::format("{}/input_{}.npy", folder, k)));
  for (size_t k = 0; k < outputs.size(); ++k) QUOIN_CHECK(outputs[k].write(fmt::format("{}/output_{}.npy", folder, k)));
  return {};
}

data::Source source_of(const recipe::Recipe& recipe) {
  return {recipe.eval.data, recipe.eval.labels, 0, recipe.model.preprocess};
}

Status run_model(const std::string& path, const recipe::Recipe& recipe, const std::string& folder) {
  Diagnostics notes;
  QUOIN_TRY(const ir::Graph graph, import::import_model(path, {}, notes));
  std::vector<data::InputSpec> specs;
  for (const ir::ValueId id : graph.inputs())
    specs.push_back({graph.value(id).name, graph.value(id).type.dtype, graph.value(id).type.shape});
  QUOIN_TRY(const auto dataset, data::open_dataset(source_of(recipe), specs));
  const host::Services services({});
  const kernels::KernelSet kernels;
  QUOIN_TRY(auto interpreter, interpret::Interpreter::create(graph, kernels, services.table()));
  return run_all(
      *dataset, [&](const std::vector<Tensor>& inputs) { return interpreter.run(inputs); }, folder);
}

Status run_program(const std::string& path, const recipe::Recipe& recipe, const std::string& folder,
                   const std::string& plugins) {
  Diagnostics notes;
  QUOIN_TRY(const auto context, flow::make_context(recipe, {plugins}, true, notes));
  QUOIN_TRY(runtime::Executable executable, flow::open_model(path, recipe, *context, notes));
  QUOIN_TRY(const auto dataset, data::open_dataset(source_of(recipe), flow::input_specs(executable)));
  return run_all(
      *dataset, [&](const std::vector<Tensor>& inputs) { return executable.run(inputs, nullptr); }, folder);
}

Status run(const std::vector<std::string>& arguments) {
  QUOIN_TRY(const recipe::Recipe recipe, recipe::load(arguments[1]));
  return arguments.size() == 3 ? run_model(arguments[0], recipe, arguments[2])
                               : run_program(arguments[0], recipe, arguments[2], arguments[3]);
}

}  // namespace
}  // namespace quoin

int main(int argc, char** argv) {
  if (argc != 4 && argc != 5) {
    std::fprintf(stderr, "usage: %s MODEL|PROGRAM RECIPE FOLDER [PLUGINS]\n", argv[0]);
    return 2;
  }
  if (const auto done = quoin::run({argv + 1, argv + argc}); !done) {
    std::fprintf(stderr, "%s\n", done.error().text().c_str());
    return 1;
  }
}
