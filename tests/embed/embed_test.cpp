// The C interface: what it loads, what it says of a program, what it runs, and how it says no.
#include <array>
#include <cstring>
#include <thread>

#include "../lower/fixture.hpp"
#include "allocations.hpp"
#include "flash.hpp"
#include "support.hpp"

extern "C" const quoin_plugin* first_entry(const quoin_host*, quoin_error*);
extern "C" const quoin_plugin* second_entry(const quoin_host*, quoin_error*);

namespace quoin::embed {
namespace {

using ::testing::HasSubstr;

class Embedding : public lower::Lowering {
 protected:
  void SetUp() override {
    Lowering::SetUp();
    host.self = this;
    host.log = [](void* self, int32_t, quoin_str text) {
      static_cast<Embedding*>(self)->log += std::string(text.data, text.size) + "\n";
    };
  }
  // The diamond as a file in memory; `plugins` take the nodes that they claim.
  quoin_bytes file(const std::vector<quoin::testing::FakePlugin*>& plugins = {}) {
    auto lowered = run(plugins);
    EXPECT_TRUE(lowered) << text(lowered);
    bytes = program::serialize(lowered->model).value();
    return {bytes.data(), bytes.size()};
  }
  rt::Program load(const std::vector<quoin::testing::FakePlugin*>& plugins = {}) {
    engine = quoin::testing::engine_with({}, &host);
    rt::Program program = engine.view(file(plugins), {}, error);
    EXPECT_TRUE(program) << error.message();
    return program;
  }
  bool run_once(rt::Instance& instance, quoin_run_options how = {}) {
    std::ranges::copy(kInput, x_data.begin());
    inputs[0] = {QUOIN_F32, 2, dims.data(), x_data.data(), sizeof x_data, nullptr};
    outputs[0] = {0, 0, nullptr, y_data.data(), sizeof y_data, nullptr};
    return instance.run(inputs, outputs, how, error);
  }

