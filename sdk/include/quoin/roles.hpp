// What a backend class must look like, checked where it is compiled: each mistake gives one message in plain words.
// Part of quoin/plugin.hpp.
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

// What a class names; whether it names it with the right signature is checked apart, so that a slip is no silence.
template <class B>
concept HasPresets = requires {
  B::presets;
};
template <class B>
concept HasAnnotate = requires {
  &B::annotate;
};
template <class B>
concept HasPasses = requires {
  B::passes;
};
template <class B>
concept HasDerive = requires {
  &B::derive;
};
template <class B>
concept HasObservers = requires {
  typename B::Observers;
};
template <class B>
concept HasPartition = requires {
  &B::partition;
};
template <class B>
concept HasCompile = requires {
  &B::compile;
};
template <class B>
concept HasDelegate = requires {
  typename B::Delegate;
};
template <class D>
concept HasPlan = requires {
  &D::plan;
};
template <class B>
concept HasReentrant = requires {
  B::reentrant;
};
template <class B>
concept HasOptions = requires {
  B::options;
};
template <class B>
concept HasSetOption = requires {
  &B::set_option;
};
template <class B>
concept HasGetOption = requires {
  &B::get_option;
};
template <class B>
concept HasKernels = requires {
  &B::kernels;
};
template <class B>
concept HasExtensions = requires {
  &B::extensions;
};
template <class B>
concept HasMinorRequired = requires {
  B::abi_minor_required;
};
template <class O>
concept HasSave = requires {
  &O::save;
};
template <class O>
concept HasMerge = requires {
  &O::merge;
};

template <class B>
constexpr bool wants_quantizer = HasPresets<B> || HasAnnotate<B>;
template <class B>
constexpr bool wants_compiler = HasPartition<B> || HasCompile<B>;
template <class B>
constexpr bool wants_executor = HasDelegate<B>;

template <class B>
constexpr uint32_t minor_required() {
  if constexpr (HasMinorRequired<B>) return B::abi_minor_required;
  return 0;
}

template <class B>
constexpr bool check_quantizer() {
  if constexpr (wants_quantizer<B>)
    static_assert(Quantizes<B>,
                  "a quantizer needs `static ... presets` (an array of quoin_preset) and "
                  "`annotate(const QuantRequest&, Annotator&)`");
  if constexpr (HasPasses<B>)
    static_assert(
        requires { std::span<const quoin_str>(B::passes); }, "`passes` is a static array of quoin_str");
  if constexpr (HasDerive<B>)
    static_assert(
        requires(B & b, std::span<const quoin_qparams* const> sources, quoin_qparams & out) {
          b.derive(uint32_t{}, sources, out);
        },
        "`derive` takes (uint32_t rule, std::span<const quoin_qparams* const> sources, quoin_qparams& out)");
  return true;
}

template <class O>
constexpr bool check_observer() {
  static_assert(Observes<O>,
                "an observer needs name, doc, O(const ObserverSpec&), observe(const quoin_tensor&), qparams()");
  if constexpr (HasSave<O> || HasMerge<O>)
    static_assert(
        requires(O & o, quoin_bytes saved) { std::vector<std::byte>(o.save()), o.merge(saved); },
        "an observer that can be saved needs both `std::vector<std::byte> save()` and `merge(quoin_bytes saved)`");
  return true;
}

template <class B>
constexpr bool check_compiler() {
  if constexpr (wants_compiler<B>)
    static_assert(Lowers<B>,
                  "a compiler needs `static constexpr uint32_t blob_format`, `partition(const LowerRequest&, Claims&)` "
                  "and `compile(const LowerRequest&, Blob&)`");
  return true;
}

template <class B>
constexpr bool check_executor() {
  if constexpr (wants_executor<B>) {
    static_assert(Runs<B>,
                  "an executor needs `static constexpr uint32_t blob_format` and a class Delegate with "
                  "`Delegate(Backend&, const Load&)` and `run(const Run&)`");
    using D = typename B::Delegate;
    if constexpr (HasPlan<D>)
      static_assert(
          requires(D & d, Array<quoin_tensor> tensors, quoin_memory_need & need) { d.plan(tensors, tensors, need); },
          "`Delegate::plan` takes (Array<quoin_tensor> inputs, Array<quoin_tensor> outputs, quoin_memory_need&)");
  }
  if constexpr (HasReentrant<B>)
    static_assert(
        requires { typename std::bool_constant<B::reentrant>; }, "`reentrant` is a `static constexpr bool`");
  return true;
}

template <class B>
constexpr bool check_options() {
  if constexpr (HasOptions<B>) {
    static_assert(
        requires { std::span<const quoin_param_spec>(B::options); }, "`options` is a static array of quoin_param_spec");
    static_assert(
        requires(B & b, const quoin_param& p) { b.set_option(p); },
        "a backend with `options` needs `set_option(const quoin_param&)`");
  } else {
    static_assert(!HasSetOption<B> && !HasGetOption<B>, "`set_option` and `get_option` need a static array `options`");
  }
  if constexpr (HasGetOption<B>)
    static_assert(
        requires(B & b, std::string_view name) { quoin_param(b.get_option(name)); },
        "`get_option` takes (std::string_view name) and returns a quoin_param");
  return true;
}

template <class B>
constexpr bool check_rest() {
  static_assert(std::is_constructible_v<B, const quoin_host&, Params>,
                "a backend needs the constructor `Backend(const quoin_host&, Params)`");
  static_assert(wants_quantizer<B> || wants_compiler<B> || wants_executor<B> || HasKernels<B>,
                "a backend without any role: it needs presets and annotate, partition and compile, a Delegate, or "
                "kernels");
  if constexpr (HasKernels<B>)
    static_assert(
        requires { std::span<const quoin_kernel>(B::kernels()); },
        "`kernels` is a static function that returns a span of quoin_kernel");
  if constexpr (HasExtensions<B>)
    static_assert(
        requires { static_cast<const quoin_ext*>(B::extensions()); },
        "`extensions` is a static function that returns a const quoin_ext*");
  if constexpr (HasMinorRequired<B>)
    static_assert(B::abi_minor_required <= QUOIN_ABI_MINOR,
                  "`abi_minor_required` is above the version of this SDK's header");
  return true;
}

template <class B>
constexpr bool check_backend() {
  return check_quantizer<B>() && check_compiler<B>() && check_executor<B>() && check_options<B>() && check_rest<B>();
}

}  // namespace detail
}  // namespace quoin::sdk
