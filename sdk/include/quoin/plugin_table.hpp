// From a backend class to the quoin_plugin table and the manifest. Included by quoin/plugin.hpp.
#pragma once

#include <quoin/plugin.hpp>

namespace quoin::sdk {

template <class B>
concept Quantizes = requires(B& b, const QuantRequest& request, Annotator& annotator) {
  std::span<const quoin_preset>(B::presets);
  b.annotate(request, annotator);
};
template <class B>
concept Lowers = requires(B& b, const LowerRequest& request, Claims& claims, Blob& blob) {
  uint32_t{B::blob_format};
  b.partition(request, claims);
  b.compile(request, blob);
};
template <class B>
concept Runs = requires(B& b, typename B::Delegate& delegate, const Load& load, const Run& run) {
  uint32_t{B::blob_format};
  new typename B::Delegate(b, load);
  delegate.run(run);
};

// An observer of the plugin's own:
//   class Peak {
//    public:
//     static constexpr std::string_view name = "peak", doc = "largest magnitude";
//     static constexpr quoin_param_spec params[] = {...};   // optional
//     explicit Peak(const ObserverSpec& spec);
//     void observe(const quoin_tensor& tensor);             // f32, all finite
//     Scales qparams();
//     std::vector<std::byte> save();                        // both optional: saved calibration
//     void merge(quoin_bytes saved);                        // as if it had seen what `saved` saw
//   };
template <class O>
concept Observes = requires(O& o, const quoin_tensor& tensor) {
  std::string_view(O::name);
  std::string_view(O::doc);
  o.observe(tensor);
  Scales(o.qparams());
}
&&std::is_constructible_v<O, const ObserverSpec&>;

namespace detail {

inline quoin_status report(quoin_error* error, quoin_status code, std::string_view text) noexcept {
  if (error != nullptr && error->struct_size >= QUOIN_END_OF(quoin_error, message)) {
    error->code = code;
    error->message_size = static_cast<uint32_t>(std::min(text.size(), sizeof error->message));
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
  static_assert(Observes<O>,
                "an observer needs name, doc, O(const ObserverSpec&), observe(const quoin_tensor&), qparams()");
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
  if constexpr (requires(O & o, quoin_bytes saved) { std::vector<std::byte>(o.save()), o.merge(saved); }) {
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
constexpr bool wants_quantizer = requires {
  B::presets;
}
|| requires { &B::annotate; };
template <class B>
constexpr bool wants_compiler = requires {
  &B::partition;
}
|| requires { &B::compile; };
template <class B>
constexpr bool wants_executor = requires {
  typename B::Delegate;
};

template <class B>
const quoin_quantizer* quantizer() {
  if constexpr (wants_quantizer<B>) {
    static_assert(Quantizes<B>,
                  "a quantizer needs `static ... presets` (an array of quoin_preset) and "
                  "`annotate(const QuantRequest&, Annotator&)`");
    static const quoin_quantizer role = [] {
      quoin_quantizer t{};
      t.struct_size = sizeof t;
      t.presets = Array<quoin_preset>::of(B::presets);
      if constexpr (requires { B::passes; }) t.passes = Array<quoin_str>::of(B::passes);
      t.annotate = [](quoin_backend* b, const quoin_quant_request* r, const quoin_annotator* a, quoin_error* e) {
        return guard(e, [&] {
          Annotator annotator(a);
          as<B>(b).annotate(QuantRequest(r), annotator);
        });
      };
      if constexpr (requires { &B::derive; })
        t.derive = [](quoin_backend* b, uint32_t rule, const quoin_qparams* const* sources, uint32_t count,
                      quoin_qparams* out, quoin_error* e) {
          return guard(e, [&] { as<B>(b).derive(rule, std::span(sources, count), *out); });
        };
      if constexpr (requires { typename B::Observers; }) {
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
    static_assert(Lowers<B>,
                  "a compiler needs `static constexpr uint32_t blob_format`, `partition(const LowerRequest&, Claims&)` "
                  "and `compile(const LowerRequest&, Blob&)`");
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
    static_assert(Runs<B>,
                  "an executor needs `static constexpr uint32_t blob_format` and a class Delegate with "
                  "`Delegate(Backend&, const Load&)` and `run(const Run&)`");
    using D = typename B::Delegate;
    static const quoin_executor role = [] {
      quoin_executor t{};
      t.struct_size = sizeof t;
      if constexpr (requires { requires B::reentrant; }) t.flags = QUOIN_REENTRANT;
      t.oldest_blob_format = t.newest_blob_format = B::blob_format;
      if constexpr (requires { B::oldest_blob_format; }) t.oldest_blob_format = B::oldest_blob_format;
      t.init = [](quoin_backend* b, const quoin_load_request* r, quoin_delegate** out, quoin_error* e) {
        return guard(e, [&] { *out = reinterpret_cast<quoin_delegate*>(new D(as<B>(b), Load(r))); });
      };
      if constexpr (requires(D & d, Array<quoin_tensor> a, quoin_memory_need & n) { d.plan(a, a, n); })
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
  if constexpr (requires { B::options; }) {
    static_assert(
        requires(B & b, const quoin_param& p) { b.set_option(p); },
        "a backend with `options` needs `set_option(const quoin_param&)`");
    table.options = Array<quoin_param_spec>::of(B::options);
    table.set_option = [](quoin_backend* b, const quoin_param* p, quoin_error* e) {
      return guard(e, [&] { as<B>(b).set_option(*p); });
    };
    if constexpr (requires(B & b, std::string_view name) { b.get_option(name); })
      table.get_option = [](quoin_backend* b, quoin_str name, quoin_param* out, quoin_error* e) {
        return guard(e, [&] { *out = as<B>(b).get_option(view(name)); });
      };
  }
}

template <class B>
constexpr uint32_t minor_required() {
  if constexpr (requires { B::abi_minor_required; }) return B::abi_minor_required;
  return 0;
}

template <class B>
const quoin_plugin* plugin(const char* name, const char* version, const quoin_host* host, quoin_error* why) noexcept {
  static_assert(std::is_constructible_v<B, const quoin_host&, Params>,
                "a backend needs the constructor `Backend(const quoin_host&, Params)`");
  static const quoin_plugin table = [&] {
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
    if constexpr (requires { B::kernels(); }) t.kernels = Array<quoin_kernel>::of(B::kernels());
    if constexpr (requires { B::extensions(); }) t.ext = B::extensions();
    return t;
  }();
  if (host == nullptr || host->abi_major != QUOIN_ABI_MAJOR || host->abi_minor < table.abi_minor_required) {
    report(why, QUOIN_INCOMPATIBLE, "the host speaks an older ABI than this plugin needs");
    return nullptr;
  }
  return &table;
}

// -- the manifest: JSON text in an ELF note, built from the class at compile time

struct Text {
  std::array<char, 1024> data{};
  size_t size = 0;
  constexpr Text& operator+=(std::string_view s) {
    for (const char c : s) data[size++] = c;  // past the end: not a constant expression, so it does not compile
    return *this;
  }
  constexpr Text& operator+=(uint32_t n) {
    char digits[10] = {};
    size_t count = 0;
    do digits[count++] = static_cast<char>('0' + n % 10);
    while ((n /= 10) != 0);
    while (count != 0) *this += std::string_view(&digits[--count], 1);
    return *this;
  }
  constexpr void item(bool wanted, std::string_view s) {  // of a JSON array of strings
    if (!wanted) return;
    if (data[size - 1] != '[') *this += ",";
    (((*this += "\"") += s) += "\"");
  }
};

template <class B>
constexpr Text manifest(std::string_view name, std::string_view version) {
  Text t;
  ((((t += "{\"name\":\"") += name) += "\",\"version\":\"") += version) += "\"";
  if constexpr (requires { B::vendor; }) ((t += ",\"vendor\":\"") += std::string_view(B::vendor)) += "\"";
  ((t += ",\"abi\":{\"major\":") += QUOIN_ABI_MAJOR) += ",\"minor\":";
  (((t += QUOIN_ABI_MINOR) += ",\"minor_required\":") += minor_required<B>()) += "},\"roles\":[";
  t.item(wants_quantizer<B>, "quantizer");
  t.item(wants_compiler<B>, "compiler");
  t.item(wants_executor<B>, "executor");
  t.item(
      requires { B::kernels(); }, "kernels");
  t += "],\"isa_required\":[";
  if constexpr (requires { B::isa_required; }) {
    t.item((B::isa_required & QUOIN_ISA_AVX2) != 0, "avx2");
    t.item((B::isa_required & QUOIN_ISA_AVX512) != 0, "avx512");
    t.item((B::isa_required & QUOIN_ISA_AVX512_VNNI) != 0, "avx512vnni");
    t.item((B::isa_required & QUOIN_ISA_AMX_INT8) != 0, "amx");
  }
  t += "]";
  if constexpr (requires { B::blob_format; }) (t += ",\"blob_format\":") += B::blob_format;
  t += "}";
  return t;
}

template <size_t Size>
struct Note {
  uint32_t name_size = 4, desc_size = Size, type = QUOIN_NOTE_TYPE;
  char name[4] = {'Q', 'U', 'N', 0};
  char desc[(Size + 3) & ~size_t{3}] = {};
  constexpr explicit Note(const Text& text) {
    for (size_t i = 0; i < Size; ++i) desc[i] = text.data[i];
  }
};

}  // namespace detail
}  // namespace quoin::sdk

// The manifest and the only exported symbol. Use once, at namespace scope; name and version are string literals.
#define QUOIN_PLUGIN(Backend, name, version)                                                                    \
  static constexpr ::quoin::sdk::detail::Text quoin_manifest_text =                                             \
      ::quoin::sdk::detail::manifest<Backend>(name, version);                                                   \
  __attribute__((section(QUOIN_NOTE_SECTION), used,                                                             \
                 aligned(4))) static constexpr ::quoin::sdk::detail::Note<quoin_manifest_text.size>             \
      quoin_manifest_note(quoin_manifest_text);                                                                 \
  extern "C" QUOIN_EXPORT const quoin_plugin* quoin_plugin_entry_v1(const quoin_host* host, quoin_error* why) { \
    return ::quoin::sdk::detail::plugin<Backend>(name, version, host, why);                                     \
  }
