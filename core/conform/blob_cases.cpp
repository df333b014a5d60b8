// Group 8: a blob comes from a file. Whatever its bytes are, the answer is a status.
#include <algorithm>
#include <cstring>

#include "conform/forked.hpp"
#include "conform/workbench.hpp"
#include "lower/buffer.hpp"

namespace quoin::conform {
namespace {

constexpr uint64_t kMemory = uint64_t{1} << 30;      // of address space for all trials of one process
constexpr uint64_t kMaxScratch = uint64_t{1} << 28;  // a host with less than that refuses the plan
constexpr size_t kHead = 256;                        // bytes whose every bit is tried in quick runs
constexpr size_t kBlobs = 2;                         // of a form, in full runs

// One changed blob.
struct Mutation {
  std::string what;  // "cut at byte 17"
  std::function<void(lower::Buffer&)> apply;
};

// Where a changed blob runs again and again.
class Bed {
 public:
  explicit Bed(const Job& job)
      : job_(job),
        buffers_(job.graph(), job.compiled, job.inputs, Buffers::cache_line),
        bytes_(job.compiled.delegate.blob.begin(), job.compiled.delegate.blob.end()) {}

  // "" or what is wrong; crashes and hangs are seen by the parent process.
  std::string try_one(const Mutation& mutation) {
    lower::Buffer blob = bytes_;
    mutation.apply(blob);
    Delegate delegate(*job_.claim.backend, job_.compiled.delegate, blob);
    if (!delegate.init().ok()) return known(delegate.init(), "init()");
    if (const Answer planned = delegate.plan(buffers_); !planned.ok()) return known(planned, "plan()");
    if (delegate.need().scratch > kMaxScratch) return {};
    if (!scratch_ || scratch_->size() != delegate.need().scratch || alignment_ != delegate.alignment()) {
      alignment_ = delegate.alignment();
      scratch_ = std::make_unique<GuardedMemory>(delegate.need().scratch, alignment_);
    }
    if (scratch_->data() == nullptr) return {};
    const Answer ran = delegate.run(buffers_, scratch_->data());
    if (!scratch_->intact()) return "run() writes behind its scratch memory";
    const std::string fault = buffers_.fault();
    // Shapes that plan() changed are refused by the runtime; what counts is the memory.
    if (!fault.empty() && fault.find("were written") != std::string::npos) return "run(): " + fault;
    return ran.ok() ? std::string() : known(ran, "run()");
  }

