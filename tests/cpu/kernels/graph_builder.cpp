#include "graph_builder.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace quoin::cpu::test {
namespace {

constexpr uint32_t kWorkers = 2;

int64_t count_of(const std::vector<int64_t>& dims) {
  return std::accumulate(dims.begin(), dims.end(), int64_t{1}, std::multiplies<>());
}
quoin_str view(const std::string& s) { return {s.data(), s.size()}; }

}  // namespace

quoin_host inline_host(uint64_t isa) {
  quoin_host host{};
  host.struct_size = sizeof host, host.abi_major = QUOIN_ABI_MAJOR, host.isa = isa;
  host.workers = [](void*) { return kWorkers; };
  host.parallel_for = [](void*, uint64_t count, uint64_t grain, quoin_range_fn fn, void* ctx) {
    const uint64_t step = std::max<uint64_t>(grain, (count + 7) / 8);
    uint32_t worker = 0;
    for (uint64_t begin = 0; begin < count; begin += step)
      fn(ctx, begin, std::min(begin + step, count), worker++ % kWorkers);
  };
  return host;
}

OneNode& OneNode::input(std::vector<int64_t> dims, std::vector<float> data, bool constant) {
  inputs_.push_back({std::move(dims), std::move(data), constant, true});
  return *this;
}
OneNode& OneNode::absent() {
  inputs_.push_back({{}, {}, false, false});
  return *this;
}
OneNode& OneNode::ints(std::string name, std::vector<int64_t> value) {
  attributes_.push_back(std::make_unique<Attribute>());
  Attribute& a = *attributes_.back();
  a.name = std::move(name), a.kind = QUOIN_PARAM_INT, a.ints = std::move(value);
  return *this;
}
OneNode& OneNode::number(std::string name, double value) {
  attributes_.push_back(std::make_unique<Attribute>());
  Attribute& a = *attributes_.back();
  a.name = std::move(name), a.kind = QUOIN_PARAM_FLOAT, a.number = value;
  return *this;
}
OneNode& OneNode::text(std::string name, std::string value) {
  attributes_.push_back(std::make_unique<Attribute>());
  Attribute& a = *attributes_.back();
  a.name = std::move(name), a.kind = QUOIN_PARAM_STR, a.text = std::move(value);
  a.view = view(a.text);
  return *this;
}
OneNode& OneNode::output(std::vector<int64_t> dims) {
  out_dims_ = std::move(dims);
  return *this;
}

void OneNode::build() {
  values_.clear(), params_.clear(), ids_.clear();
  for (const Operand& o : inputs_) {
    ids_.push_back(o.present ? static_cast<uint32_t>(values_.size()) : QUOIN_NONE);
    if (!o.present) continue;
    quoin_value v{};
    v.dtype = QUOIN_F32, v.rank = static_cast<uint32_t>(o.dims.size()), v.dims = o.dims.data(), v.producer = QUOIN_NONE;
    if (o.constant) v.constant = {o.data.data(), o.data.size() * sizeof(float)};
    values_.push_back(v);
  }
  quoin_value out{};
  out.dtype = QUOIN_F32, out.rank = static_cast<uint32_t>(out_dims_.size()), out.dims = out_dims_.data();
  out_id_ = static_cast<uint32_t>(values_.size());
  values_.push_back(out);
  for (const auto& a : attributes_) {
    const void* data = a->kind == QUOIN_PARAM_INT     ? static_cast<const void*>(a->ints.data())
                       : a->kind == QUOIN_PARAM_FLOAT ? static_cast<const void*>(&a->number)
                                                      : static_cast<const void*>(&a->view);
    const uint32_t count = a->kind == QUOIN_PARAM_INT ? static_cast<uint32_t>(a->ints.size()) : 1;
    params_.push_back({view(a->name), a->kind, count, data});
  }
  node_.op = view(op_), node_.op_version = 1;
  node_.num_inputs = static_cast<uint32_t>(ids_.size()), node_.inputs = ids_.data();
  node_.num_outputs = 1, node_.outputs = &out_id_;
  node_.attrs = {params_.data(), static_cast<uint32_t>(params_.size()), sizeof(quoin_param)};
  graph_.struct_size = sizeof graph_;
  graph_.values = {values_.data(), static_cast<uint32_t>(values_.size()), sizeof(quoin_value)};
  graph_.nodes = {&node_, 1, sizeof(quoin_node)};
}

OneNode::Prepared::Prepared(OneNode& node, uint64_t isa) : host_(inline_host(isa)) {
  node.build();
  for (const quoin_kernel& k : operator_kernels())
    if (node.op_ == k.op && k.accepts(&node.graph_, 0) >= 0) kernel_ = &k;
  if (kernel_ == nullptr) return;
  quoin_memory_need need{};
  need.struct_size = sizeof need;
  quoin_error error{};
  error.struct_size = sizeof error;
  EXPECT_EQ(kernel_->prepare(&host_, &node.graph_, 0, &state_, &need, &error), QUOIN_OK) << error.message;
  scratch_.resize(need.scratch + 64);
  for (Operand& o : node.inputs_)
    inputs_.push_back({QUOIN_F32, static_cast<uint32_t>(o.dims.size()), o.dims.data(),
                       o.present ? o.data.data() : nullptr, o.data.size() * sizeof(float), nullptr});
  result_.resize(static_cast<size_t>(count_of(node.out_dims_)));
  output_ = {QUOIN_F32,
             static_cast<uint32_t>(node.out_dims_.size()),
             node.out_dims_.data(),
             result_.data(),
             result_.size() * sizeof(float),
             nullptr};
}

OneNode::Prepared::~Prepared() {
  if (kernel_ != nullptr) kernel_->release(&host_, state_);
}

const std::vector<float>& OneNode::Prepared::run() {
  quoin_run run{};
  run.struct_size = sizeof run;
  run.inputs = {inputs_.data(), static_cast<uint32_t>(inputs_.size()), sizeof(quoin_tensor)};
  run.outputs = {&output_, 1, sizeof(quoin_tensor)};
  run.scratch = scratch_.data() + (64 - reinterpret_cast<uintptr_t>(scratch_.data()) % 64) % 64;
  run.scratch_size = scratch_.size() - 64;
  quoin_error error{};
  error.struct_size = sizeof error;
  EXPECT_EQ(kernel_->run(&host_, state_, &run, &error), QUOIN_OK) << error.message;
  return result_;
}

}  // namespace quoin::cpu::test
