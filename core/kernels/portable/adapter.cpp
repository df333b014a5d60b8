// From a Maker to the functions of quoin_kernel.
#include "base/guard.hpp"
#include "kernels/portable/kernel.hpp"

namespace quoin::kernels {
namespace {

struct State {
  Plan plan;
  std::unique_ptr<AnyKernel> kernel;
};

Result<std::unique_ptr<State>> make(const Maker& maker, const quoin_graph& graph, uint32_t node) {
  QUOIN_TRY(const NodeView view, view_node(graph, node));
  QUOIN_TRY(Plan plan, Plan::make(view, maker.mode, maker.as_is, maker.own_result));
  if (!maker.accepts(plan.seen)) return fail(Code::unsupported, "{}: these types are not supported", view.schema->name);
  QUOIN_TRY(auto kernel, maker.make(plan.seen));
  return std::make_unique<State>(State{std::move(plan), std::move(kernel)});
}

Result<bool> accepts(const Maker& maker, const quoin_graph& graph, uint32_t node) {
  QUOIN_TRY(const NodeView view, view_node(graph, node));
  QUOIN_TRY(const Plan plan, Plan::make(view, maker.mode, maker.as_is, maker.own_result));
  return maker.accepts(plan.seen);
}

Status run(const State& state, const quoin_host& host, const quoin_run& call) {
  QUOIN_CHECK(state.plan.check(call, state.kernel->scratch(host)));
  const Pointers pointers = state.plan.before(host, call);
  QUOIN_CHECK(state.kernel->run({host, pointers.inputs, pointers.outputs, pointers.scratch}));
  state.plan.after(host, call, pointers);
  return {};
}

quoin_status answer(const Error& error, quoin_error* out) noexcept {
  const auto text = guarded([&]() -> Result<std::string> { return error.text(); });
  report(out, status_of(error), text ? std::string_view(*text) : std::string_view("out of memory"));
  return status_of(error);
}

}  // namespace

int32_t accepts_node(const Maker& maker, const quoin_graph* graph, uint32_t node) noexcept {
  const auto accepted = guarded([&] { return accepts(maker, *graph, node); });
  return accepted && *accepted ? 0 : -1;
}

quoin_status prepare_node(const Maker& maker, const quoin_host* host, const quoin_graph* graph, uint32_t node,
                          void** state, quoin_memory_need* need, quoin_error* error) noexcept {
  auto made = guarded([&] { return make(maker, *graph, node); });
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

void report(quoin_error* out, quoin_status code, std::string_view message) noexcept {
  if (out == nullptr) return;
  out->code = code;
  out->vendor_code = 0;
  out->message_size = static_cast<uint32_t>(std::min(message.size(), sizeof out->message));
  std::memcpy(out->message, message.data(), out->message_size);
}

quoin_status status_of(const Error& error) noexcept {
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

}  // namespace quoin::kernels
