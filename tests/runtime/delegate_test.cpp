// Delegates: running them, and falling back to their originals when they cannot run here.
#include <cmath>
#include <thread>

#include "fixture.hpp"

namespace quoin::runtime {
namespace {

using quoin::testing::refuse;
using ::testing::HasSubstr;

TEST_F(Running, DelegateRunsAndIsDestroyed) {
  {
    auto executable = load(delegated_model());
    expect_result(executable);
    EXPECT_EQ(delegate_runs, 1);
    EXPECT_EQ(fake.live_delegates, 1);
  }
  EXPECT_EQ(fake.live_delegates, 0);
}

TEST_F(Running, DelegateGetsItsBlobAlignedAndItsNamedData) {
  fake.compile = [](const quoin_lower_request&, const quoin_blob_writer& writer, quoin_error*) {
    writer.named(writer.self, {"lut", 3}, {"12345", 5}, 64);
    writer.write(writer.self, {"first ", 6});
    return writer.write(writer.self, {"second", 6});
  };
  fake.init = [](const quoin_load_request& request, quoin_error*) -> quoin_status {
    EXPECT_EQ(std::string(static_cast<const char*>(request.blob.data), request.blob.size), "first second");
    EXPECT_EQ(reinterpret_cast<uintptr_t>(request.blob.data) % 64, 0u);
    EXPECT_EQ(request.blob_format, 2u);
    quoin_bytes data{};
    EXPECT_EQ(request.named(request.self, {"lut", 3}, &data), QUOIN_OK);
    EXPECT_EQ(std::string(static_cast<const char*>(data.data), data.size), "12345");
    EXPECT_EQ(request.named(request.self, {"none", 4}, &data), QUOIN_NOT_FOUND);
    return QUOIN_OK;
  };
  auto executable = load(delegated_model());
  expect_result(executable);
}

TEST_F(Running, DelegateGetsTheParametersOfItsPlugin) {
  const int64_t device = 3;
  const quoin_param param{{"device", 6}, QUOIN_PARAM_INT, 1, &device};
  params = [&](const host::Backend& backend) -> Result<quoin_array> {
    EXPECT_EQ(backend.name(), "fake");
    return quoin_array{&param, 1, sizeof param};
  };
  fake.init = [&](const quoin_load_request& request, quoin_error*) -> quoin_status {
    EXPECT_EQ(request.params.count, 1u);
    EXPECT_EQ(request.params.data, &param);
    return QUOIN_OK;
  };
  auto executable = load(delegated_model());
  expect_result(executable);
  params = [](const host::Backend&) -> Result<quoin_array> { return fail(Code::recipe, "r.yaml:3:4: no such option"); };
  const auto refused = load(delegated_model());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::recipe);
}

TEST_F(Running, DelegateGetsTheScratchItPlanned) {
  fake.plan = [](quoin_array, quoin_array, quoin_memory_need& need, quoin_error*) {
    need.scratch = 1000;
    need.alignment = 256;
    return QUOIN_OK;
  };
  program::Model model = delegated_model();
  const auto compute = fake.run;
  fake.run = [&](const quoin_run& call, quoin_error* error) {
    EXPECT_GE(call.scratch_size, 1000u);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(call.scratch) % 256, 0u);
    return compute(call, error);
  };
  auto executable = load(std::move(model));
  expect_result(executable);
  EXPECT_GE(executable->memory(), 1000u);
}

// Ways in which a delegate cannot run here although its program is sound.
struct Obstacle {
  std::string name;
  std::function<void(Running&, quoin::testing::FakePlugin&, bool& present)> make;
  std::string reason;
};

class Unable : public Running, public ::testing::WithParamInterface<Obstacle> {
 protected:
  program::Model obstructed_model() {
    program::Model model = delegated_model();
    if (GetParam().name == "InstructionSet") model.delegates[0].isa = QUOIN_ISA_AMX_INT8 | QUOIN_ISA_AVX2;
    GetParam().make(*this, fake, plugin_present);
    return model;
  }
};

