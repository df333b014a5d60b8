// A plugin's observer behind the host's interface: what it is given is checked, and what it says is checked again.
#include <cmath>

#include "host/call_result.hpp"
#include "ops/abi_read.hpp"
#include "ops/abi_view.hpp"
#include "quantize/observers.hpp"
#include "recipe/params.hpp"

namespace quoin::quantize {
namespace {

constexpr uint64_t kMostSavedBytes = uint64_t{1} << 30;

std::vector<quoin_observer> observers_of(const host::Backend& backend) {
  const quoin_quantizer* quantizer = backend.table().quantizer;
  if (!QUOIN_HAS(quoin_quantizer, quantizer, observers.data)) return {};
  return elements<quoin_observer>(quantizer->observers);
}

// The spec in the ABI's form. Borrows from `spec` and `params`.
quoin_qspec abi_spec(const Spec& spec, quoin_array params) {
  quoin_qspec out{};
  out.struct_size = sizeof out;
  out.kind = static_cast<uint32_t>(spec.kind);
  out.dtype = static_cast<quoin_dtype>(spec.dtype);
  out.scheme = static_cast<uint32_t>(spec.scheme);
  out.axis = spec.axis;
  out.group = spec.group;
  out.qmin = spec.qmin;
  out.qmax = spec.qmax;
  out.flags = (spec.symmetric ? uint32_t{QUOIN_SYMMETRIC} : 0) | (spec.pow2_scale ? uint32_t{QUOIN_POW2_SCALE} : 0);
  out.observer = abi_str(spec.observer);
  out.observer_params = params;
  out.eps = spec.eps;
  out.block = spec.block.data();
  out.block_rank = spec.block.size();
  return out;
}

class PluginObserver final : public Observer {
 public:
  PluginObserver(const Spec& spec, const quoin_observer& table)
      : spec_(spec), use_(spec.backend, host::Use::observer), table_(table) {}
  ~PluginObserver() override {
    if (state_ != nullptr) host::call_last(plugin(), use_.backend().host(), [&] { table_.destroy(state_); });
  }
  PluginObserver(const PluginObserver&) = delete;

  Status create(const recipe::Params& params) {
    const Attrs attrs = recipe::to_attrs(params);
    AbiParams list;
    const quoin_qspec given = abi_spec(spec_, list.list(attrs));
    QUOIN_CHECK(ask(
        "create", [&](quoin_error* error) { return table_.create(spec_.backend->handle(), &given, &state_, error); }));
    return state_ == nullptr ? broken("create", "gave no state") : Status{};
  }
  Status observe(const Tensor& tensor) override {
    QUOIN_TRY(const auto elements, float_elements(tensor));
    if (elements.empty()) return {};
    QUOIN_CHECK(scan(elements, host_));  // the plugin is promised finite numbers
    QUOIN_TRY(const ScaleLayout layout, scale_layout(spec_, tensor.shape()));
    if (scales_ != 0 && scales_ != layout.count())
      return fail(Code::plugin, "tensors that share one observer have {} and {} scales", scales_, layout.count());
    Shape dims = tensor.shape();
    const quoin_tensor given{QUOIN_F32,      static_cast<uint32_t>(dims.size()),
                             dims.data(),    const_cast<float*>(elements.data()),
                             tensor.bytes(), nullptr};
    QUOIN_CHECK(ask("observe", [&](quoin_error* error) { return table_.observe(state_, &given, error); }));
    scales_ = layout.count();
    return {};
  }
  bool alone() const override { return true; }  // a backend is called from one thread at a time
  bool seen() const override { return scales_ != 0; }
  Result<QParams> qparams() const override {
    if (!seen()) return fail(Code::data, "nothing was observed");
    quoin_qparams given{};
    given.struct_size = sizeof given;
    QUOIN_CHECK(ask("qparams", [&](quoin_error* error) { return table_.qparams(state_, &given, error); }));
    QUOIN_CHECK(check(given));
    QParams out;
    out.dtype = spec_.dtype;
    out.scheme = spec_.scheme;
    out.axis = spec_.scheme == Scheme::per_channel ? spec_.axis : -1;
    out.group = spec_.scheme == Scheme::per_group ? spec_.group : 0;
    if (spec_.scheme == Scheme::per_block) out.block = spec_.block;
    out.qmin = spec_.qmin;
    out.qmax = spec_.qmax;
    out.scale.assign(given.scale, given.scale + given.count);
    out.zero_point.assign(given.count, 0);
    if (given.zero_point != nullptr) out.zero_point.assign(given.zero_point, given.zero_point + given.count);
    return out;
  }
  // "scales": how many; "bytes": the plugin's own.
  Result<ObserverState> state() const override {
    if (!seen()) return ObserverState();
    if (table_.save == nullptr || table_.merge == nullptr)
      return fail(Code::plugin, "observer {} of plugin {} cannot be saved", spec_.observer, plugin());
    quoin_bytes saved{};
    QUOIN_CHECK(ask("save", [&](quoin_error* error) { return table_.save(state_, &saved, error); }));
    if (saved.size == 0 || saved.size > kMostSavedBytes || saved.data == nullptr)
      return broken("save", fmt::format("gave {} bytes, of at most {}", saved.size, kMostSavedBytes));
    ObserverState out;
    const std::span bytes(static_cast<const uint8_t*>(saved.data), saved.size);
    out["bytes"] = Tensor::of<uint8_t>(DType::u8, {static_cast<int64_t>(saved.size)}, bytes);
    out["scales"] = Tensor::of<int64_t>(DType::s64, {1}, std::span(&scales_, 1));
    return out;
  }
  Status merge(const ObserverState& saved) override {
    if (saved.empty()) return {};
    QUOIN_TRY(const auto scales, saved_integers(saved, "scales", 1));
    const auto bytes = saved.find("bytes");
    if (bytes == saved.end() || bytes->second.dtype() != DType::u8)
      return fail(Code::data, "the saved state has no bytes");
    if (scales[0] < 1 || (scales_ != 0 && scales_ != scales[0]))
      return fail(Code::data, "the saved state is of {} scales", scales[0]);
    if (table_.merge == nullptr)
      return fail(Code::plugin, "observer {} of plugin {} cannot be restored", spec_.observer, plugin());
    const quoin_bytes given{bytes->second.data(), bytes->second.bytes()};
    QUOIN_CHECK(ask("merge", [&](quoin_error* error) { return table_.merge(state_, given, error); }));
    scales_ = scales[0];
    return {};
  }

