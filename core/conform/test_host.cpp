#include "conform/test_host.hpp"

#include <atomic>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include "base/checked.hpp"
#include "host/services.hpp"

namespace quoin::conform {
namespace {

struct Allocation {
  uint64_t size = 0, alignment = 0;
  std::optional<GuardedMemory> guarded;
};

uint64_t isa_of(const TestHost::Options& options) {
  return options.isa ? *options.isa : host::detect_isa().value_or(0);
}

// aligned_alloc wants at least the alignment of a pointer and whole multiples of it.
void* ordinary(uint64_t size, uint64_t alignment) {
  alignment = std::max<uint64_t>(alignment, sizeof(void*));
  if (!checked_add(size, alignment)) return nullptr;
  return std::aligned_alloc(alignment, align_up(std::max<uint64_t>(size, 1), alignment));
}

}  // namespace

// Threads, clock and extensions are the ordinary host's; memory and log are this one's.
struct TestHost::State {
  explicit State(Options chosen)
      : options(chosen),
        services({options.workers, isa_of(options), {}}),
        table(options.struct_size, alignof(quoin_host)) {}

  Options options;
  host::Services services;
  GuardedMemory table;  // of the size that the table claims
  mutable std::mutex mutex;
  uint64_t allocations = 0, live = 0;
  std::map<void*, Allocation> owned;
  std::vector<std::string> faults;
  std::vector<Log> logs;

  static State& of(void* self) { return *static_cast<State*>(self); }

  void* allocate(uint64_t size, uint64_t alignment) {
    const std::lock_guard lock(mutex);
    ++allocations;
    if (options.fail_allocation != 0 && allocations >= options.fail_allocation) return nullptr;
    if (alignment != 0 && !std::has_single_bit(alignment)) {
      faults.push_back(fmt::format("asked for an alignment of {}, which is no power of two", alignment));
      return nullptr;
    }
    Allocation made{size, alignment, {}};
    if (options.guard_pages) made.guarded.emplace(size, std::max<uint64_t>(alignment, 1));
    void* const memory = made.guarded ? made.guarded->data() : ordinary(size, alignment);
    if (memory == nullptr) return nullptr;
    live += size;
    owned.emplace(memory, std::move(made));
    return memory;
  }

  void release(void* memory, uint64_t size, uint64_t alignment) {
    const std::lock_guard lock(mutex);
    if (memory == nullptr) return;
    const auto found = owned.find(memory);
    if (found == owned.end()) {
      faults.push_back("freed memory that the host did not allocate, or freed it twice");
      return;
    }
    const Allocation& made = found->second;
    if (made.size != size || made.alignment != alignment)
      faults.push_back(fmt::format("freed {} bytes at alignment {} that were allocated as {} at {}", size, alignment,
                                   made.size, made.alignment));
    if (made.guarded && !made.guarded->intact())
      faults.push_back(fmt::format("wrote behind the end of an allocation of {} bytes", made.size));
    live -= made.size;
    if (!made.guarded) std::free(memory);
    owned.erase(found);
  }
};

TestHost::TestHost(Options options) : state_(std::make_unique<State>(options)) {
  quoin_host table = state_->services.table();
  table.struct_size = options.struct_size;
  table.abi_major = options.abi_major;
  table.abi_minor = options.abi_minor;
  table.alloc = [](void* self, uint64_t size, uint64_t alignment) { return State::of(self).allocate(size, alignment); };
  table.free = [](void* self, void* memory, uint64_t size, uint64_t alignment) {
    State::of(self).release(memory, size, alignment);
  };
  table.log = [](void* self, int32_t level, quoin_str text) {
    State& state = State::of(self);
    const std::lock_guard lock(state.mutex);
    state.logs.push_back({level, text.data == nullptr ? "" : std::string(text.data, text.size)});
  };
  table.workers = [](void* self) {
    const quoin_host& host = State::of(self).services.table();
    return host.workers(host.self);
  };
  table.parallel_for = [](void* self, uint64_t count, uint64_t grain, quoin_range_fn fn, void* ctx) {
    const quoin_host& host = State::of(self).services.table();
    host.parallel_for(host.self, count, grain, fn, ctx);
  };
  table.self = state_.get();
  std::memcpy(state_->table.data(), &table, std::min<size_t>(sizeof table, options.struct_size));
}

TestHost::~TestHost() {
  for (auto& [memory, made] : state_->owned)
    if (!made.guarded) std::free(memory);
}

const quoin_host& TestHost::table() const { return *static_cast<const quoin_host*>(state_->table.data()); }

uint64_t TestHost::allocations() const {
  const std::lock_guard lock(state_->mutex);
  return state_->allocations;
}

uint64_t TestHost::live_bytes() const {
  const std::lock_guard lock(state_->mutex);
  return state_->live;
}

std::vector<std::string> TestHost::faults() const {
  const std::lock_guard lock(state_->mutex);
  return state_->faults;
}

std::vector<TestHost::Log> TestHost::logs() const {
  const std::lock_guard lock(state_->mutex);
  return state_->logs;
}

}  // namespace quoin::conform