TEST_P(Unable, OriginalRunsOnKernelsWithAWarning) {
  auto executable = load(obstructed_model());
  expect_result(executable);
  EXPECT_EQ(delegate_runs, 0);
  EXPECT_THAT(notes(), HasSubstr(GetParam().reason));
  EXPECT_THAT(notes(), HasSubstr("delegate 0 (fake 1.4.0, t0, blob format 2): runs its 2 original nodes on kernels"));
  executable = fail(Code::internal, "dropped");
  EXPECT_EQ(fake.live_delegates, 0) << "a delegate that was given up must be destroyed";
}

TEST_P(Unable, ErrorPolicyRefuses) {
  fallback = "error";
  const auto executable = load(obstructed_model());
  ASSERT_FALSE(executable);
  EXPECT_EQ(executable.error().code, Code::program_version);
  EXPECT_THAT(why(executable), HasSubstr(GetParam().reason));
}

TEST_P(Unable, WithoutOriginalItIsAnError) {
  options.keep_original = false;
  const auto executable = load(obstructed_model());
  ASSERT_FALSE(executable);
  EXPECT_EQ(executable.error().code, Code::program_version);
  EXPECT_THAT(why(executable), HasSubstr(GetParam().reason));
  EXPECT_THAT(why(executable), HasSubstr("keep_original"));
}

INSTANTIATE_TEST_SUITE_P(
    Delegate, Unable,
    ::testing::Values(
        Obstacle{"PluginMissing", [](auto&, auto&, bool& present) { present = false; }, "no plugin named fake"},
        Obstacle{"PluginTooNew",
                 [](auto&, auto& plugin, bool&) {
                   plugin.executor.oldest_blob_format = 5;
                   plugin.executor.newest_blob_format = 6;
                 },
                 "needs plugin fake with blob format 2 (as in 1.4.0); found 1.4.0 reading 5..6"},
        Obstacle{"PluginTooOld", [](auto&, auto& plugin, bool&) { plugin.executor.newest_blob_format = 1; },
                 "reading 1..1"},
        Obstacle{"NoExecutor", [](auto&, auto& plugin, bool&) { plugin.table.executor = nullptr; },
                 "it has no executor"},
        Obstacle{"InstructionSet", [](auto&, auto&, bool&) {}, "this machine allows"},
        Obstacle{"InitUnsupported",
                 [](auto&, auto& plugin, bool&) {
                   plugin.init = [](auto&, quoin_error* error) {
                     return refuse(error, QUOIN_UNSUPPORTED, "no such device");
                   };
                 },
                 "no such device"},
        Obstacle{"PlanUnsupported",
                 [](auto&, auto& plugin, bool&) {
                   plugin.plan = [](auto, auto, auto&, quoin_error* error) {
                     return refuse(error, QUOIN_UNSUPPORTED, "too wide");
                   };
                 },
                 "too wide"}),
    [](const auto& obstacle) { return obstacle.param.name; });

TEST_F(Running, AllowPolicyOnlyInforms) {
  fallback = "allow";
  program::Model model = delegated_model();
  plugin_present = false;
  const size_t before = diagnostics.notes().size();
  auto executable = load(std::move(model));
  expect_result(executable);
  ASSERT_EQ(diagnostics.notes().size(), before + 1);
  EXPECT_EQ(diagnostics.notes().back().level, Level::info);
}

TEST_F(Running, CorruptBlobIsAnErrorAndNoReasonToFallBack) {
  program::Model model = delegated_model();
  fake.init = [](auto&, quoin_error* error) { return refuse(error, QUOIN_CORRUPT, "blob is truncated"); };
  const auto executable = load(std::move(model));
  ASSERT_FALSE(executable);
  EXPECT_EQ(executable.error().code, Code::plugin);
  EXPECT_THAT(why(executable), HasSubstr("node fake_0 (delegate): load: plugin fake: blob is truncated"));
}

