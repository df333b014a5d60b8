#include "harness.hpp"

#include <cmath>
#include <cstdlib>
#include <cstring>

#include "kernels/select.hpp"
#include "ops/integer_range.hpp"

extern "C" const quoin_plugin* quoin_plugin_entry_v1(const quoin_host* host, quoin_error* why);

namespace quoin::cpu::testing {
namespace {

std::string_view view(quoin_str s) { return {s.data, static_cast<size_t>(s.size)}; }

quoin_error fresh_error() {
  quoin_error error{};
  error.struct_size = sizeof error;
  return error;
}

std::shared_ptr<char> aligned(uint64_t bytes) {
  const uint64_t rounded = (bytes + 63) / 64 * 64 + 64;
  return {static_cast<char*>(std::aligned_alloc(64, rounded)), std::free};
}

// dims and qparams behind a list of quoin_tensor.
class Views {
 public:
  void add(Tensor& tensor, const QParams* q) {
    dims_.push_back(std::make_unique<Shape>(tensor.shape()));
    if (q != nullptr) qparams_.push_back(std::make_unique<quoin_qparams>(quoin::view(*q)));
    tensors_.push_back({static_cast<quoin_dtype>(tensor.dtype()), static_cast<uint32_t>(dims_.back()->size()),
                        dims_.back()->data(), tensor.data(), tensor.bytes(),
                        q == nullptr ? nullptr : qparams_.back().get()});
  }
  void add_absent() { tensors_.push_back({}); }
  quoin_array array() const { return {tensors_.data(), static_cast<uint32_t>(tensors_.size()), sizeof(quoin_tensor)}; }

 private:
  std::vector<quoin_tensor> tensors_;
  std::vector<std::unique_ptr<Shape>> dims_;
  std::vector<std::unique_ptr<quoin_qparams>> qparams_;
};

}  // namespace

uint64_t FakeHost::machine_isa() {
  uint64_t isa = 0;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) isa |= QUOIN_ISA_AVX2;
  if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    isa |= QUOIN_ISA_AVX512;
  if (__builtin_cpu_supports("avx512vnni")) isa |= QUOIN_ISA_AVX512_VNNI;
#endif
  return isa;
}

FakeHost::FakeHost(uint32_t count, uint64_t isa) : workers(count) {
  table.struct_size = sizeof table;
  table.abi_major = QUOIN_ABI_MAJOR;
  table.abi_minor = QUOIN_ABI_MINOR;
  table.self = this;
  table.isa = isa;
  table.alloc = [](void*, uint64_t size, uint64_t alignment) {
    return std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
  };
  table.free = [](void*, void* ptr, uint64_t, uint64_t) { std::free(ptr); };
  table.log = [](void*, int32_t, quoin_str) {};
  table.workers = [](void* self) { return static_cast<FakeHost*>(self)->workers; };
  table.parallel_for = [](void* self, uint64_t n, uint64_t grain, quoin_range_fn fn, void* ctx) {
    uint32_t worker = 0;
    for (uint64_t begin = 0; begin < n; begin += grain, ++worker)
      fn(ctx, begin, std::min(begin + grain, n), worker % static_cast<FakeHost*>(self)->workers);
  };
  table.now_ns = [](void*) { return uint64_t{0}; };
  table.find_ext = [](void*, const char*) -> const quoin_ext* { return nullptr; };
}

Plugin::Plugin(const FakeHost& host) {
  quoin_error error = fresh_error();
  table_ = quoin_plugin_entry_v1(&host.table, &error);
  if (table_ == nullptr || table_->open(&host.table, {}, &backend_, &error) != QUOIN_OK) std::abort();
}
Plugin::~Plugin() { table_->close(backend_); }

Claimed Plugin::partition(const ir::Graph& graph) const {
  const ir::Snapshot snapshot = ir::Snapshot::of(graph, ir::Dims::marked);
  Claimed out;
  quoin_claims claims{sizeof(quoin_claims), 0, &out, nullptr, nullptr};
  claims.claim = [](void* self, const uint32_t* nodes, uint32_t count, quoin_str) -> quoin_status {
    static_cast<Claimed*>(self)->claims.emplace_back(nodes, nodes + count);
    return QUOIN_OK;
  };
  claims.decline = [](void* self, uint32_t node, quoin_str reason) {
    static_cast<Claimed*>(self)->declined.emplace_back(node, view(reason));
  };
  const quoin_lower_request request{sizeof(quoin_lower_request), 0, snapshot.view(), {}, 0};
  quoin_error error = fresh_error();
  EXPECT_EQ(table_->compiler->partition(backend_, &request, &claims, &error), QUOIN_OK) << error.message;
  return out;
}

