// What the groups about compilers, executors and kernels work on: generated graphs, what portable kernels compute on
// them, and the blobs that the plugin makes of them.
#pragma once

#include <map>
#include <memory>
#include <optional>

#include "conform/delegate.hpp"
#include "conform/form.hpp"
#include "conform/grid.hpp"
#include "interpret/interpreter.hpp"

namespace quoin::conform {

// A formed graph and every value of one run on portable kernels.
struct Material {
  std::string name;  // "int8-static/conv2d/1x3x7x7 k3 s2 p1"
  ir::Graph graph;
  std::string why_float;  // see Formed
  std::map<ir::ValueId, Tensor> values;
};
// Errors: those of form() and of the interpreter.
Result<std::shared_ptr<const Material>> make_material(const Form& how, const std::string& name, ir::Graph source,
                                                      const std::shared_ptr<host::Backend>& backend,
                                                      const quoin_host& host, uint64_t seed);

// Every value of a run with the inputs that `values` holds. Errors: those of the interpreter.
Result<std::map<ir::ValueId, Tensor>> compute(const ir::Graph& graph, const std::vector<Tensor>& inputs,
                                              const kernels::KernelSet& kernels, const quoin_host& host);

// One claim, compiled, with its inputs and the results that portable kernels have for them.
struct Job {
  std::string name;  // of the material, and which claim
  std::shared_ptr<const Material> material;
  lower::Claim claim;
  lower::Compiled compiled;
  std::vector<Tensor> inputs, expected;

  const ir::Graph& graph() const { return material->graph; }
};
struct Jobs {
  std::vector<Job> jobs;
  std::map<ir::NodeId, std::vector<std::string>> reasons;  // why nodes were not claimed
};
// Partition and compile for `isa`. Errors (plugin): those of both.
Result<Jobs> make_jobs(const std::shared_ptr<const Material>& material, const std::shared_ptr<host::Backend>& backend,
                       uint64_t isa);

// Whether `id` converts between forms: quoin.quantize, dequantize, requantize.
bool is_conversion(const ir::Graph& graph, ir::NodeId id);

// A random network of the given number.
ir::Graph network(uint64_t seed);

// Shared by the cases of one group; everything is made on first use.
class Workbench {
 public:
  explicit Workbench(const Subject& subject) : subject_(subject) {}
  const Subject& subject() const { return subject_; }
  const quoin_host& host() const { return subject_.services().table(); }
  bool is_full() const { return subject_.profile() == Profile::full; }
  // Opened once with the ordinary host. Errors: those of Subject::open.
  Result<std::shared_ptr<host::Backend>> backend();
  // A few claims of every form, from networks and single operators. Errors: those of make_material and make_jobs;
  // unsupported, with the plugin's reason: it claims no node of them.
  Result<const std::vector<Job>*> jobs();
  // One claim of every form and of each of a few operators on large tensors, which a plugin shares out among threads.
  // Errors: as jobs().
  Result<const std::vector<Job>*> large_jobs();

 private:
  // A list that is made once.
  struct List {
    std::optional<Status> made;
    std::vector<Job> jobs;
  };
  using Collect = Status (Workbench::*)(const Form&, std::vector<Job>&, std::string& why_not);
  Result<const std::vector<Job>*> made(List& list, Collect add);
  Status collect(const Form& how, std::vector<Job>& jobs, std::string& why_not);
  Status collect_large(const Form& how, std::vector<Job>& jobs, std::string& why_not);
  Status take(const Form& how, const std::string& name, ir::Graph graph, std::vector<Job>& jobs, std::string& why_not);
  const Subject& subject_;
  std::optional<Result<std::shared_ptr<host::Backend>>> backend_;
  List small_, large_;
};

using JobList = Result<const std::vector<Job>*>;
// `check` on every job, each in a process apart: a crash is a failure that names the job. `jobs` is what a workbench
// answers; skipped when the plugin claims nothing.
Verdict for_each_job(const JobList& jobs, const std::function<std::string(const Job&)>& check);
// As above, in this process.
Verdict for_each_job_here(const JobList& jobs, const std::function<std::string(const Job&)>& check);

}  // namespace quoin::conform
