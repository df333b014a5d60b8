// Memory of the host that runs out, at every request there is: an error, nothing kept, no crash.
#include <cstdlib>

#include "../lower/fixture.hpp"
#include "support.hpp"

extern "C" const quoin_plugin* first_entry(const quoin_host*, quoin_error*);

namespace quoin::embed {
namespace {

// A host that has no memory for request number `fails`.
struct Scarce {
  uint64_t fails, requests = 0, lent = 0;

  quoin_host host() {
    quoin_host out = quoin_host_of_system();
    out.self = this;
    out.alloc = [](void* self, uint64_t size, uint64_t alignment) -> void* {
      auto& scarce = *static_cast<Scarce*>(self);
      if (scarce.requests++ == scarce.fails) return nullptr;
      ++scarce.lent;
      alignment = std::max<uint64_t>(alignment, sizeof(void*));
      return std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
    };
    out.free = [](void* self, void* memory, uint64_t, uint64_t) {
      --static_cast<Scarce*>(self)->lent;
      std::free(memory);
    };
    return out;
  }
};

class Memory : public lower::Lowering {
 protected:
  // From the file to a plan; the first status that is not QUOIN_OK.
  static quoin_status prepare(const quoin_host& host, quoin_bytes file, quoin_error& error) {
    const quoin_plugin_entry_fn plugins[] = {first_entry};
    const quoin_engine_options options{sizeof options, 1, plugins, &host, nullptr};
    quoin_engine* engine = nullptr;
    quoin_program* program = nullptr;
    quoin_instance* instance = nullptr;
    quoin_status status = quoin_engine_create(&options, &engine, &error);
    if (status == QUOIN_OK) status = quoin_program_view(engine, file, nullptr, &program, &error);
    if (status == QUOIN_OK) status = quoin_instance_create(program, nullptr, &instance, &error);
    if (status == QUOIN_OK) status = quoin_instance_plan(instance, nullptr, &error);
    quoin_engine_destroy(engine);  // in any order
    quoin_instance_destroy(instance);
    quoin_program_close(program);
    return status;
  }
};

TEST_F(Memory, EveryRequestMayFail) {
  auto lowered = run({});
  ASSERT_TRUE(lowered) << text(lowered);
  const std::vector<std::byte> bytes = program::serialize(lowered->model).value();
  quoin_status status = QUOIN_OUT_OF_MEMORY;
  uint64_t fails = 0;
  for (; status != QUOIN_OK; ++fails) {
    Scarce scarce{fails};
    const quoin_host host = scarce.host();
    quoin_error error{};
    error.struct_size = sizeof error;
    status = prepare(host, {bytes.data(), bytes.size()}, error);
    EXPECT_EQ(scarce.lent, 0u) << "request " << fails;
    if (status == QUOIN_OK) continue;
    ASSERT_EQ(status, QUOIN_OUT_OF_MEMORY) << "request " << fails << ": " << error.message;
    EXPECT_GT(error.message_size, 0u);
  }
  EXPECT_GT(fails, 8u) << "objects, arenas, and the three regions come from the host";
}

}  // namespace
}  // namespace quoin::embed