Blob Plugin::compile(const ir::Graph& graph, Named& named) const {
  const Claimed claimed = partition(graph);
  EXPECT_EQ(claimed.claims.size(), 1u);
  for (const auto& [node, reason] : claimed.declined) ADD_FAILURE() << graph.describe(node) << ": " << reason;
  const ir::Snapshot snapshot = ir::Snapshot::of(graph, ir::Dims::marked);
  struct Written {
    Blob blob;
    Named& named;
  } written{{}, named};
  quoin_blob_writer writer{sizeof(quoin_blob_writer), 0, &written, nullptr, nullptr, nullptr};
  writer.write = [](void* self, quoin_bytes chunk) -> quoin_status {
    auto& to = static_cast<Written*>(self)->blob;
    const auto* from = static_cast<const char*>(chunk.data);
    to.insert(to.end(), from, from + chunk.size);
    return QUOIN_OK;
  };
  writer.named = [](void* self, quoin_str key, quoin_bytes data, uint64_t) -> quoin_status {
    const auto* from = static_cast<const char*>(data.data);
    Blob bytes(from, from + data.size);
    const auto [found, fresh] = static_cast<Written*>(self)->named.try_emplace({key.data, key.size}, bytes);
    return fresh || found->second == bytes ? QUOIN_OK : QUOIN_INVALID;
  };
  const quoin_lower_request request{sizeof(quoin_lower_request), 0, snapshot.view(), {}, 0};
  quoin_error error = fresh_error();
  EXPECT_EQ(table_->compiler->compile(backend_, &request, &writer, &error), QUOIN_OK) << error.message;
  return written.blob;
}

Loaded::Loaded(const FakeHost&, const Plugin& plugin, Blob blob, const Named& named)
    : plugin_(plugin), bytes_(aligned(blob.size())), size_(blob.size()), error_(fresh_error()) {
  std::copy(blob.begin(), blob.end(), bytes_.get());
  for (const auto& [key, data] : named) {
    const auto copy = aligned(data.size());
    std::copy(data.begin(), data.end(), copy.get());
    named_[key] = {copy, data.size()};
  }
  quoin_load_request request{};
  request.struct_size = sizeof request;
  request.blob_format = plugin.table().compiler->blob_format;
  request.blob = {bytes_.get(), size_};
  request.self = this;
  request.named = [](void* self, quoin_str key, quoin_bytes* out) -> quoin_status {
    const auto& all = static_cast<Loaded*>(self)->named_;
    const auto found = all.find(view(key));
    if (found == all.end()) return QUOIN_NOT_FOUND;
    *out = {found->second.first.get(), found->second.second};
    return QUOIN_OK;
  };
  status_ = plugin.table().executor->init(plugin.backend(), &request, &delegate_, &error_);
}
Loaded::~Loaded() {
  if (delegate_ != nullptr) plugin_.table().executor->destroy(delegate_);
}

quoin_status Loaded::run(std::span<const Tensor> inputs, std::span<Tensor> outputs, const quoin_profiler* profiler,
                         const uint32_t* cancel, uint64_t less_scratch) {
  Views in, out;
  for (const Tensor& t : inputs) in.add(const_cast<Tensor&>(t), nullptr);
  for (Tensor& t : outputs) out.add(t, nullptr);
  quoin_memory_need need{};
  need.struct_size = sizeof need;
  status_ = plugin_.table().executor->plan(delegate_, in.array(), out.array(), &need, &error_);
  if (status_ != QUOIN_OK) return status_;
  const auto scratch = aligned(need.scratch);
  std::memset(scratch.get(), 0xa5, need.scratch);
  quoin_run run{};
  run.struct_size = sizeof run;
  run.inputs = in.array();
  run.outputs = out.array();
  run.scratch = scratch.get();
  run.scratch_size = need.scratch - less_scratch;
  run.profiler = profiler;
  run.cancel = cancel;
  return status_ = plugin_.table().executor->run(delegate_, &run, &error_);
}

// -- reference

