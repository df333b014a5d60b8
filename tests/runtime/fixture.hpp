#pragma once

#include <cmath>

#include "../lower/fixture.hpp"
#include "runtime/executable.hpp"

namespace quoin::runtime {

// The diamond of the lowering tests, lowered, written to bytes, read back and loaded.
class Running : public lower::Lowering {
 protected:
  // `fake` claims fc and act and computes them as a plugin would: max(0, 0.5 * sum(x) + 1) per output.
  program::Model delegated_model() {
    fake.partition = quoin::testing::claims({{0, 1}});
    fake.run = [this](const quoin_run& call, quoin_error*) {
      ++delegate_runs;
      const auto* inputs = static_cast<const quoin_tensor*>(call.inputs.data);
      const auto* outputs = static_cast<const quoin_tensor*>(call.outputs.data);
      const auto* in = static_cast<const float*>(inputs[0].data);
      auto* out = static_cast<float*>(outputs[0].data);
      for (int row = 0; row < 2; ++row)
        for (int column = 0; column < 4; ++column)
          out[row * 4 + column] =
              std::max(0.0f, 0.5f * in[row * 3] + 0.5f * in[row * 3 + 1] + 0.5f * in[row * 3 + 2] + 1);
      return QUOIN_OK;
    };
    return through_file(run_lowering({&fake}));
  }
  program::Model kernel_model() { return through_file(run_lowering({})); }
  program::Model run_lowering(const std::vector<quoin::testing::FakePlugin*>& plugins) {
    auto lowered = Lowering::run(plugins);
    EXPECT_TRUE(lowered) << text(lowered);
    return std::move(lowered->model);
  }
  program::Model through_file(const program::Model& model) {
    const auto bytes = std::make_shared<std::vector<std::byte>>(program::serialize(model).value());
    auto read = program::read(bytes, *bytes, "test.quoin");
    EXPECT_TRUE(read) << read.error().text();
    return *std::move(read);
  }
  Result<Executable> load(program::Model model) {
    Options load_options;
    load_options.kernels = &kernels;
    load_options.fallback = fallback;
    load_options.params = params;
    load_options.backend = [this](const std::string& name) -> Result<std::shared_ptr<host::Backend>> {
      if (name != "fake" || !plugin_present) return fail(Code::plugin, "no plugin named {}", name);
      return fake.open(services.table());
    };
    return Executable::load(std::move(model), load_options, services.table(), diagnostics);
  }
  static std::string why(const Result<Executable>& result) { return result ? "loaded" : result.error().text(); }
  static Tensor input() { return Tensor::of<float>(DType::f32, {2, 3}, kInput); }
  static void expect_result(Result<Executable>& executable) {
    ASSERT_TRUE(executable) << why(executable);
    const std::vector<Tensor> inputs = {input()};
    const auto outputs = executable->run(inputs);
    ASSERT_TRUE(outputs) << outputs.error().text();
    ASSERT_EQ(outputs->size(), 1u);
    const auto found = (*outputs)[0].as<float>();
    const std::vector<float> wanted = expected();
    ASSERT_EQ(found.size(), wanted.size());
    for (size_t i = 0; i < wanted.size(); ++i) EXPECT_NEAR(found[i], wanted[i], 1e-5f * wanted[i]) << i;
  }
  std::string notes() const {
    std::string all;
    for (const Note& note : diagnostics.notes()) all += note.text() + "\n";
    return all;
  }

  bool plugin_present = true;
  std::string fallback = "warn";
  std::function<Result<quoin_array>(const host::Backend&)> params;
  int delegate_runs = 0;
};

}  // namespace quoin::runtime
