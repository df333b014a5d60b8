// A quantizer plugin inside the test process; what it does on annotate() is a function of the test.
#pragma once

#include <functional>

#include "quantize/annotation.hpp"
#include "support.hpp"

namespace quoin::quantize::test {

inline quoin_str str(std::string_view text) { return {text.data(), text.size()}; }
template <class T>
quoin_array array(const std::vector<T>& items) {
  return {items.data(), static_cast<uint32_t>(items.size()), sizeof(T)};
}

class FakePlugin {
 public:
  using Annotate = std::function<quoin_status(const quoin_quant_request&, const quoin_annotator&, quoin_error&)>;
  using Derive = std::function<quoin_status(uint32_t, const quoin_qparams* const*, uint32_t, quoin_qparams*)>;

  explicit FakePlugin(Annotate annotate, const char* name = "fake") : annotate_(std::move(annotate)) {
    depth_ = {str("depth"), QUOIN_PARAM_INT, QUOIN_SCOPE_QUANTIZE, {str("depth"), QUOIN_PARAM_INT, 1, &eight_}, 2, 8,
              {},           str("bits")};
    mode_ = {str("mode"), QUOIN_PARAM_STR, QUOIN_SCOPE_QUANTIZE, {}, 1, 0, array(choices_), str("rounding")};
    params_ = {depth_, mode_};
    presets_ = {{str("int8"), str("static"), array(params_)}, {str("dynamic"), str("dynamic"), {}}};
    quantizer_ = {sizeof(quoin_quantizer), 0, array(presets_), {}, &on_annotate, &on_derive, {}};
    table_.struct_size = sizeof table_;
    table_.abi_major = QUOIN_ABI_MAJOR;
    table_.name = name;
    table_.version = "1";
    table_.open = &on_open;
    table_.close = [](quoin_backend*) {};
    table_.quantizer = &quantizer_;
  }
  FakePlugin(const FakePlugin&) = delete;

  void want_passes(std::vector<quoin_str> passes) {
    passes_ = std::move(passes);
    quantizer_.passes = array(passes_);
  }
  void offer_observers(std::vector<quoin_observer> observers) {
    observers_ = std::move(observers);
    quantizer_.observers = array(observers_);
  }
  void on_derive_do(Derive derive) { derive_ = std::move(derive); }
  std::shared_ptr<host::Backend> open() {
    opening_ = this;
    return ok(host::Backend::open(&table_, nullptr, host()));
  }
  Assignment assign(std::vector<recipe::Rule> rules = {}, std::string preset = {}, recipe::Params params = {}) {
    Assignment out{open(), {}};
    out.config = {table_.name, std::move(preset), std::move(params), std::move(rules), {"r.yaml:1:1"}};
    return out;
  }

 private:
  static quoin_status on_open(const quoin_host*, quoin_array, quoin_backend** out, quoin_error*) {
    *out = reinterpret_cast<quoin_backend*>(opening_);
    return QUOIN_OK;
  }
  static quoin_status on_annotate(quoin_backend* self, const quoin_quant_request* request,
                                  const quoin_annotator* annotator, quoin_error* error) {
    return reinterpret_cast<FakePlugin*>(self)->annotate_(*request, *annotator, *error);
  }
  static quoin_status on_derive(quoin_backend* self, uint32_t rule, const quoin_qparams* const* sources, uint32_t count,
                                quoin_qparams* out, quoin_error*) {
    return reinterpret_cast<FakePlugin*>(self)->derive_(rule, sources, count, out);
  }

  inline static FakePlugin* opening_ = nullptr;
  Annotate annotate_;
  Derive derive_;
  int64_t eight_ = 8;
  std::vector<quoin_str> choices_{str("nearest"), str("down")}, passes_;
  quoin_param_spec depth_{}, mode_{};
  std::vector<quoin_param_spec> params_;
  std::vector<quoin_preset> presets_;
  std::vector<quoin_observer> observers_;
  quoin_quantizer quantizer_{};
  quoin_plugin table_{};
};

inline quoin_node node_at(const quoin_quant_request& request, uint32_t index) {
  return *reinterpret_cast<const quoin_node*>(static_cast<const char*>(request.graph->nodes.data) +
                                              size_t{index} * request.graph->nodes.stride);
}
inline std::string_view op_at(const quoin_quant_request& request, uint32_t index) {
  const quoin_str op = node_at(request, index).op;
  return {op.data, op.size};
}

inline quoin_qspec abi_spec(quoin_dtype dtype = QUOIN_S8, int32_t qmin = -128, int32_t qmax = 127) {
  quoin_qspec spec{};
  spec.struct_size = sizeof spec;
  spec.dtype = dtype;
  spec.qmin = qmin;
  spec.qmax = qmax;
  return spec;
}

}  // namespace quoin::quantize::test
