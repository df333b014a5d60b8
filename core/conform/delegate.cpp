#include "conform/delegate.hpp"

#include <bit>
#include <cstring>

#include "host/call_result.hpp"

namespace quoin::conform {
namespace {

constexpr uint64_t kMaxAlignment = 4096;  // as the runtime

quoin_status find_named(void* self, quoin_str key, quoin_bytes* out) noexcept {
  for (const auto& [name, bytes] : static_cast<const program::Delegate*>(self)->named) {
    if (std::string_view(name) != std::string_view(key.data, key.size)) continue;
    *out = {bytes.data(), bytes.size()};
    return QUOIN_OK;
  }
  return QUOIN_NOT_FOUND;
}

template <class F>
Answer ask(const host::Backend& backend, F&& function) {
  quoin_error error{};
  error.struct_size = sizeof error;
  auto called = host::call(backend.name(), [&](quoin_error* own) { return function(own); });
  return {called.status, called.ok() ? std::string() : called.done.error().text()};
}

}  // namespace

std::string status_name(quoin_status status) {
  constexpr const char* kNames[] = {"OK",           "INVALID", "UNSUPPORTED", "NOT_FOUND", "OUT_OF_MEMORY",
                                    "INCOMPATIBLE", "CORRUPT", "CANCELLED",   "INTERNAL"};
  const auto index = static_cast<size_t>(status);
  return index < std::size(kNames) ? kNames[index] : fmt::format("unknown status {}", status);
}

std::string Answer::text() const {
  return message.empty() ? status_name(status) : fmt::format("{} ({})", status_name(status), message);
}

// -- Buffers

Buffers::Buffers(const ir::Graph& graph, const lower::Compiled& compiled, std::span<const Tensor> inputs, Align align) {
  for (const auto* ids : {&compiled.inputs, &compiled.outputs})
    for (const ir::ValueId id : *ids) add(graph.value(id).type, align);
  inputs_ = static_cast<uint32_t>(compiled.inputs.size());
  qparams_.reserve(types_.size());
  for (size_t i = 0; i < types_.size(); ++i) {
    const TensorType& type = types_[i];
    if (type.qparams) qparams_.push_back(quoin::view(*type.qparams));
    tensors_.push_back({static_cast<quoin_dtype>(type.dtype), static_cast<uint32_t>(type.shape.size()), dims_[i].data(),
                        memory_[i].data(), memory_[i].size(), type.qparams ? &qparams_.back() : nullptr});
  }
  for (size_t i = 0; i < inputs.size(); ++i)
    if (inputs[i].bytes() != 0) std::memcpy(memory_[i].data(), inputs[i].data(), inputs[i].bytes());
}

void Buffers::add(TensorType type, Align align) {
  const uint64_t needed = align == cache_line ? 64 : std::max<uint64_t>(1, bits(type.dtype) / 8);
  memory_.emplace_back(static_cast<uint64_t>(byte_size(type.dtype, type.shape)), needed);
  dims_.push_back(type.shape);
  types_.push_back(std::move(type));
}

void Buffers::fill_outputs(int byte) {
  for (size_t i = inputs_; i < memory_.size(); ++i)
    if (memory_[i].size() != 0) std::memset(memory_[i].data(), byte, memory_[i].size());
}

void Buffers::protect_inputs() const {
  for (size_t i = 0; i < inputs_; ++i) memory_[i].read_only();
}

std::vector<Tensor> Buffers::results() const {
  std::vector<Tensor> out;
  for (size_t i = inputs_; i < memory_.size(); ++i) {
    Tensor& tensor = out.emplace_back(types_[i].dtype, types_[i].shape);
    if (tensor.bytes() != 0) std::memcpy(tensor.data(), memory_[i].data(), tensor.bytes());
  }
  return out;
}

std::string Buffers::fault() const {
  for (size_t i = 0; i < memory_.size(); ++i) {
    const bool output = i >= inputs_;
    const std::string where = fmt::format("{} {}", output ? "output" : "input", output ? i - inputs_ : i);
    if (!memory_[i].intact()) return where + ": bytes behind its end were written";
    if (dims_[i] != types_[i].shape)
      return fmt::format("{}: plan() says {}, the graph {}", where, to_string(dims_[i]), to_string(types_[i].shape));
  }
  return {};
}

// -- Delegate

quoin_load_request load_request(const program::Delegate& compiled, std::span<const std::byte> blob) {
  return {sizeof(quoin_load_request),
          compiled.blob_format,
          {blob.data(), blob.size()},
          {},
          const_cast<program::Delegate*>(&compiled),
          find_named};
}

Delegate::Delegate(const host::Backend& backend, const program::Delegate& compiled, std::span<const std::byte> blob)
    : backend_(backend), executor_(*backend.table().executor) {
  const quoin_load_request request = load_request(compiled, blob);
  init_ =
      ask(backend_, [&](quoin_error* error) { return executor_.init(backend_.handle(), &request, &handle_, error); });
  if (init_.ok() && handle_ == nullptr) init_ = {QUOIN_INTERNAL, "init() says OK and gives no delegate"};
}

Delegate::~Delegate() {
  if (init_.ok()) executor_.destroy(handle_);
}

Answer Delegate::plan(const Buffers& buffers) {
  need_ = {};
  need_.struct_size = sizeof need_;
  if (!QUOIN_HAS(quoin_executor, &executor_, plan)) return {};
  const Answer answer = ask(backend_, [&](quoin_error* error) {
    return executor_.plan(handle_, buffers.inputs(), buffers.outputs(), &need_, error);
  });
  if (answer.ok() && (!std::has_single_bit(alignment()) || alignment() > kMaxAlignment))
    return {QUOIN_INVALID, fmt::format("plan() asks for scratch memory aligned to {} bytes", need_.alignment)};
  return answer;
}

Answer Delegate::run(const Buffers& buffers, void* scratch, const quoin_profiler* profiler,
                     const uint32_t* cancel) const {
  quoin_run call{};
  call.struct_size = sizeof call;
  call.inputs = buffers.inputs();
  call.outputs = buffers.outputs();
  call.scratch = scratch;
  call.scratch_size = need_.scratch;
  call.profiler = profiler;
  call.cancel = cancel;
  return ask(backend_, [&](quoin_error* error) { return executor_.run(handle_, &call, error); });
}

Result<std::vector<Tensor>> run_once(const host::Backend& backend, const ir::Graph& graph,
                                     const lower::Compiled& compiled, std::span<const Tensor> inputs) {
  const auto failed = [](const char* function, const Answer& answer) {
    return fail(Code::plugin, "{} answers {}", function, answer.text());
  };
  Delegate delegate(backend, compiled.delegate);
  if (!delegate.init().ok()) return failed("init()", delegate.init());
  Buffers buffers(graph, compiled, inputs, Buffers::cache_line);
  if (const Answer planned = delegate.plan(buffers); !planned.ok()) return failed("plan()", planned);
  const GuardedMemory scratch(delegate.need().scratch, delegate.alignment());
  if (const Answer ran = delegate.run(buffers, scratch.data()); !ran.ok()) return failed("run()", ran);
  if (const std::string fault = buffers.fault(); !fault.empty()) return fail(Code::plugin, "{}", fault);
  if (!scratch.intact()) return fail(Code::plugin, "bytes behind the end of the scratch memory were written");
  return buffers.results();
}

}  // namespace quoin::conform
