// Group 10: run() uses the memory that plan() asked for, and no more.
#include <cstring>

#include "conform/compare.hpp"
#include "conform/workbench.hpp"

namespace quoin::conform {
namespace {

// How one run is set up.
struct Setting {
  Buffers::Align align = Buffers::cache_line;
  int scratch = 0, outputs = 0;  // what every byte is before the run
  bool protect = false;          // inputs, blob and named data may only be read
};

// A copy of a blob and its named data in pages that can be protected.
class GuardedBlob {
 public:
  explicit GuardedBlob(const program::Delegate& source) : delegate_(source) {
    delegate_.blob = place(source.blob);
    for (auto& [key, bytes] : delegate_.named) bytes = place(bytes);
  }
  const program::Delegate& delegate() const { return delegate_; }
  void protect() const {
    for (const GuardedMemory& block : blocks_) block.read_only();
  }

 private:
  std::span<const std::byte> place(std::span<const std::byte> bytes) {
    const GuardedMemory& block = blocks_.emplace_back(bytes.size(), 64);
    if (!bytes.empty()) std::memcpy(block.data(), bytes.data(), bytes.size());
    return {static_cast<const std::byte*>(block.data()), bytes.size()};
  }
  program::Delegate delegate_;
  std::vector<GuardedMemory> blocks_;
};

// Runs twice with these settings. The text is what went wrong, or "".
std::string run_in(const Job& job, const Setting& setting, std::vector<Tensor>& results) {
  const GuardedBlob blob(job.compiled.delegate);
  if (setting.protect) blob.protect();
  Delegate delegate(*job.claim.backend, blob.delegate());
  if (!delegate.init().ok()) return "init() answers " + delegate.init().text();
  Buffers buffers(job.graph(), job.compiled, job.inputs, setting.align);
  if (const Answer planned = delegate.plan(buffers); !planned.ok()) return "plan() answers " + planned.text();
  const GuardedMemory scratch(delegate.need().scratch, delegate.alignment());
  if (scratch.data() == nullptr) return fmt::format("no memory for {} bytes of scratch", delegate.need().scratch);
  if (setting.protect) buffers.protect_inputs();
  for (int turn = 0; turn < 2; ++turn) {
    if (scratch.size() != 0) std::memset(scratch.data(), setting.scratch, scratch.size());
    buffers.fill_outputs(setting.outputs);
    if (const Answer ran = delegate.run(buffers, scratch.data()); !ran.ok()) return "run() answers " + ran.text();
    if (!scratch.intact()) return "bytes behind the end of the scratch memory were written";
    if (std::string fault = buffers.fault(); !fault.empty()) return fault;
  }
  results = buffers.results();
  return {};
}

std::string stays_inside(const Job& job) {
  std::vector<Tensor> results;
  return run_in(job, {}, results);
}

// 0x7f makes huge floats and the largest integers, 0xff NaN and -1.
std::string ignores_contents(const Job& job) {
  std::vector<Tensor> zeros, ones, others;
  for (const auto& [setting, results] : {std::pair{Setting{Buffers::cache_line, 0, 0, false}, &zeros},
                                         {Setting{Buffers::cache_line, 0xff, 0x7f, false}, &ones},
                                         {Setting{Buffers::cache_line, 0x7f, 0xff, false}, &others}})
    if (std::string fault = run_in(job, setting, *results); !fault.empty()) return fault;
  for (size_t i = 0; i < zeros.size(); ++i)
    if (!same_bytes(zeros[i], ones[i]) || !same_bytes(zeros[i], others[i]))
      return fmt::format("output {} depends on what the scratch memory or the outputs held before", i);
  return {};
}

std::string leaves_inputs(const Job& job) {
  std::vector<Tensor> results;
  return run_in(job, {Buffers::cache_line, 0, 0, true}, results);
}

std::string bears_any_alignment(const Job& job) {
  std::vector<Tensor> aligned, odd;
  if (std::string fault = run_in(job, {Buffers::cache_line, 0, 0, false}, aligned); !fault.empty()) return fault;
  if (std::string fault = run_in(job, {Buffers::element, 0, 0, false}, odd); !fault.empty()) return fault;
  for (size_t i = 0; i < aligned.size(); ++i)
    if (!same_bytes(aligned[i], odd[i])) return fmt::format("output {} depends on where the tensors lie", i);
  return {};
}

}  // namespace

std::vector<Case> workspace_cases(const Subject& subject) {
  const auto table = subject.table();
  if (!table) return cannot_load(table.error());
  if ((*table)->executor == nullptr || (*table)->compiler == nullptr)
    return {{"executor", [] { return skipped("the plugin has no compiler and executor"); }}};
  const auto bench = std::make_shared<Workbench>(subject);
  std::vector<Case> out;
  const std::pair<const char*, std::string (*)(const Job&)> properties[] = {{"scratch-size", stays_inside},
                                                                            {"contents", ignores_contents},
                                                                            {"read-only", leaves_inputs},
                                                                            {"alignment", bears_any_alignment}};
  for (const auto& [name, property] : properties)
    out.push_back({name, [bench, property = property] { return for_each_job(bench->jobs(), property); }});
  return out;
}

}  // namespace quoin::conform