 private:
  static std::string known(const Answer& answer, const char* function) {
    return answer.status > QUOIN_INTERNAL || answer.status < 0 ? fmt::format("{} answers {}", function, answer.text())
                                                               : std::string();
  }
  const Job& job_;
  Buffers buffers_;
  lower::Buffer bytes_;
  std::unique_ptr<GuardedMemory> scratch_;  // of the last trial
  uint64_t alignment_ = 0;
};

Mutation cut(size_t size) {
  return {fmt::format("cut at byte {}", size), [=](auto& blob) { blob.resize(size); }};
}
Mutation flip(size_t byte, unsigned bit) {
  return {fmt::format("byte {}, bit {} flipped", byte, bit),
          [=](auto& blob) { blob[byte] ^= static_cast<std::byte>(1u << bit); }};
}

// Every size in full runs; else every one of the head, and others evenly.
std::vector<Mutation> truncations(const Job& job, Dice&, bool full) {
  const size_t size = job.compiled.delegate.blob.size(), step = full ? 1 : std::max<size_t>(1, size / 1500);
  std::vector<Mutation> out;
  for (size_t at = 0; at < size; at += at < kHead ? 1 : step) out.push_back(cut(at));
  return out;
}

std::vector<Mutation> bit_flips(const Job& job, Dice& dice, bool full) {
  const size_t size = job.compiled.delegate.blob.size(), head = full ? size : std::min(size, kHead);
  std::vector<Mutation> out;
  for (size_t byte = 0; byte < head; ++byte)
    for (unsigned bit = 0; bit < 8; ++bit) out.push_back(flip(byte, bit));
  for (size_t i = 0; head < size && i < 1500; ++i)
    out.push_back(flip(head + dice.below(size - head), static_cast<unsigned>(dice.below(8))));
  return out;
}

// Words of 4 bytes set to numbers at the edges of ranges, where sizes and offsets live.
std::vector<Mutation> words(const Job& job, Dice& dice, bool full) {
  const size_t count = job.compiled.delegate.blob.size() / 4;
  std::vector<Mutation> out;
  for (size_t i = 0; count != 0 && i < (full ? 50000u : 1500u); ++i) {
    const size_t word = i % 2 == 0 ? dice.below(std::min<size_t>(count, 512)) : dice.below(count);
    const auto value = dice.of<uint32_t>({0, 1, 2, 7, 63, 64, 255, 4096, 0x7fffffff, 0x80000000, 0xffffffff});
    out.push_back({fmt::format("word at byte {} set to {}", word * 4, value),
                   [=](auto& blob) { std::memcpy(blob.data() + word * 4, &value, sizeof value); }});
  }
  return out;
}

std::vector<Mutation> random_bytes(const Job& job, Dice& dice, bool full) {
  const size_t size = job.compiled.delegate.blob.size();
  std::vector<Mutation> out;
  for (size_t i = 0; i < (full ? 20000u : 500u); ++i) {
    const auto seed = static_cast<uint32_t>(dice.below(UINT32_MAX));
    const size_t keep = i % 3 == 0 ? 0 : dice.below(std::min(size, kHead) + 1);  // a head that looks right
    out.push_back({fmt::format("random bytes from byte {} on, number {}", keep, i), [=](auto& blob) {
                     Dice own(seed);
                     for (size_t at = keep; at < blob.size(); ++at) blob[at] = static_cast<std::byte>(own.below(256));
                   }});
  }
  out.push_back({"bytes behind the end", [](auto& blob) { blob.resize(blob.size() + 64); }});
  return out;
}

using Mutate = std::vector<Mutation> (*)(const Job&, Dice&, bool full);

std::string attack(const Job& job, Mutate mutate, Dice& dice, bool full) {
  const std::vector<Mutation> mutations = mutate(job, dice, full);
  std::unique_ptr<Bed> bed;  // one per process
  const auto faults = run_trials(mutations.size(), {std::chrono::seconds(3), kMemory, 3}, [&](size_t i) {
    if (!bed) bed = std::make_unique<Bed>(job);
    return bed->try_one(mutations[i]);
  });
  std::string out;
  for (const TrialFault& fault : faults)
    out += fmt::format("{}{}: {}", out.empty() ? "" : "; ", mutations[fault.trial].what, fault.what);
  return out;
}

// Blobs of one form, small ones: most of their bytes mean something.
Verdict check(Workbench& bench, const Form& how, Mutate mutate) {
  const auto jobs = bench.jobs();
  if (!jobs) return jobs.error().code == Code::unsupported ? skipped(jobs.error().text()) : failed(jobs.error().text());
  std::vector<const Job*> chosen;
  for (const Job& job : **jobs)
    if (job.name.starts_with(how.name + "/") && chosen.size() < (bench.is_full() ? kBlobs : 1)) chosen.push_back(&job);
  if (chosen.empty()) return skipped("the plugin claims no generated graph of this form");
  Dice dice(static_cast<uint32_t>(bench.subject().seed()));
  for (const Job* job : chosen)
    if (const std::string fault = attack(*job, mutate, dice, bench.is_full()); !fault.empty())
      return failed(fmt::format("{} ({} bytes): {}", job->name, job->compiled.delegate.blob.size(), fault));
  return passed();
}

}  // namespace

std::vector<Case> blob_cases(const Subject& subject) {
  const auto table = subject.table();
  if (!table) return cannot_load(table.error());
  if ((*table)->executor == nullptr) return {{"executor", [] { return skipped("the plugin has no executor"); }}};
  if ((*table)->compiler == nullptr)
    return {{"compiler", [] { return skipped("the plugin has no compiler that would make blobs"); }}};
  const auto bench = std::make_shared<Workbench>(subject);
  std::vector<Case> out;
  const std::pair<const char*, Mutate> kinds[] = {
      {"truncations", truncations}, {"bit-flips", bit_flips}, {"words", words}, {"random-bytes", random_bytes}};
  for (const Form& how : forms(**table))
    for (const auto& [name, mutate] : kinds)
      out.push_back({how.name + "/" + name, [bench, how, mutate = mutate] { return check(*bench, how, mutate); }});
  return out;
}

}  // namespace quoin::conform