TEST_F(Running, PlanOfOtherOutputShapesIsAnError) {
  program::Model model = delegated_model();
  fake.plan = [](quoin_array, quoin_array outputs, quoin_memory_need&, quoin_error*) {
    static_cast<const quoin_tensor*>(outputs.data)->dims[0] = 1000;
    return QUOIN_OK;
  };
  const auto executable = load(std::move(model));
  ASSERT_FALSE(executable);
  EXPECT_THAT(why(executable), HasSubstr("plans output 0 as [1000, 4], the program says [2, 4]"));
}

TEST_F(Running, AbsurdScratchIsRefused) {
  program::Model model = delegated_model();
  fake.plan = [](auto, auto, quoin_memory_need& need, auto*) {
    need.alignment = 3;
    return QUOIN_OK;
  };
  EXPECT_FALSE(load(model));
  fake.plan = [](auto, auto, quoin_memory_need& need, auto*) {
    need.scratch = UINT64_MAX;
    return QUOIN_OK;
  };
  const auto executable = load(model);
  ASSERT_FALSE(executable);
  EXPECT_EQ(executable.error().code, Code::limit);
}

TEST_F(Running, FailingRunIsAnErrorWithoutRetry) {
  program::Model model = delegated_model();
  fake.run = [](auto&, quoin_error* error) { return refuse(error, QUOIN_INTERNAL, "device lost"); };
  auto executable = load(std::move(model));
  ASSERT_TRUE(executable) << why(executable);
  const std::vector<Tensor> inputs = {input()};
  const auto outputs = executable->run(inputs);
  ASSERT_FALSE(outputs);
  EXPECT_EQ(outputs.error().code, Code::plugin);
  EXPECT_THAT(outputs.error().text(), HasSubstr("node fake_0 (delegate): plugin fake: device lost"));
}

TEST_F(Running, ExceptionOfADelegateIsAnError) {
  program::Model model = delegated_model();
  fake.run = [](auto&, auto*) -> quoin_status { throw std::runtime_error("boom"); };
  auto executable = load(std::move(model));
  ASSERT_TRUE(executable) << why(executable);
  const std::vector<Tensor> inputs = {input()};
  EXPECT_THAT(executable->run(inputs).error().text(), HasSubstr("boom"));
}

TEST_F(Running, ProfileShowsWhatADelegateReports) {
  program::Model model = delegated_model();
  const auto compute = fake.run;
  fake.run = [&](const quoin_run& call, quoin_error* error) {
    const quoin_profiler& profiler = *call.profiler;
    const uint64_t token = profiler.begin(profiler.self, {"gemm", 4}, 11);
    profiler.end(profiler.self, token);
    profiler.end(profiler.self, 1u << 30);  // a token that was never given
    profiler.past(profiler.self, {"dma", 3}, 999, 5, 8);
    std::thread([&] { profiler.end(profiler.self, profiler.begin(profiler.self, {"tile", 4}, 11)); }).join();
    return compute(call, error);
  };
  auto executable = load(std::move(model));
  ASSERT_TRUE(executable) << why(executable);
  std::vector<Event> events;
  const std::vector<Tensor> inputs = {input()};
  ASSERT_TRUE(executable->run(inputs, &events));
  ASSERT_EQ(events.size(), 6u);
  EXPECT_EQ(events[0].op, "delegate");
  EXPECT_EQ(events[0].backend, "fake");
  EXPECT_EQ(events[1].name, "fc") << "the debug id leads to the node";
  EXPECT_EQ(events[1].op, "gemm");
  EXPECT_EQ(events[1].module, "net.fc");
  EXPECT_EQ(events[2].name, "dma");
  EXPECT_EQ(events[2].end_ns - events[2].start_ns, 3u);
  EXPECT_EQ(events[3].op, "tile");
  EXPECT_EQ(events[0].thread, 0u);
  EXPECT_EQ(events[1].thread, 0u);
  EXPECT_EQ(events[2].thread, Event::kDevice);
  EXPECT_EQ(events[3].thread, 1u);
}

}  // namespace
}  // namespace quoin::runtime
