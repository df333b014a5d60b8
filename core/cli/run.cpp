#include <algorithm>
#include <filesystem>
#include <iostream>

#include "base/text.hpp"
#include "cli/terminal.hpp"
#include "cli/trace.hpp"
#include "data/files.hpp"

namespace quoin::cli {
namespace {

void add_options(po::options_description& options) {
  options.add_options()("model", po::value<std::string>()->value_name("FILE"), "a program, or a model to run in float")(
      "input,i", po::value<std::vector<std::string>>()->value_name("[NAME=]FILE"),
      ".npy, .npz, .safetensors, JPEG or PNG; repeatable")("output", po::value<std::string>()->value_name("FOLDER"),
                                                           "write each output as FOLDER/NAME.npy");
  add_trace_option(options);
  add_method_option(options);
  add_recipe_options(options);
}

struct NamedFile {
  std::string name, path;  // name "": by position or by the names inside the file
};

NamedFile split_input(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos) return {"", text};
  return {text.substr(0, equals), text.substr(equals + 1)};
}

std::string input_names(const std::vector<data::InputSpec>& specs) {
  std::vector<std::string> names;
  for (const data::InputSpec& spec : specs) names.push_back(spec.name);
  return join(names, ", ");
}

// One file gives one sample; several files give one input each, by name or in order.
Result<std::vector<Tensor>> read_inputs(const std::vector<std::string>& files,
                                        const std::vector<data::InputSpec>& specs, const data::Preprocess& preprocess,
                                        Diagnostics& diagnostics) {
  std::vector<std::optional<Tensor>> found(specs.size());
  size_t next = 0;
  for (const std::string& text : files) {
    const NamedFile file = split_input(text);
    std::vector<data::InputSpec> wanted = specs;
    if (!file.name.empty() || files.size() > 1) {
      const auto named =
          std::find_if(specs.begin(), specs.end(), [&](const auto& spec) { return spec.name == file.name; });
      const size_t index = file.name.empty() ? next : static_cast<size_t>(named - specs.begin());
      if (index >= specs.size())
        return fail(Code::input, "{}",
                    file.name.empty() ? "more files than the model has inputs"
                                      : fmt::format("the model has no input \"{}\"", file.name))
            .at("{}", text)
            .hint("its inputs are " + input_names(specs));
      wanted = {specs[index]};
      next = index + 1;
    }
    QUOIN_TRY(const auto dataset, data::open_dataset({file.path, {}, 0, preprocess}, wanted));
    if (dataset->size() > 1)
      diagnostics.warn(file.path, fmt::format("holds {} samples, only the first is run", dataset->size()),
                       "eval runs all of them");
    QUOIN_TRY(const data::Sample sample, dataset->sample(0));
    for (size_t i = 0; i < wanted.size(); ++i)
      for (size_t s = 0; s < specs.size(); ++s)
        if (specs[s].name == wanted[i].name) found[s] = sample.inputs[i];
  }
  std::vector<Tensor> inputs;
  for (size_t s = 0; s < specs.size(); ++s) {
    if (!found[s])
      return fail(Code::input, "input \"{}\" is not given", specs[s].name)
          .hint("add --input " + specs[s].name + "=FILE");
    inputs.push_back(*found[s]);
  }
  return inputs;
}

Json output_json(const runtime::TensorSpec& spec, const Tensor& tensor) {
  Json out = {{"name", spec.name}, {"dtype", name(tensor.dtype())}, {"shape", tensor.shape()}};
  if (tensor.dtype() != DType::f32) return out;
  const auto values = tensor.as<float>();
  if (values.empty()) return out;
  double sum = 0;
  for (const float v : values) sum += v;
  const auto largest = std::max_element(values.begin(), values.end());
  out["min"] = *std::min_element(values.begin(), values.end());
  out["max"] = *largest;
  out["mean"] = sum / static_cast<double>(values.size());
  out["argmax"] = largest - values.begin();
  return out;
}

// Names come from the file: "a/b" becomes "a_b.npy", and nothing leads out of the folder.
std::string file_name(std::string output) {
  std::ranges::replace(output, '/', '_');
  return output + ".npy";
}

Status write_outputs(const std::string& folder, const std::vector<runtime::TensorSpec>& specs,
                     const std::vector<Tensor>& outputs) {
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  if (failed) return fail(Code::io, "cannot create the folder: {}", failed.message()).at("{}", folder);
  for (size_t i = 0; i < outputs.size(); ++i)
    QUOIN_CHECK(data::write_npy((std::filesystem::path(folder) / file_name(specs[i].name)).string(), outputs[i]));
  return {};
}

Status run(Invocation& call) {
  QUOIN_TRY(const recipe::Recipe recipe, recipe_of(call, call.text("model")));
  QUOIN_TRY(const std::string model, model_of(call, recipe));
  QUOIN_CHECK(check_outputs(call, model));
  for (const std::string& input : call.list("input")) QUOIN_CHECK(check_outputs(call, split_input(input).path));
  QUOIN_TRY(const auto context, context_of(call, recipe));
  QUOIN_TRY(runtime::Executable executable, flow::open_model(model, recipe, *context, call.diagnostics));
  QUOIN_TRY(const size_t method, method_of(call, executable));
  QUOIN_TRY(const std::vector<Tensor> inputs, read_inputs(call.list("input"), flow::input_specs(executable, method),
                                                          recipe.model.preprocess, call.diagnostics));
  std::vector<runtime::Event> events;
  QUOIN_TRY(const std::vector<Tensor> outputs, executable.run(method, inputs, call.has("trace") ? &events : nullptr));
  const std::vector<runtime::TensorSpec> specs = executable.outputs(method);
  QUOIN_CHECK(check_strict(call));
  if (call.has("output")) QUOIN_CHECK(write_outputs(call.text("output"), specs, outputs));
  if (call.has("trace")) {
    const std::vector<Cost> costs = costs_of(executable.model(), method, inputs, events);
    const TracedRun traced[] = {{model, events, costs}};
    QUOIN_CHECK(write_trace(call.text("trace"), traced, context->services->table()));
  }

  Json list = Json::array();
  for (size_t i = 0; i < outputs.size(); ++i) list.push_back(output_json(specs[i], outputs[i]));
  if (call.json) {
    print({{"model", model}, {"outputs", list}});
    return {};
  }
  for (const Json& out : list) {
    std::cout << fmt::format("{} {}{}", out["name"].get<std::string>(), out["dtype"].get<std::string>(),
                             out["shape"].dump());
    if (out.contains("max"))
      std::cout << fmt::format("  min {:.6g}  max {:.6g}  mean {:.6g}  argmax {}", out["min"].get<double>(),
                               out["max"].get<double>(), out["mean"].get<double>(), out["argmax"].get<int64_t>());
    std::cout << "\n";
  }
  return {};
}

}  // namespace

Verb run_verb() {
  return {"run",
          "run a program or model once",
          "MODEL|PROGRAM --input [NAME=]FILE ... [--output FOLDER]",
          "Runs one sample and prints a summary of each output. Images go through the recipe's preprocessing, which a\n"
          "program carries with it.\n\n"
          "  quoin run effnet.quoin --input cat.jpg --trace trace.json\n"
          "  quoin run minilm.quoin --input ids=ids.npy --input mask=mask.npy --output out/\n"
          "  quoin run stories.quoin --method prefill --input tokens=tokens.npy --input positions=positions.npy",
          {"model", "input"},
          add_options,
          run};
}

}  // namespace quoin::cli
