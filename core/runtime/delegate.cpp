#include "runtime/delegate.hpp"

#include "host/call.hpp"
#include "host/services.hpp"
#include "ops/schema.hpp"
#include "ops/short_text.hpp"
#include "ops/tensor.hpp"
#include "program/view/length.hpp"

namespace quoin::runtime {
namespace {

Outcome outcome(quoin_status status) {
  if (status == QUOIN_OK) return Outcome::done;
  return status == QUOIN_UNSUPPORTED || status == QUOIN_INCOMPATIBLE ? Outcome::unable : Outcome::failed;
}

quoin_status find_named(void* self, quoin_str key, quoin_bytes* out) noexcept {
  for (const view::Named& named : static_cast<const view::Delegate*>(self)->named) {
    if (named.key != std::string_view(key.data, key.size)) continue;
    *out = {named.bytes.data(), named.bytes.size()};
    return QUOIN_OK;
  }
  return QUOIN_NOT_FOUND;
}

// Whether `plugin` can read and run the blob.
bool check_match(const view::Delegate& delegate, const quoin_plugin& plugin, const quoin_host& host, Fault& fault) {
  const quoin_executor* executor = plugin.executor;
  if (!QUOIN_HAS(quoin_executor, executor, init))
    return fault.fail(Code::plugin, "plugin {} cannot run programs: it has no executor", delegate.plugin);
  if (delegate.blob_format < executor->oldest_blob_format || delegate.blob_format > executor->newest_blob_format)
    return fault.fail(Code::plugin,
                      "the program needs plugin {} with blob format {} (as in {}); found {} reading {}..{}",
                      delegate.plugin, delegate.blob_format, delegate.version, plugin.version,
                      executor->oldest_blob_format, executor->newest_blob_format);
  return (delegate.isa & ~host.isa) == 0 || fault.fail(Code::plugin, "compiled for {}, this machine allows {}",
                                                       host::isa_tier(delegate.isa), host::isa_tier(host.isa));
}

// Whether the tensor has the shape that the program says of the value in a run of `length`.
bool fits(const view::Value& value, int64_t length, const quoin_tensor& planned) {
  for (uint32_t i = 0; i < planned.rank; ++i)
    if (planned.dims[i] != view::dim_at(value, i, length)) return false;
  return true;
}

bool misplanned(const Step& step, size_t tensor, Fault& fault) {
  const view::Value& value = step.value(tensor);
  const quoin_tensor& planned = step.tensors[tensor];
  fault.fail(Code::plugin, "plans output {} as {}, the program says {}", tensor - step.inputs,
             shape_text({planned.dims, planned.rank}).text(), shape_text(value.shape.span(), value.dynamic).text());
  return fault.at("plugin {}", step.plugin.table->name);
}

ShortText describe(const view::Delegate& delegate, uint32_t index) {
  ShortText out;
  out.add("delegate {} ({} {}{}{}, blob format {})", index, delegate.plugin, delegate.version,
          delegate.tag.empty() ? "" : ", ", delegate.tag, delegate.blob_format);
  return out;
}

// A note of what the original does in its place.
void note_fall_back(const view::Delegate& delegate, uint32_t index, Setting& setting, const Fault& reason) {
  char text[1024];
  const size_t size = reason.text(text, sizeof text);
  const std::string what = fmt::format("runs its {} original nodes on kernels: {}", delegate.originals[0].nodes.size,
                                       std::string_view(text, size));
  const bool warning = setting.fallback == Fallback::warn;
  setting.note(warning, describe(delegate, index).text(), what, warning ? "lower the model again on this machine" : "");
}

}  // namespace

bool run_delegate(const Step& step, const quoin_run& run, Fault& fault) {
  const quoin_plugin& table = *step.plugin.table;
  const auto body = [&](quoin_error* error) { return table.executor->run(step.handle, &run, error); };
  return host::call(table.name, fault, body) == QUOIN_OK;
}

Outcome load_delegate(const view::Delegate& delegate, Setting& setting, const quoin_host& host, Step& step,
                      Fault& fault) {
  const Plugin& plugin = step.plugin;
  if (!setting.plugin(delegate.plugin, step.plugin, fault) || !check_match(delegate, *plugin.table, host, fault))
    return Outcome::unable;
  quoin_array params{};
  if (!setting.params(plugin, params, fault)) return Outcome::failed;
  const quoin_load_request request{sizeof request,
                                   delegate.blob_format,
                                   {delegate.blob.data(), delegate.blob.size()},
                                   params,
                                   const_cast<view::Delegate*>(&delegate),
                                   find_named};
  quoin_delegate* handle = nullptr;
  const auto body = [&](quoin_error* error) {
    return plugin.table->executor->init(plugin.handle, &request, &handle, error);
  };
  const Outcome loaded = outcome(host::call(plugin.table->name, fault, body));
  if (loaded == Outcome::failed) fault.at("load");
  if (loaded != Outcome::done) return loaded;
  if (handle == nullptr) {
    fault.fail(Code::plugin, "init() reported success without a delegate");
    fault.at("plugin {}", delegate.plugin);
    return Outcome::failed;
  }
  step.handle = handle;
  return Outcome::done;
}

Outcome plan_delegate(const Step& step, int64_t length, quoin_memory_need& need, Fault& fault) {
  const quoin_executor* executor = step.plugin.table->executor;
  if (!QUOIN_HAS(quoin_executor, executor, plan)) return Outcome::done;
  const auto body = [&](quoin_error* error) {
    return executor->plan(step.handle, step.input_array(), step.output_array(), &need, error);
  };
  const Outcome planned = outcome(host::call(step.plugin.table->name, fault, body));
  if (planned == Outcome::failed) fault.at("plan");
  if (planned != Outcome::done) return planned;
  for (size_t i = step.inputs; i < step.tensors.size(); ++i)
    if (!fits(step.value(i), length, step.tensors[i])) {
      misplanned(step, i, fault);
      return Outcome::failed;
    }
  return Outcome::done;
}

bool fall_back(const view::Delegate& delegate, uint32_t index, Setting& setting, Fault& fault) {
  const char* hint = nullptr;
  if (!kHasOperators)
    hint = "this runtime has no kernels to fall back to";
  else if (delegate.originals.empty())
    hint = "the program keeps no original to fall back to: lower it again here, or with keep_original: true";
  else if (setting.fallback == Fallback::error)
    hint = "fallback: warn runs its original on kernels";
  if (kHasOperators && hint == nullptr) {
    note_fall_back(delegate, index, setting, fault);
    return true;
  }
  fault.set_code(Code::program_version);
  fault.at("{}", describe(delegate, index).text());
  return fault.hint(hint);
}

}  // namespace quoin::runtime
