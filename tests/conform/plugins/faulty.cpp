#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>

#include "sound.hpp"

// One in the whole process, unless the version script hides it (GCC makes such symbols of inline variables).
asm(".pushsection .data\n"
    ".type sound_unique, @gnu_unique_object\n"
    ".size sound_unique, 4\n"
    "sound_unique: .long 0\n"
    ".popsection");

namespace sound {

const volatile char kFault[64] = "the fault of this plugin: none";

// -- options

Sound::Sound(const quoin_host& h, sdk::Params params) : host(h), grain_(params.integer("grain", kGrain)) {
  if (!is("option_unchecked") && (grain_ < 1 || grain_ > 65536))
    throw sdk::Failure(QUOIN_INVALID, "option grain is outside 1 to 65536");
  if (is("leaks")) host.alloc(host.self, 64, 64);
}

Sound::~Sound() = default;

void Sound::set_option(const quoin_param& option) {
  if (sdk::view(option.name) != "grain") {
    if (is("option_unknown_ok")) return;
    throw sdk::Failure(is("option_unknown_invalid") ? QUOIN_INVALID : QUOIN_NOT_FOUND,
                       "there is no option " + std::string(sdk::view(option.name)));
  }
  const int64_t value = sdk::Params({&option, 1, sizeof option}).integer("grain", 0);
  if (!is("option_unchecked") && (value < 1 || value > 65536))
    throw sdk::Failure(QUOIN_INVALID, is("empty_message")  ? ""
                                      : is("invalid_utf8") ? "grain \xff\xfe"
                                                           : "option grain is outside 1 to 65536");
  if (!is("option_forgets")) grain_ = value;
}

quoin_param Sound::get_option(std::string_view name) {
  if (name != "grain") throw sdk::Failure(QUOIN_NOT_FOUND, "there is no option " + std::string(name));
  return {sdk::str("grain"), QUOIN_PARAM_INT, 1, &grain_};
}

// -- rules

const sdk::RuleTable& Sound::rules() {
  static const sdk::RuleTable table("sound", kRules);
  return table;
}

void Sound::annotate(const sdk::QuantRequest& request, sdk::Annotator& annotator) {
  if (is("not_idempotent") && annotated_++ % 2 == 1) return;
  if (is("annotates_unselected")) {
    for (uint32_t i = 0; i < request.graph.num_nodes(); ++i)
      if (request.graph.node(i).op() == "aten.relu.default") annotator.output(i, 0, int8({request.graph, {}}, {{}}));
    return;
  }
  if (is("annotates_nowhere") && request.graph.num_nodes() != 0)
    annotator.output(request.graph.num_nodes() + 7, 0, int8({request.graph, {}}, {{}}));
  if (is("silent_skip")) {
    for (uint32_t i = 0; i < request.graph.num_nodes(); ++i) annotator.skip(i, "");
    return;
  }
  if (is("order_dependent") && request.graph.num_nodes() > 2 && request.graph.node(0).op() == "aten.relu.default")
    return;
  rules().annotate(request, annotator);
}

void Sound::partition(const sdk::LowerRequest& request, sdk::Claims& claims) {
  const sdk::Graph& graph = request.graph;
  std::vector<uint32_t> all;
  for (uint32_t i = 0; i < graph.num_nodes(); ++i) {
    const std::string reason = rules().why_not(graph, graph.node(i));
    if (reason.empty() && is("claims_not_convex"))
      all.push_back(i);
    else if (reason.empty())
      claims.claim(std::span(&i, 1), "relu");
    else if (!is("forgets_node"))
      claims.decline(i, is("declines_without_reason") ? "" : reason);
    if (reason.empty() && is("claims_overlap")) claims.claim(std::span(&i, 1), "relu again");
  }
  const uint32_t unknown = graph.num_nodes() + 3;
  if (is("claims_unknown")) claims.claim(std::span(&unknown, 1), "nothing");
  if (!all.empty()) claims.claim(all, "relu");
}

// -- blobs

void Sound::compile(const sdk::LowerRequest& request, sdk::Blob& blob) {
  const sdk::Value x = request.graph.input(request.graph.node(0), 0);
  if (!x.qparams()) throw sdk::Failure(QUOIN_INVALID, "the operand is not quantized");
  static std::atomic<uint32_t> compiled{0};
  if (is("keeps_graph")) kept_ = request.graph.raw;
  blob.put(Header{is("random_blob") ? kMagic + compiled++ : kMagic, x.qparams()->zero_point(), x.numel()});
}

Sound::Delegate::Delegate(Sound& sound, const sdk::Load& load) : sound_(sound) {
  if (is("trusts_blob")) {
    std::memcpy(&header_, load.blob.data, sizeof header_);
    const volatile char* far = static_cast<const char*>(load.blob.data) + header_.count;
    static_cast<void>(*far);
  }
  sdk::Reader reader(load.blob);
  header_ = reader.get<Header>();
  if (header_.magic != kMagic && !is("random_blob")) throw sdk::Failure(QUOIN_CORRUPT, "this is no blob of relu");
  if (is("hangs_on_blob")) std::this_thread::sleep_for(std::chrono::milliseconds(header_.count));
  if (header_.count < 0 || header_.count > int64_t{1} << 40 || header_.zero_point < -128 || header_.zero_point > 127)
    throw sdk::Failure(QUOIN_CORRUPT, "a tensor of impossible size or zero point");
  if (reader.rest() != 0) throw sdk::Failure(QUOIN_CORRUPT, "bytes behind the blob's end");
  if (sound.kept_ != nullptr && sound.kept_->num_inputs == 0) throw sdk::Failure(QUOIN_INTERNAL, "no operand");
  table_ = static_cast<int8_t*>(sound.host.alloc(sound.host.self, 256, 64));
  if (table_ == nullptr && !is("ignores_null")) throw sdk::Failure(QUOIN_OUT_OF_MEMORY, "no memory for the table");
  for (int q = -128; q < 128; ++q) table_[q + 128] = static_cast<int8_t>(std::max(q, header_.zero_point));
  if (is("off_by_one")) --table_[128 + 127];
}

Sound::Delegate::~Delegate() {
  if (!is("leaks_table")) sound_.host.free(sound_.host.self, table_, is("frees_wrong_size") ? 128 : 256, 64);
}

void Sound::Delegate::check(const sdk::Array<quoin_tensor>& inputs, const sdk::Array<quoin_tensor>& outputs) const {
  if (inputs.size() != 1 || outputs.size() != 1)
    throw sdk::Failure(QUOIN_INVALID, "expected one tensor in and one out");
  const quoin_tensor x = inputs[0], y = outputs[0];
  if (x.dtype != QUOIN_S8 || y.dtype != QUOIN_S8 || x.rank != y.rank)
    throw sdk::Failure(QUOIN_INVALID, "expected int8 tensors of equal rank");
  int64_t count = 1;
  for (uint32_t i = 0; i < x.rank; ++i) count *= x.dims[i];
  if (count != header_.count)
    throw sdk::Failure(QUOIN_UNSUPPORTED, "the blob was made for " + std::to_string(header_.count) + " elements");
}

void Sound::Delegate::plan(sdk::Array<quoin_tensor> inputs, sdk::Array<quoin_tensor> outputs, quoin_memory_need& need) {
  check(inputs, outputs);
  std::copy_n(inputs[0].dims, inputs[0].rank, outputs[0].dims);
  need.alignment = 64;
  need.scratch = static_cast<uint64_t>(header_.count);
}

// Table look-ups into scratch, then to the result: what a device with memory of its own would do.
void Sound::Delegate::answer(const sdk::Run& run, uint64_t begin, uint64_t end) const {
  const quoin_tensor in = run.inputs[0], out = run.outputs[0];
  auto* x = static_cast<int8_t*>(in.data);
  auto* y = static_cast<int8_t*>(out.data);
  auto* scratch = static_cast<int8_t*>(run.raw.scratch);
  const int8_t left_over = is("scratch_read") && begin != end ? scratch[begin] : int8_t{0};
  for (uint64_t i = begin; i < end; ++i) scratch[i] = table_[x[i] + 128];
  if (left_over % 2 != 0) scratch[begin] = left_over;
  if (is("depends_on_workers") && sound_.host.workers(sound_.host.self) > 1) scratch[begin] = 77;
  if (is("writes_input")) x[begin] = 0;
  std::memcpy(y + begin, scratch + begin, end - begin);
  if (end != out.size) return;
  if (is("scratch_overrun")) scratch[end] = 1;
  if (is("output_overrun")) y[end] = 1;
  if (is("wrong_at_odd_tails") && end % 8 != 0) y[end - 1] = static_cast<int8_t>(y[end - 1] ^ 1);
}

void Sound::Delegate::run(const sdk::Run& run) {
  check(run.inputs, run.outputs);
  const quoin_profiler* profiler = run.raw.profiler;
  if (is("unbalanced_events") && profiler != nullptr) profiler->begin(profiler->self, sdk::str("relu"), 0);
  const sdk::Event event(profiler, "relu", 0);
  if (is("past_backwards") && profiler != nullptr) profiler->past(profiler->self, sdk::str("device"), 0, 2000, 1000);
  if (is("not_reentrant")) {
    static volatile int busy = 0;
    static int8_t shared[1 << 16];
    for (uint64_t i = 0; i < std::min<uint64_t>(run.inputs[0].size, sizeof shared); ++i)
      shared[i] = static_cast<const int8_t*>(run.inputs[0].data)[i];
    busy = busy + 1;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    if (run.inputs[0].size <= sizeof shared && std::memcmp(shared, run.inputs[0].data, run.inputs[0].size) != 0)
      throw sdk::Failure(QUOIN_INTERNAL, "somebody else wrote into my buffer");
  }
  if (!is("ignores_cancel") && run.cancelled()) throw sdk::Failure(QUOIN_CANCELLED, "cancelled");
  sdk::parallel_for(sound_.host, static_cast<uint64_t>(header_.count), static_cast<uint64_t>(sound_.grain_),
                    [&](uint64_t begin, uint64_t end, uint32_t) noexcept {
                      if (is("ignores_cancel") || !run.cancelled()) answer(run, begin, end);
                    });
  if (!is("ignores_cancel") && run.cancelled()) throw sdk::Failure(QUOIN_CANCELLED, "cancelled");
}

// -- kernels

namespace {

quoin_status prepare(const quoin_host*, const quoin_graph*, uint32_t, void**, quoin_memory_need*, quoin_error*) {
  return QUOIN_OK;
}

quoin_status relu_f32(const quoin_host*, void*, const quoin_run* raw, quoin_error* error) {
  return sdk::guard(error, [&] {
    const sdk::Run run(raw);
    const auto* x = static_cast<const float*>(run.inputs[0].data);
    auto* y = static_cast<float*>(run.outputs[0].data);
    if (is("kernel_clears_result")) std::memset(y, 0, run.outputs[0].size);
    for (uint64_t i = 0; i < run.outputs[0].size / sizeof(float); ++i)
      y[i] = is("kernel_wrong") ? x[i] : x[i] < 0 ? 0 : x[i];
  });
}

constexpr quoin_dtype kFloats[] = {QUOIN_F32, QUOIN_F32};
constexpr quoin_kernel kKernels[] = {
    {"aten.relu.default", 1, QUOIN_IN_PLACE, kFloats, 2, 1, 0, "relu_f32", nullptr, prepare, relu_f32, nullptr}};

}  // namespace

std::span<const quoin_kernel> Sound::kernels() { return kKernels; }

}  // namespace sound
