#include "conform/workbench.hpp"

#include <algorithm>

#include "conform/compare.hpp"
#include "conform/forked.hpp"
#include "conform/random_graph.hpp"

namespace quoin::conform {
namespace {

constexpr float kInputs = 1.5f;  // beyond the calibration data, so that some integers saturate

std::vector<Tensor> pick(const std::map<ir::ValueId, Tensor>& values, const std::vector<ir::ValueId>& ids) {
  std::vector<Tensor> out;
  for (const ir::ValueId id : ids) out.push_back(values.at(id));
  return out;
}

Verdict over_jobs(const JobList& jobs, const std::function<std::string(const Job&)>& check, bool apart) {
  if (!jobs && jobs.error().code == Code::unsupported) return skipped(jobs.error().text());
  if (!jobs) return failed(jobs.error().text());
  for (const Job& job : **jobs) {
    const std::string fault = apart ? run_apart([&] { return check(job); }) : check(job);
    if (!fault.empty()) return failed(job.name + ": " + fault);
  }
  return passed();
}

}  // namespace

Result<std::map<ir::ValueId, Tensor>> compute(const ir::Graph& graph, const std::vector<Tensor>& inputs,
                                              const kernels::KernelSet& kernels, const quoin_host& host) {
  std::map<ir::ValueId, Tensor> values;
  for (ir::ValueId id = 0; id < graph.value_capacity(); ++id)
    if (graph.is_constant(id)) values.emplace(id, *graph.value(id).constant);
  QUOIN_TRY(auto interpreter, interpret::Interpreter::create(graph, kernels, host));
  const auto keep = [&](ir::ValueId id, const Tensor& tensor) -> Status {
    values.insert_or_assign(id, copy_of(tensor));
    return {};
  };
  QUOIN_CHECK(interpreter.run(inputs, keep));
  return values;
}

Result<std::shared_ptr<const Material>> make_material(const Form& how, const std::string& name, ir::Graph source,
                                                      const std::shared_ptr<host::Backend>& backend,
                                                      const quoin_host& host, uint64_t seed) {
  const auto where = [&](Error error) { return fail(in(how.name + "/" + name, std::move(error))); };
  auto formed = form(how, std::move(source), backend, host, seed);
  if (!formed) return where(formed.error());
  auto out = std::make_shared<Material>();
  out->name = how.name + "/" + name;
  out->graph = std::move(formed->graph);
  out->why_float = std::move(formed->why_float);
  Dice dice(static_cast<uint32_t>(seed) + 1);
  auto values = compute(out->graph, random_inputs(out->graph, dice, kInputs), kernels::KernelSet(), host);
  if (!values) return where(values.error());
  out->values = *std::move(values);
  return out;
}

Result<Jobs> make_jobs(const std::shared_ptr<const Material>& material, const std::shared_ptr<host::Backend>& backend,
                       uint64_t isa) {
  lower::Options options;
  options.order = {backend};
  options.isa = isa;
  const ir::Graph& graph = material->graph;
  QUOIN_TRY(lower::Partition partition, lower::partition(graph, options));
  Jobs out;
  out.reasons = std::move(partition.reasons);
  lower::NamedData named;
  for (lower::Claim& claim : partition.claims) {
    QUOIN_TRY(lower::Compiled compiled, lower::compile(graph, claim, options, named));
    Job job{fmt::format("{}, claim {} of {}", material->name, out.jobs.size() + 1, partition.claims.size()),
            material,
            std::move(claim),
            std::move(compiled),
            {},
            {}};
    job.inputs = pick(material->values, job.compiled.inputs);
    job.expected = pick(material->values, job.compiled.outputs);
    out.jobs.push_back(std::move(job));
  }
  return out;
}

bool is_conversion(const ir::Graph& graph, ir::NodeId id) {
  const std::string& op = graph.node(id).op();
  return op == "quoin.quantize.default" || op == "quoin.dequantize.default" || op == "quoin.requantize.default";
}

ir::Graph network(uint64_t seed) {
  Dice dice(static_cast<uint32_t>(seed));
  ir::Graph graph = random_graph(dice);
  graph.erase_dead();
  return graph.compact();
}

Result<std::shared_ptr<host::Backend>> Workbench::backend() {
  if (!backend_) backend_ = subject_.open();
  return *backend_;
}

// Adds the claims of one graph, the two largest of them.
Status Workbench::take(const Form& how, const std::string& name, ir::Graph graph, std::vector<Job>& jobs,
                       std::string& why_not) {
  QUOIN_TRY(const auto backend, this->backend());
  QUOIN_TRY(const auto material, make_material(how, name, std::move(graph), backend, host(), subject_.seed()));
  if (how.integer && !material->why_float.empty()) return {};
  QUOIN_TRY(Jobs made, make_jobs(material, backend, host().isa));
  for (const auto& [node, reasons] : made.reasons)
    if (!reasons.empty() && !is_conversion(material->graph, node)) why_not = reasons[0];
  std::ranges::stable_sort(made.jobs, std::greater(), [](const Job& job) { return job.claim.nodes.size(); });
  for (size_t i = 0; i < std::min<size_t>(made.jobs.size(), 2); ++i) jobs.push_back(std::move(made.jobs[i]));
  return {};
}

// Networks first; operators one by one only while that is not enough.
Status Workbench::collect(const Form& how, std::vector<Job>& jobs, std::string& why_not) {
  const size_t wanted = jobs.size() + (is_full() ? 12 : 4);
  for (uint64_t i = 0; i < 3 && jobs.size() < wanted; ++i)
    QUOIN_CHECK(take(how, fmt::format("network/{}", i), network(subject_.seed() * 1000 + i), jobs, why_not));
  for (const Family& family : families()) {
    if (jobs.size() >= wanted) break;
    const GridPoint point{&family, Variant(family.quick[0])};
    QUOIN_TRY(ir::Graph graph, build(point, subject_.seed()));
    QUOIN_CHECK(take(how, point.name(), std::move(graph), jobs, why_not));
  }
  return {};
}

Status Workbench::collect_large(const Form& how, std::vector<Job>& jobs, std::string& why_not) {
  constexpr std::pair<std::string_view, const char*> kLarge[] = {{"conv2d", "1x16x40x40 o32 k3 p1"},
                                                                 {"depthwise", "1x32x40x40 o32 k3 p1 g32"},
                                                                 {"linear", "300x128 o96"},
                                                                 {"add", "4x65537"},
                                                                 {"relu", "4x65537"},
                                                                 {"mean", "64x32x20x20 a2 b3"},
                                                                 {"transpose", "3x300x301"}};
  for (const auto& [name, variant] : kLarge) {
    const auto family = std::ranges::find(families(), name, [](const Family& f) { return std::string_view(f.name); });
    const GridPoint point{&*family, Variant(variant)};
    QUOIN_TRY(ir::Graph graph, build(point, subject_.seed()));
    QUOIN_CHECK(take(how, point.name(), std::move(graph), jobs, why_not));
  }
  return {};
}

JobList Workbench::made(List& list, Collect add) {
  const auto make = [&]() -> Status {
    std::string why_not = "gave no reason";
    QUOIN_TRY(const quoin_plugin* table, subject_.table());
    for (const Form& how : forms(*table)) QUOIN_CHECK((this->*add)(how, list.jobs, why_not));
    if (!list.jobs.empty()) return {};
    return fail(Code::unsupported, "the plugin claims no node of the generated graphs: {}", why_not);
  };
  if (!list.made) list.made = make();
  if (!*list.made) return fail(list.made->error());
  return &list.jobs;
}

JobList Workbench::jobs() { return made(small_, &Workbench::collect); }
JobList Workbench::large_jobs() { return made(large_, &Workbench::collect_large); }

Verdict for_each_job(const JobList& jobs, const std::function<std::string(const Job&)>& check) {
  return over_jobs(jobs, check, true);
}
Verdict for_each_job_here(const JobList& jobs, const std::function<std::string(const Job&)>& check) {
  return over_jobs(jobs, check, false);
}

}  // namespace quoin::conform
