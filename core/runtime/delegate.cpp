#include "runtime/delegate.hpp"

#include <algorithm>

#include "host/services.hpp"
#include "program/length.hpp"

namespace quoin::runtime {
namespace {

bool is_unable(quoin_status status) { return status == QUOIN_UNSUPPORTED || status == QUOIN_INCOMPATIBLE; }

quoin_status find_named(void* self, quoin_str key, quoin_bytes* out) noexcept {
  const auto& named = static_cast<const program::Delegate*>(self)->named;
  for (const auto& [name, bytes] : named) {
    if (std::string_view(name) != std::string_view(key.data, key.size)) continue;
    *out = {bytes.data(), bytes.size()};
    return QUOIN_OK;
  }
  return QUOIN_NOT_FOUND;
}

// Why `backend` cannot read or run the blob, or "".
std::string mismatch(const program::Delegate& delegate, const host::Backend& backend, const quoin_host& host) {
  const quoin_executor* executor = backend.table().executor;
  if (!QUOIN_HAS(quoin_executor, executor, init))
    return fmt::format("plugin {} cannot run programs: it has no executor", delegate.plugin);
  if (delegate.blob_format < executor->oldest_blob_format || delegate.blob_format > executor->newest_blob_format)
    return fmt::format("the program needs plugin {} with blob format {} (as in {}); found {} reading {}..{}",
                       delegate.plugin, delegate.blob_format, delegate.version, backend.version(),
                       executor->oldest_blob_format, executor->newest_blob_format);
  if ((delegate.isa & ~host.isa) != 0)
    return fmt::format("compiled for {}, this machine allows {}", host::isa_name(delegate.isa),
                       host::isa_name(host.isa));
  return {};
}

std::string describe(const program::Delegate& delegate, uint32_t index) {
  return fmt::format("delegate {} ({} {}{}{}, blob format {})", index, delegate.plugin, delegate.version,
                     delegate.tag.empty() ? "" : ", ", delegate.tag, delegate.blob_format);
}

// Whether `planned` is what the program says of `value` in a run of `length`.
bool fits(const program::Value& value, int64_t length, const Shape& planned) {
  const Shape& longest = value.type.shape;
  for (size_t i = 0; i < longest.size(); ++i)
    if (planned[i] != ((value.dynamic >> i & 1) != 0 ? length : longest[i])) return false;
  return true;
}

}  // namespace

Status LoadedDelegate::run(const quoin_run& run) const {
  auto called =
      host::call(name_, [&](quoin_error* error) { return backend().table().executor->run(handle_, &run, error); });
  if (called.ok()) return {};
  return std::move(called.done).failure();
}

Result<LoadAttempt> load_delegate(const program::Delegate& delegate, const Options& options, const quoin_host& host) {
  LoadAttempt out;
  if (!options.backend) {
    out.reason = fmt::format("plugin {} is not available: no plugins are loaded here", delegate.plugin);
    return out;
  }
  auto backend = options.backend(delegate.plugin);
  if (!backend || *backend == nullptr) {
    out.reason = backend ? fmt::format("plugin {} is not available", delegate.plugin) : backend.error().text();
    return out;
  }
  out.reason = mismatch(delegate, **backend, host);
  if (!out.reason.empty()) return out;
  quoin_array params{};
  if (options.params) {
    QUOIN_TRY(params, options.params(**backend));
  }
  const quoin_load_request request{sizeof request,
                                   delegate.blob_format,
                                   {delegate.blob.data(), delegate.blob.size()},
                                   params,
                                   const_cast<program::Delegate*>(&delegate),
                                   find_named};
  quoin_delegate* handle = nullptr;
  auto called = host::call(delegate.plugin, [&](quoin_error* error) {
    return (*backend)->table().executor->init((*backend)->handle(), &request, &handle, error);
  });
  if (is_unable(called.status)) {
    out.reason = called.done.error().text();
    return out;
  }
  if (!called.ok()) return std::move(called.done).failure().at("load");
  if (handle == nullptr)
    return fail(Code::plugin, "init() reported success without a delegate").at("plugin {}", delegate.plugin);
  out.loaded.emplace(std::move(*backend), handle);
  return out;
}

Result<std::string> plan_delegate(Step& step, int64_t length, quoin_memory_need& need) {
  const LoadedDelegate& loaded = *step.loaded;
  const quoin_executor* executor = loaded.backend().table().executor;
  if (!QUOIN_HAS(quoin_executor, executor, plan)) return std::string();
  auto called = host::call(loaded.name(), [&](quoin_error* error) {
    return executor->plan(loaded.handle(), step.input_array(), step.output_array(), &need, error);
  });
  if (is_unable(called.status)) return called.done.error().text();
  if (!called.ok()) return std::move(called.done).failure().at("plan");
  for (size_t i = step.inputs; i < step.dims.size(); ++i) {
    const program::Value& value = step.source.graph->values[step.value_id(i)];
    if (fits(value, length, step.dims[i])) continue;
    return fail(Code::plugin, "plans output {} as {}, the program says {}", i - step.inputs, to_string(step.dims[i]),
                to_string(program::type_at(value, length).shape))
        .at("plugin {}", loaded.name());
  }
  return std::string();
}

Status fall_back(const program::Delegate& delegate, uint32_t index, const std::string& reason, const Options& options,
                 Diagnostics& diagnostics) {
  const std::string where = describe(delegate, index);
  if (!delegate.original || all_ops().empty())
    return fail(Code::program_version, "{}", reason)
        .at("{}", where)
        .hint(all_ops().empty()
                  ? "this runtime has no kernels to fall back to"
                  : "the program keeps no original to fall back to: lower it again here, or with keep_original: true");
  if (options.fallback == "error")
    return fail(Code::program_version, "{}", reason)
        .at("{}", where)
        .hint("fallback: warn runs its original on kernels");
  const std::string what =
      fmt::format("runs its {} original nodes on kernels: {}", delegate.original->nodes.size(), reason);
  if (options.fallback == "allow")
    diagnostics.info(where, what);
  else
    diagnostics.warn(where, what, "lower the model again on this machine");
  return {};
}

}  // namespace quoin::runtime