namespace {

void run_node(const FakeHost& host, const kernels::KernelSet& set, const quoin_graph* graph, uint32_t id,
              const ir::Graph& source, std::vector<Tensor>& values) {
  const auto choice = set.select(graph, id, 0);
  ASSERT_TRUE(choice) << choice.error().text();
  const quoin_kernel& kernel = *choice->kernel;
  const ir::NodeId node_id = source.order()[id];
  const ir::Node& node = source.node(node_id);
  Views in, out;
  const auto view_of = [&](ir::ValueId value, Views& views) {
    views.add(values[value], source.value(value).type.qparams.get());
  };
  for (const ir::ValueId input : node.inputs) input == ir::kNone ? in.add_absent() : view_of(input, in);
  for (const ir::ValueId output : node.outputs) {
    values[output] = Tensor(source.value(output).type.dtype, source.value(output).type.shape);
    view_of(output, out);
  }
  void* state = nullptr;
  quoin_memory_need need{};
  need.struct_size = sizeof need;
  quoin_error error = fresh_error();
  if (kernel.prepare != nullptr) {
    ASSERT_EQ(kernel.prepare(&host.table, graph, id, &state, &need, &error), QUOIN_OK) << error.message;
  }
  const auto scratch = aligned(need.scratch);
  quoin_run run{};
  run.struct_size = sizeof run;
  run.inputs = in.array();
  run.outputs = out.array();
  run.scratch = scratch.get();
  run.scratch_size = need.scratch;
  EXPECT_EQ(kernel.run(&host.table, state, &run, &error), QUOIN_OK) << source.describe(node_id) << error.message;
  if (kernel.release != nullptr) kernel.release(&host.table, state);
}

}  // namespace

std::vector<Tensor> reference(const FakeHost& host, const ir::Graph& graph, std::span<const Tensor> inputs) {
  const ir::Snapshot snapshot = ir::Snapshot::of(graph);
  const kernels::KernelSet set;
  std::vector<Tensor> values(graph.value_capacity());
  for (ir::ValueId v = 0; v < graph.value_capacity(); ++v)
    if (graph.value(v).constant) values[v] = *graph.value(v).constant;
  for (size_t i = 0; i < inputs.size(); ++i) values[graph.inputs()[i]] = inputs[i];
  for (uint32_t n = 0; n < graph.order().size(); ++n) run_node(host, set, snapshot.view(), n, graph, values);
  std::vector<Tensor> out;
  for (const ir::ValueId v : graph.outputs()) out.push_back(values[v]);
  return out;
}

std::vector<Tensor> random_inputs(const ir::Graph& graph, std::mt19937& random) {
  std::vector<Tensor> out;
  for (const ir::ValueId id : graph.inputs()) {
    Tensor t(graph.value(id).type.dtype, graph.value(id).type.shape);
    if (t.dtype() == DType::f32)
      for (float& v : t.as<float>()) v = std::normal_distribution<float>(0, 1.2f)(random);
    else
      for (int8_t& v : t.as<int8_t>()) v = static_cast<int8_t>(random());
    out.push_back(std::move(t));
  }
  return out;
}

void expect_same(const ir::Graph& graph, std::mt19937& random, uint32_t workers, float tolerance, uint64_t isa) {
  const FakeHost host(workers, isa);
  const Plugin plugin(host);
  Named named;
  const Blob blob = plugin.compile(graph, named);
  Loaded loaded(host, plugin, blob, named);
  ASSERT_EQ(loaded.status(), QUOIN_OK) << loaded.message();
  const std::vector<Tensor> inputs = random_inputs(graph, random), expected = reference(host, graph, inputs);
  std::vector<Tensor> found;
  for (const Tensor& t : expected) found.emplace_back(t.dtype(), t.shape());
  ASSERT_EQ(loaded.run(inputs, found), QUOIN_OK) << loaded.message();
  for (size_t o = 0; o < expected.size(); ++o) {
    if (expected[o].dtype() == DType::s8) {
      const std::span<const int8_t> want = expected[o].as<int8_t>(), have = found[o].as<int8_t>();
      for (size_t i = 0; i < want.size(); ++i)
        ASSERT_EQ(int{have[i]}, int{want[i]}) << "output " << o << " element " << i;
    } else {
      const std::span<const float> want = expected[o].as<float>(), have = found[o].as<float>();
      for (size_t i = 0; i < want.size(); ++i)
        ASSERT_NEAR(have[i], want[i], tolerance * (1 + std::fabs(want[i]))) << "output " << o << " element " << i;
    }
  }
}

// -- graphs

