// From a backend class to the quoin_plugin table. Included by quoin/plugin.hpp.
#pragma once

#include <quoin/manifest.hpp>

namespace quoin::sdk {

namespace detail {

inline quoin_status report(quoin_error* error, quoin_status code, std::string_view text) noexcept {
  if (error != nullptr && error->struct_size >= QUOIN_END_OF(quoin_error, message)) {
    error->code = code;
    size_t size = std::min(text.size(), sizeof error->message);
    if (size < text.size())  // not inside of a UTF-8 character
      while (size != 0 && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) --size;
    error->message_size = static_cast<uint32_t>(size);
    std::memcpy(error->message, text.data(), error->message_size);
  }
  return code;
}

}  // namespace detail

// Turns whatever the body throws into a status and fills the caller's error; the only catch-all.
template <class F>
quoin_status guard(quoin_error* error, F&& body) noexcept {
  try {
    body();
    return QUOIN_OK;
  } catch (const Failure& failure) {
    return detail::report(error, failure.code, failure.what());
  } catch (const std::bad_alloc&) {
    return detail::report(error, QUOIN_OUT_OF_MEMORY, "out of memory");
  } catch (const std::exception& exception) {
    return detail::report(error, QUOIN_INTERNAL, exception.what());
  } catch (...) {
    return detail::report(error, QUOIN_INTERNAL, "unknown exception");
  }
}

namespace detail {

template <class B>
B& as(quoin_backend* b) {
  return *reinterpret_cast<B*>(b);
}
template <class D>
D& as(quoin_delegate* d) {
  return *reinterpret_cast<D*>(d);
}

// An observer with what its last answers borrow from it.
template <class O>
struct Observing {
  explicit Observing(const quoin_qspec& from)
      : observer(ObserverSpec(from)), block(from.block, from.block + from.block_rank), frame{sizeof(quoin_qparams),
                                                                                             from.dtype,
                                                                                             from.scheme,
                                                                                             from.axis,
                                                                                             from.group,
                                                                                             0,
                                                                                             from.qmin,
                                                                                             from.qmax,
                                                                                             nullptr,
                                                                                             nullptr,
                                                                                             block.data(),
                                                                                             block.size()} {}
  O observer;
  std::vector<int64_t> block;
  quoin_qparams frame;  // without scales
  Scales scales;
  std::vector<std::byte> saved;
};
template <class O>
Observing<O>& observing(quoin_observer_state* state) {
  return *reinterpret_cast<Observing<O>*>(state);
}

template <class O>
quoin_observer observer_row() {
  static_assert(check_observer<O>());
  quoin_observer row{};
  row.name = str(O::name);
  row.doc = str(O::doc);
  if constexpr (requires { O::params; }) row.params = Array<quoin_param_spec>::of(O::params);
  row.create = [](quoin_backend*, const quoin_qspec* spec, quoin_observer_state** out, quoin_error* e) {
    return guard(e, [&] { *out = reinterpret_cast<quoin_observer_state*>(new Observing<O>(sized(spec))); });
  };
  row.observe = [](quoin_observer_state* s, const quoin_tensor* tensor, quoin_error* e) {
    return guard(e, [&] { observing<O>(s).observer.observe(*tensor); });
  };
  row.qparams = [](quoin_observer_state* s, quoin_qparams* out, quoin_error* e) {
    return guard(e, [&] {
      Observing<O>& own = observing<O>(s);
      own.scales = own.observer.qparams();
      if (!own.scales.zero_point.empty() && own.scales.zero_point.size() != own.scales.scale.size())
        throw Failure(QUOIN_INTERNAL, "an observer found another number of scales than of zero points");
      quoin_qparams found = own.frame;
      found.count = static_cast<uint32_t>(own.scales.scale.size());
      found.scale = own.scales.scale.data();
      found.zero_point = own.scales.zero_point.empty() ? nullptr : own.scales.zero_point.data();
      found.struct_size = std::min<uint32_t>(out->struct_size, sizeof found);
      std::memcpy(out, &found, found.struct_size);
    });
  };
  row.destroy = [](quoin_observer_state* s) { delete &observing<O>(s); };
  if constexpr (HasSave<O>) {
    row.save = [](quoin_observer_state* s, quoin_bytes* out, quoin_error* e) {
      return guard(e, [&] {
        observing<O>(s).saved = observing<O>(s).observer.save();
        *out = {observing<O>(s).saved.data(), observing<O>(s).saved.size()};
      });
    };
    row.merge = [](quoin_observer_state* s, quoin_bytes saved, quoin_error* e) {
      return guard(e, [&] { observing<O>(s).observer.merge(saved); });
    };
  }
  return row;
}

template <class... O>
std::array<quoin_observer, sizeof...(O)> observer_rows(const std::tuple<O...>*) {
  return {observer_row<O>()...};
}

template <class B>
const quoin_quantizer* quantizer() {
  if constexpr (wants_quantizer<B>) {
    static const quoin_quantizer role = [] {
      quoin_quantizer t{};
      t.struct_size = sizeof t;
      t.presets = Array<quoin_preset>::of(B::presets);
      if constexpr (HasPasses<B>) t.passes = Array<quoin_str>::of(B::passes);
      t.annotate = [](quoin_backend* b, const quoin_quant_request* r, const quoin_annotator* a, quoin_error* e) {
        return guard(e, [&] {
          Annotator annotator(a);
          as<B>(b).annotate(QuantRequest(r), annotator);
        });
      };
      if constexpr (HasDerive<B>)
        t.derive = [](quoin_backend* b, uint32_t rule, const quoin_qparams* const* sources, uint32_t count,
                      quoin_qparams* out, quoin_error* e) {
          return guard(e, [&] { as<B>(b).derive(rule, std::span(sources, count), *out); });
        };
      if constexpr (HasObservers<B>) {
        static const auto rows = observer_rows(static_cast<const typename B::Observers*>(nullptr));
        t.observers = Array<quoin_observer>::of(rows);
      }
      return t;
    }();
    return &role;
  } else {
    return nullptr;
  }
}

template <class B>
const quoin_compiler* compiler() {
  if constexpr (wants_compiler<B>) {
    static const quoin_compiler role = {
        sizeof(quoin_compiler), B::blob_format,
        [](quoin_backend* b, const quoin_lower_request* r, const quoin_claims* c, quoin_error* e) {
          return guard(e, [&] {
            Claims claims(c);
            as<B>(b).partition(LowerRequest(r), claims);
          });
        },
        [](quoin_backend* b, const quoin_lower_request* r, const quoin_blob_writer* w, quoin_error* e) {
          return guard(e, [&] {
            Blob blob(w);
            as<B>(b).compile(LowerRequest(r), blob);
          });
        }};
    return &role;
  } else {
    return nullptr;
  }
}

template <class B>
const quoin_executor* executor() {
  if constexpr (wants_executor<B>) {
    using D = typename B::Delegate;
    static const quoin_executor role = [] {
      quoin_executor t{};
      t.struct_size = sizeof t;
      if constexpr (HasReentrant<B>) t.flags = B::reentrant ? QUOIN_REENTRANT : 0;
      t.oldest_blob_format = t.newest_blob_format = B::blob_format;
      if constexpr (requires { B::oldest_blob_format; }) t.oldest_blob_format = B::oldest_blob_format;
      t.init = [](quoin_backend* b, const quoin_load_request* r, quoin_delegate** out, quoin_error* e) {
        return guard(e, [&] { *out = reinterpret_cast<quoin_delegate*>(new D(as<B>(b), Load(r))); });
      };
      if constexpr (HasPlan<D>)
        t.plan = [](quoin_delegate* d, quoin_array in, quoin_array out, quoin_memory_need* need, quoin_error* e) {
          return guard(e, [&] { as<D>(d).plan(Array<quoin_tensor>(in), Array<quoin_tensor>(out), *need); });
        };
      t.run = [](quoin_delegate* d, const quoin_run* r, quoin_error* e) {
        return guard(e, [&] { as<D>(d).run(Run(r)); });
      };
      t.destroy = [](quoin_delegate* d) { delete &as<D>(d); };
      return t;
    }();
    return &role;
  } else {
    return nullptr;
  }
}

template <class B>
void add_options(quoin_plugin& table) {
  if constexpr (HasOptions<B>) {
    table.options = Array<quoin_param_spec>::of(B::options);
    table.set_option = [](quoin_backend* b, const quoin_param* p, quoin_error* e) {
      return guard(e, [&] { as<B>(b).set_option(*p); });
    };
    if constexpr (HasGetOption<B>)
      table.get_option = [](quoin_backend* b, quoin_str name, quoin_param* out, quoin_error* e) {
        return guard(e, [&] { *out = as<B>(b).get_option(view(name)); });
      };
  }
}

template <class B>
quoin_plugin make_table(const char* name, const char* version) {
  quoin_plugin t{};
  t.struct_size = sizeof t;
  t.abi_major = QUOIN_ABI_MAJOR;
  t.abi_minor = QUOIN_ABI_MINOR;
  t.abi_minor_required = minor_required<B>();
  t.name = name;
  t.version = version;
  t.open = [](const quoin_host* h, quoin_array params, quoin_backend** out, quoin_error* e) {
    return guard(e, [&] { *out = reinterpret_cast<quoin_backend*>(new B(*h, Params(params))); });
  };
  t.close = [](quoin_backend* b) { delete &as<B>(b); };
  add_options<B>(t);
  t.quantizer = quantizer<B>();
  t.compiler = compiler<B>();
  t.executor = executor<B>();
  if constexpr (HasKernels<B>) t.kernels = Array<quoin_kernel>::of(B::kernels());
  if constexpr (HasExtensions<B>) t.ext = B::extensions();
  return t;
}

template <class B>
const quoin_plugin* plugin(const char* name, const char* version, const quoin_host* host, quoin_error* why) noexcept {
  if (host == nullptr || host->abi_major != QUOIN_ABI_MAJOR || host->abi_minor < minor_required<B>()) {
    report(why, QUOIN_INCOMPATIBLE, "the host speaks an older ABI than this plugin needs");
    return nullptr;
  }
  const quoin_plugin* made = nullptr;
  guard(why, [&] {
    static const quoin_plugin table = make_table<B>(name, version);
    made = &table;
  });
  return made;
}

}  // namespace detail
}  // namespace quoin::sdk

// The manifest and the only exported symbol. Use once, at namespace scope; name and version are string literals.
#define QUOIN_PLUGIN(Backend, name, version)                                                                    \
  static_assert(::quoin::sdk::detail::is_name(name), "a plugin's name has 1 to 64 of a-z, 0-9, '-', '_', '.'"); \
  static_assert(::quoin::sdk::detail::is_plain(version), "a version has 1 to 64 printable ASCII characters");   \
  static_assert(::quoin::sdk::detail::check_backend<Backend>());                                                \
  static constexpr ::quoin::sdk::detail::Text quoin_manifest_text =                                             \
      ::quoin::sdk::detail::manifest<Backend>(name, version);                                                   \
  __attribute__((section(QUOIN_NOTE_SECTION), used,                                                             \
                 aligned(4))) static constexpr ::quoin::sdk::detail::Note<quoin_manifest_text.size>             \
      quoin_manifest_note(quoin_manifest_text);                                                                 \
  extern "C" QUOIN_EXPORT const quoin_plugin* quoin_plugin_entry_v1(const quoin_host* host, quoin_error* why) { \
    return ::quoin::sdk::detail::plugin<Backend>(name, version, host, why);                                     \
  }
