// From a Maker to the functions of quoin_kernel. Exceptions (memory) end in them.
#include "base/guard.hpp"
#include "kernels/portable/kernel.hpp"

namespace quoin::kernels {
namespace {

struct State {
  const Row* row = nullptr;
  Plan plan;
  std::unique_ptr<Kernel> kernel;
};

// All but the kernel. Errors: also (unsupported) what the kernel does not accept.
Status open(const quoin_graph& graph, uint32_t node, bool integer, State& state) {
  QUOIN_TRY(state.plan.seen, NodeView::of(graph, node));
  const std::string& op = state.plan.seen.schema->name;
  state.row = find_row(op, integer);
  if (state.row == nullptr) return fail(Code::unsupported, "{}: there is no such kernel", op);
  const Maker& maker = *state.row->maker;
  QUOIN_CHECK(state.plan.make(maker.conversions));
  if (!maker.accepts(state.plan.seen)) return fail(Code::unsupported, "{}: these types are not supported", op);
  return {};
}

Result<std::unique_ptr<State>> make(const quoin_graph& graph, uint32_t node, bool integer) {
  auto state = std::make_unique<State>();
  QUOIN_CHECK(open(graph, node, integer, *state));
  state->kernel.reset(state->row->maker->create());
  QUOIN_CHECK(state->kernel->prepare(state->plan.seen));
  return state;
}

Status run(const State& state, const quoin_host& host, const quoin_run& call) {
  QUOIN_CHECK(state.plan.check(call, state.kernel->scratch(host)));
  const Run pointers = state.plan.before(host, call);
  QUOIN_CHECK(state.kernel->run(pointers));
  state.plan.after(pointers, call);
  return {};
}

quoin_status status_of(const Error& error) {
  switch (error.code) {
    case Code::unsupported:
      return QUOIN_UNSUPPORTED;
    case Code::limit:
      return QUOIN_OUT_OF_MEMORY;
    case Code::internal:
      return QUOIN_INTERNAL;
    default:
      return QUOIN_INVALID;
  }
}

quoin_status answer(const Error& error, quoin_error* out) {
  if (out == nullptr) return status_of(error);
  const auto text = guarded([&]() -> Result<std::string> { return error.text(); });
  const std::string_view message = text ? std::string_view(*text) : "out of memory";
  out->code = status_of(error);
  out->vendor_code = 0;
  out->message_size = static_cast<uint32_t>(std::min(message.size(), sizeof out->message));
  std::memcpy(out->message, message.data(), out->message_size);
  return out->code;
}

// A quoin_kernel has no pointer of its own: the node names the operator, the function says which of its rows.
template <bool kInteger>
int32_t accepts_node(const quoin_graph* graph, uint32_t node) noexcept {
  return guarded([&]() -> Status {
    State state;
    return open(*graph, node, kInteger, state);
  })
             ? 0
             : -1;
}

template <bool kInteger>
quoin_status prepare_node(const quoin_host* host, const quoin_graph* graph, uint32_t node, void** state,
                          quoin_memory_need* need, quoin_error* error) noexcept {
  auto made = guarded([&] { return make(*graph, node, kInteger); });
  if (!made) return answer(made.error(), error);
  need->alignment = 64;
  need->persistent = 0;
  need->scratch = (*made)->plan.scratch + (*made)->kernel->scratch(*host);
  *state = made->release();
  return QUOIN_OK;
}

quoin_status run_node(const quoin_host* host, void* state, const quoin_run* call, quoin_error* error) noexcept {
  const auto done = guarded([&] { return run(*static_cast<const State*>(state), *host, *call); });
  return done ? QUOIN_OK : answer(done.error(), error);
}

void release_node(const quoin_host*, void* state) noexcept { delete static_cast<State*>(state); }

}  // namespace

void set_functions(const Row& row, quoin_kernel& kernel) {
  kernel.accepts = row.integer() ? accepts_node<true> : accepts_node<false>;
  kernel.prepare = row.integer() ? prepare_node<true> : prepare_node<false>;
  kernel.run = run_node;
  kernel.release = release_node;
}

void parallel(const quoin_host& host, int64_t count, int64_t cost, Callback<int64_t, int64_t, uint32_t> f) {
  constexpr int64_t kPiece = int64_t{1} << 17;
  const int64_t grain = std::max<int64_t>(kPiece / std::max<int64_t>(cost, 1), 1);
  const auto call = [](void* context, uint64_t begin, uint64_t end, uint32_t worker) {
    (*static_cast<decltype(f)*>(context))(static_cast<int64_t>(begin), static_cast<int64_t>(end), worker);
  };
  if (count > grain)
    host.parallel_for(host.self, static_cast<uint64_t>(count), static_cast<uint64_t>(grain), call, &f);
  else if (count > 0)
    f(0, count, 0);
}

void scale_runs(const ScaleLayout& layout, int64_t begin, int64_t end, Callback<int64_t, int64_t, int64_t> f) {
  layout.runs(begin, end, f);
}

}  // namespace quoin::kernels