std::shared_ptr<const QParams> Net::activation() {
  QParams q;
  q.scale = {0.01f + 0.05f * static_cast<float>(pick(0, 1000)) / 1000};
  q.zero_point = {static_cast<int32_t>(pick(-128, 127))};
  return std::make_shared<const QParams>(q);
}
void Net::set(V value, std::shared_ptr<const QParams> q) {
  graph.value(value).type.dtype = q->dtype;
  graph.value(value).type.qparams = std::move(q);
}
ir::ValueId Net::input(Shape shape) {
  if (!typed) return graph.add_input(graph.unique_name("x"), {DType::f32, std::move(shape), nullptr});
  return graph.add_input(graph.unique_name("x"), {DType::s8, std::move(shape), activation()});
}
ir::ValueId Net::constant(Shape shape) {
  Tensor t(typed ? DType::s8 : DType::f32, std::move(shape));
  if (typed)
    for (int8_t& v : t.as<int8_t>()) v = static_cast<int8_t>(random());
  else
    for (float& v : t.as<float>()) v = std::normal_distribution<float>()(random);
  return graph.add_constant(graph.unique_name("c"), std::move(t), typed ? activation() : nullptr);
}
ir::ValueId Net::add(const char* name, std::vector<V> inputs, Attrs attrs) {
  const auto node = graph.add_node(name, std::move(inputs), std::move(attrs));
  if (!node) ADD_FAILURE() << node.error().text();
  return graph.output(*node);
}
ir::ValueId Net::op(const char* name, std::vector<V> inputs, Attrs attrs) {
  const V out = add(name, std::move(inputs), std::move(attrs));
  if (typed) set(out, activation());
  return out;
}
ir::ValueId Net::same(const char* name, std::vector<V> inputs, Attrs attrs) {
  const auto q = graph.value(inputs[0]).type.qparams;
  const V out = add(name, std::move(inputs), std::move(attrs));
  if (q) set(out, q);
  return out;
}
ir::ValueId Net::real(const char* name, std::vector<V> inputs, Attrs attrs) {
  const V out = add(name, std::move(inputs), std::move(attrs));
  graph.value(out).type.dtype = DType::f32;
  graph.value(out).type.qparams = nullptr;
  return out;
}

ir::ValueId Net::weight(Shape shape, bool per_channel) {
  if (!typed) return constant(std::move(shape));
  QParams q;
  q.dtype = weight_dtype;
  const IntegerRange range = integer_range(weight_dtype);
  q.qmin = weight_dtype == DType::s8 ? -127 : static_cast<int32_t>(range.low);
  q.qmax = static_cast<int32_t>(range.high);
  if (per_channel) {
    q.scheme = Scheme::per_channel;
    q.axis = 0;
  }
  q.scale.resize(per_channel ? static_cast<size_t>(shape[0]) : 1);
  for (float& s : q.scale) s = 0.001f + 0.002f * static_cast<float>(pick(0, 1000)) / 1000;
  Tensor t(weight_dtype, std::move(shape));
  const int64_t low = weight_dtype == DType::s8 ? -127 : -128;  // packed: any byte
  for (size_t i = 0; i < t.bytes(); ++i)
    static_cast<int8_t*>(static_cast<void*>(t.data()))[i] = static_cast<int8_t>(pick(low, 127));
  return graph.add_constant(graph.unique_name("w"), std::move(t), std::make_shared<const QParams>(q));
}
ir::ValueId Net::bias(V x, V w, int64_t n) {
  if (!typed) return constant({n});
  const QParams &qx = *graph.value(x).type.qparams, &qw = *graph.value(w).type.qparams;
  QParams q{DType::s32, qw.scheme, qw.axis, 0, INT32_MIN, INT32_MAX, qw.scale, {}};
  for (float& s : q.scale) s *= qx.scale[0];
  Tensor t(DType::s32, {n});
  for (int32_t& v : t.as<int32_t>()) v = static_cast<int32_t>(pick(-20000, 20000));
  return graph.add_constant(graph.unique_name("b"), std::move(t), std::make_shared<const QParams>(q));
}
ir::ValueId Net::layer(const char* name, V x, Shape weight_shape, Attrs attrs, bool with_bias, bool per_channel) {
  const int64_t n = weight_shape[0];
  const V w = weight(std::move(weight_shape), per_channel);
  return op(name, {x, w, with_bias ? bias(x, w, n) : ir::kNone}, std::move(attrs));
}

ir::ValueId Net::conv2d(V x, const Conv& c) {
  using Ints = std::vector<int64_t>;
  return layer("aten.conv2d.default", x, {c.out, dim(x, 1) / c.groups, c.kernel, c.kernel},
               {{"stride", Ints{c.stride, c.stride}},
                {"padding", Ints{c.pad, c.pad}},
                {"dilation", Ints{c.dilation, c.dilation}},
                {"groups", c.groups}},
               c.bias, c.per_channel);
}
ir::ValueId Net::linear(V x, int64_t out, bool with_bias) {
  return layer("aten.linear.default", x, {out, graph.value(x).type.shape.back()}, {}, with_bias, true);
}
ir::ValueId Net::linear_dynamic(V x, int64_t out, bool with_bias) {
  typed = true;
  const V w = weight({out, graph.value(x).type.shape.back()}, true);
  typed = false;
  const char* schemes[] = {"affine", "symmetric", "token", "token_symmetric"};
  const Attrs attrs{{"scheme", std::string(schemes[pick(0, 3)])}, {"eps", pick(0, 1) == 0 ? 0x1p-23 : 0x1p-12}};
  return real("quoin.linear_dynamic.default", {x, w, with_bias ? constant({out}) : ir::kNone}, attrs);
}

}  // namespace quoin::cpu::testing