  quoin_host host = quoin_host_of_system();
  std::string log;
  std::vector<std::byte> bytes;
  rt::Engine engine;
  rt::Error error;
  std::array<int64_t, 2> dims{2, 3};
  std::array<float, 6> x_data{};
  std::array<float, 8> y_data{};
  std::array<quoin_tensor, 1> inputs{}, outputs{};
};

TEST_F(Embedding, DescribesPrograms) {
  const rt::Program program = load();
  ASSERT_EQ(program.methods(), 1u);
  EXPECT_EQ(program.method_name(0), "forward");
  EXPECT_EQ(program.method_name(1), "");
  ASSERT_EQ(program.inputs(), 1u);
  const quoin_slot slot = program.input(0);
  EXPECT_EQ(std::string_view(slot.name.data, slot.name.size), "x");
  EXPECT_EQ(Shape(slot.tensor.dims, slot.tensor.dims + slot.tensor.rank), (Shape{2, 3}));
  EXPECT_EQ(slot.tensor.size, 24u);
  EXPECT_EQ(program.outputs(), 1u);
  EXPECT_EQ(program.inputs(7), 0u);
  quoin_slot none{sizeof none, 0, {}, {}};
  EXPECT_EQ(quoin_program_input(program.get(), 0, 3, &none, error.get()), QUOIN_INVALID);
  EXPECT_EQ(error.message(), "slot 3 of 1 in method 0");
  uint32_t method = 7;
  EXPECT_EQ(quoin_program_find_method(program.get(), "forward", &method, nullptr), QUOIN_OK);
  EXPECT_EQ(method, 0u);
  EXPECT_EQ(quoin_program_find_method(program.get(), "backward", &method, error.get()), QUOIN_NOT_FOUND);
  EXPECT_THAT(std::string(error.message()), HasSubstr("there is no method backward; its methods are forward"));
}

TEST_F(Embedding, RunsWithoutTouchingTheHeap) {
  const rt::Program program = load();
  rt::Instance instance = program.instance({}, error);
  ASSERT_TRUE(instance) << error.message();
  ASSERT_TRUE(instance.plan({}, error)) << error.message();
  const unsigned long before = quoin::testing::allocations;
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(run_once(instance)) << error.message();
  EXPECT_EQ(quoin::testing::allocations - before, 0u);
  for (size_t i = 0; i < y_data.size(); ++i) EXPECT_NEAR(y_data[i], expected()[i], 1e-4f);
  EXPECT_GT(before, 0u) << "allocations are counted";
}

TEST_F(Embedding, AProfilerSeesTheNodes) {
  const rt::Program program = load();
  rt::Instance instance = program.instance({}, error);
  ASSERT_TRUE(instance && instance.plan({}, error)) << error.message();
  struct Seen {
    std::vector<std::string> names;
    std::vector<uint64_t> ended;
  } seen;
  const quoin_profiler profiler{sizeof profiler,
                                0,
                                &seen,
                                [](void* self, quoin_str name, uint64_t) -> uint64_t {
                                  auto& names = static_cast<Seen*>(self)->names;
                                  names.emplace_back(name.data, name.size);
                                  return names.size();
                                },
                                [](void* self, uint64_t token) { static_cast<Seen*>(self)->ended.push_back(token); },
                                [](void*, quoin_str, uint64_t, uint64_t, uint64_t) {}};
  quoin_run_options how{};
  how.profiler = &profiler;
  ASSERT_TRUE(run_once(instance, how)) << error.message();
  EXPECT_EQ(seen.names, (std::vector<std::string>{"fc", "act", "exp", "sum"}));
  EXPECT_EQ(seen.ended, (std::vector<uint64_t>{1, 2, 3, 4}));
  quoin_profiler partial = profiler;
  partial.past = nullptr;
  how.profiler = &partial;
  EXPECT_FALSE(run_once(instance, how));
  EXPECT_THAT(std::string(error.message()), HasSubstr("the profiler lacks a function"));
}

TEST_F(Embedding, RunsInStaticMemory) {
  alignas(64) static std::array<unsigned char, 4096> arena, scratch, states;
  const rt::Program program = load();
  rt::Instance instance = program.instance({}, error);
  ASSERT_TRUE(instance) << error.message();
  const quoin_memory need = instance.need();
  EXPECT_EQ(need.arena.alignment, 64u);
  ASSERT_LE(need.arena.size, arena.size());
  host.alloc = nullptr;  // the engine has its own copy of the table
  quoin_memory memory{};
  memory.arena = {arena.data(), arena.size(), 64};
  memory.scratch = {scratch.data(), scratch.size(), 64};
  memory.states = {states.data(), states.size(), 64};
  ASSERT_TRUE(instance.plan(memory, error)) << error.message();
  ASSERT_TRUE(run_once(instance)) << error.message();
  EXPECT_NEAR(y_data[0], expected()[0], 1e-4f);
  memory.arena.size = need.arena.size - 1;
  EXPECT_FALSE(instance.plan(memory, error));
  EXPECT_EQ(error.status(), QUOIN_OUT_OF_MEMORY);
}

TEST_F(Embedding, ObjectsMayBeDestroyedInAnyOrder) {
  rt::Instance instance;
  {
    const rt::Program program = load();
    instance = program.instance({}, error);
    engine = rt::Engine();
  }
  ASSERT_TRUE(instance.plan({}, error));
  EXPECT_TRUE(run_once(instance)) << error.message();
}

TEST_F(Embedding, DamagedFilesAreRefused) {
  engine = quoin::testing::engine_with({}, &host);
  quoin_bytes whole = file();
  for (const uint64_t size : {uint64_t{0}, uint64_t{63}, whole.size - 1}) {
    EXPECT_FALSE(engine.view({whole.data, size}, {}, error));
    EXPECT_EQ(error.status(), QUOIN_CORRUPT) << error.message();
    EXPECT_EQ(error.code(), static_cast<uint32_t>(Code::program));
  }
  EXPECT_FALSE(engine.open("/nowhere/model.quoin", {}, error));
  EXPECT_EQ(error.status(), QUOIN_NOT_FOUND) << error.message();
}

TEST_F(Embedding, FilesComeFromTheHook) {
  const quoin_bytes plain = file();
  const Tensor aligned(DType::u8, {static_cast<int64_t>(plain.size)});  // else it is copied, and closed at once
  std::memcpy(const_cast<void*>(aligned.data()), plain.data, plain.size);
  const quoin_bytes content{aligned.data(), plain.size};
  quoin::testing::Flash flash{{{"flash:model", content}}, {}};
  const quoin_files files = flash.files();
  quoin_engine_options given{};
  given.files = &files;
  engine = rt::Engine::create(given, error);
  ASSERT_TRUE(engine) << error.message();
  EXPECT_FALSE(engine.open("elsewhere", {}, error));
  {
    const rt::Program program = engine.open("flash:model", {}, error);
    ASSERT_TRUE(program) << error.message();
    EXPECT_EQ(flash.open, 1);
  }
  EXPECT_EQ(flash.open, 0);
}

TEST_F(Embedding, AMissingPluginFallsBackWithItsReason) {
  fake.partition = quoin::testing::claims({{0, 1}});
  const rt::Program program = load({&fake});
  rt::Instance instance = program.instance({}, error);
  ASSERT_TRUE(instance) << error.message();
  EXPECT_THAT(log, HasSubstr("runs its 2 original nodes on kernels: plugin fake is not among the 0 of the engine"));
  ASSERT_TRUE(instance.plan({}, error) && run_once(instance)) << error.message();
  EXPECT_NEAR(y_data[0], expected()[0], 1e-4f);
  EXPECT_FALSE(program.instance({0, QUOIN_FALLBACK_ERROR}, error));
  EXPECT_EQ(error.status(), QUOIN_INCOMPATIBLE);
}

TEST_F(Embedding, ARunCanBeStopped) {
  const rt::Program program = load();
  rt::Instance instance = program.instance({}, error);
  ASSERT_TRUE(instance.plan({}, error));
  uint32_t stop = QUOIN_STOP_REQUESTED;
  quoin_run_options how{};
  how.stop = &stop;
  EXPECT_FALSE(run_once(instance, how));
  EXPECT_EQ(error.status(), QUOIN_CANCELLED);
  how = {};
  how.deadline_ns = 1;
  EXPECT_FALSE(run_once(instance, how));
  EXPECT_THAT(std::string(error.message()), HasSubstr("the deadline of the run passed"));
  how = {};
  how.method = 2;
  EXPECT_FALSE(run_once(instance, how));
  EXPECT_EQ(error.message(), "method 2 of 1");
}

TEST_F(Embedding, OptionsWithoutTheirSizeAreRefused) {
  quoin_engine_options given{};
  quoin_engine* out = nullptr;
  EXPECT_EQ(quoin_engine_create(&given, &out, error.get()), QUOIN_INVALID);
  EXPECT_EQ(error.message(), "struct_size of the options is not set");
  given = {sizeof given, 2, nullptr, &host, nullptr};
  EXPECT_EQ(quoin_engine_create(&given, &out, error.get()), QUOIN_INVALID);
  EXPECT_EQ(error.message(), "engine options: 2 plugins at no address");
  given.num_plugins = 0;
  host.now_ns = nullptr;
  EXPECT_EQ(quoin_engine_create(&given, &out, error.get()), QUOIN_INVALID);
  EXPECT_THAT(std::string(error.message()), HasSubstr("engine options: the host lacks a function"));
}

// Two plugins in one executable, from one source, each under a name of its own (tests/embed/linked_plugin.cpp).
TEST_F(Embedding, LinkedInPluginsAreGivenAsATable) {
  engine = quoin::testing::engine_with({first_entry, second_entry}, &host);
  const std::array<quoin_plugin_entry_fn, 2> twice = {first_entry, first_entry};
  quoin_engine_options given{};
  given.num_plugins = 2;
  given.plugins = twice.data();
  EXPECT_FALSE(rt::Engine::create(given, error));
  EXPECT_EQ(error.message(), "plugin 1 of the engine options: two plugins are named linked-first");
}

TEST_F(Embedding, ThreadsHaveInstancesOfTheirOwn) {
  const rt::Program program = load();
  std::vector<std::thread> threads;
  std::array<float, 8> results{};
  for (size_t t = 0; t < results.size(); ++t)
    threads.emplace_back([&, t] {
      rt::Error mine;
      rt::Instance instance = program.instance({}, mine);
      ASSERT_TRUE(instance.plan({}, mine)) << mine.message();
      quoin::testing::Buffers buffers(program, 0);
      for (int i = 0; i < 20; ++i)
        ASSERT_TRUE(instance.run(buffers.inputs, buffers.outputs, {}, mine)) << mine.message();
      results[t] = static_cast<const float*>(buffers.outputs[0].data)[0];
    });
  for (std::thread& thread : threads) thread.join();
  for (const float result : results) EXPECT_EQ(result, results[0]);
}

}  // namespace
}  // namespace quoin::embed