 private:
  std::string plugin() const { return spec_.backend->name(); }
  Failure broken(std::string_view function, const std::string& what) const {
    return fail(Code::plugin, "{} {}", function, what)
        .at("plugin {}: observer {}", plugin(), spec_.observer)
        .hint("the plugin breaks the ABI contract; report it to its author");
  }
  template <class F>
  Status ask(std::string_view function, F&& body) const {
    auto called = host::call(plugin(), body);
    if (called.ok()) return {};
    return std::move(called.done).failure().at("observer {}: {}", spec_.observer, function);
  }
  Status check(const quoin_qparams& given) const {
    if (given.dtype != static_cast<quoin_dtype>(spec_.dtype) || given.scheme != static_cast<uint32_t>(spec_.scheme) ||
        given.qmin != spec_.qmin || given.qmax != spec_.qmax)
      return broken("qparams", "gave another type, scheme or integer range than the spec asks for");
    if (given.scale == nullptr || static_cast<int64_t>(given.count) != scales_)
      return broken("qparams",
                    fmt::format("gave {} scales, expected {}", given.scale == nullptr ? 0 : given.count, scales_));
    for (uint32_t i = 0; i < given.count; ++i) {
      if (!std::isfinite(given.scale[i]) || given.scale[i] <= 0)
        return broken("qparams", fmt::format("gave the scale {}", given.scale[i]));
      if (const int32_t zero = given.zero_point == nullptr ? 0 : given.zero_point[i];
          zero < spec_.qmin || zero > spec_.qmax)
        return broken("qparams",
                      fmt::format("gave the zero point {}, outside of {}..{}", zero, spec_.qmin, spec_.qmax));
    }
    return {};
  }

  const Spec spec_;
  const host::Use use_;
  const quoin_observer table_;
  quoin_observer_state* state_ = nullptr;
  int64_t scales_ = 0;  // 0: nothing was observed
};

}  // namespace

std::vector<std::string> plugin_observer_names(const Spec& spec) {
  std::vector<std::string> names;
  if (spec.backend == nullptr) return names;
  for (const quoin_observer& observer : observers_of(*spec.backend)) names.push_back(text(observer.name));
  return names;
}

bool may_observe(const host::Backend& backend, const std::string& observer) {
  const auto offered = observers_of(backend);
  return observer.empty()
             ? !offered.empty()
             : std::ranges::any_of(offered, [&](const quoin_observer& one) { return text(one.name) == observer; });
}

Result<std::unique_ptr<Observer>> make_plugin_observer(const Spec& spec) {
  for (const quoin_observer& table : observers_of(*spec.backend)) {
    if (text(table.name) != spec.observer) continue;
    const std::string label = "observer " + spec.observer;
    if (table.create == nullptr || table.observe == nullptr || table.qparams == nullptr || table.destroy == nullptr)
      return fail(Code::plugin, "plugin {}: {} lacks create, observe, qparams or destroy", spec.backend->name(), label);
    QUOIN_TRY(const recipe::Params params, recipe::complete_params(label, table.params, spec.observer_params));
    auto observer = std::make_unique<PluginObserver>(spec, table);
    QUOIN_CHECK(observer->create(params));
    return observer;
  }
  return nullptr;
}

}  // namespace quoin::quantize
