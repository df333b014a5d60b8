// Group 7: compile() depends on its arguments only, and keeps nothing of them.
#include <cstring>

#include "conform/compare.hpp"
#include "conform/graph_copy.hpp"
#include "conform/workbench.hpp"
#include "host/call_result.hpp"
#include "ir/snapshot.hpp"
#include "lower/buffer.hpp"

namespace quoin::conform {
namespace {

bool equal(std::span<const std::byte> a, std::span<const std::byte> b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
}

// "" or what of two compilations differs.
std::string difference(const program::Delegate& a, const program::Delegate& b) {
  if (a.isa != b.isa) return "the instruction sets that the blob needs differ";
  if (!equal(a.blob, b.blob)) {
    size_t at = 0;
    while (at < std::min(a.blob.size(), b.blob.size()) && a.blob[at] == b.blob[at]) ++at;
    return fmt::format("the blobs ({} and {} bytes) differ from byte {} on", a.blob.size(), b.blob.size(), at);
  }
  if (a.named.size() != b.named.size()) return "one writes more named data than the other";
  for (const auto& [key, bytes] : a.named) {
    const auto other = b.named.find(key);
    if (other == b.named.end()) return fmt::format("only one writes data named {}", key);
    if (!equal(bytes, other->second)) return fmt::format("the data named {} differs", key);
  }
  return {};
}

// Compiles the claim of a job again. Error texts as they come.
std::string compile_again(const Job& job, const std::shared_ptr<host::Backend>& backend, uint64_t isa,
                          lower::Compiled& out) {
  lower::Claim claim = job.claim;
  claim.backend = backend;
  lower::Options options;
  options.isa = isa;
  lower::NamedData named;
  auto compiled = lower::compile(job.graph(), claim, options, named);
  if (!compiled) return compiled.error().text();
  out = *std::move(compiled);
  return {};
}

std::string is_deterministic(Workbench& bench, const Job& job) {
  lower::Compiled again;
  const std::string fault = compile_again(job, job.claim.backend, bench.host().isa, again);
  return fault.empty() ? difference(job.compiled.delegate, again.delegate) : fault;
}

std::string is_equal_elsewhere(Workbench& bench, const Job& job) {
  const auto other = bench.subject().open();
  if (!other) return other.error().text();
  lower::Compiled again;
  const std::string fault = compile_again(job, *other, bench.host().isa, again);
  return fault.empty() ? difference(job.compiled.delegate, again.delegate) : fault;
}

std::string runs(const Job& job, const lower::Compiled& compiled, const host::Backend& backend) {
  const auto first = run_once(*job.claim.backend, job.graph(), job.compiled, job.inputs);
  if (!first) return first.error().text();
  const auto results = run_once(backend, job.graph(), compiled, job.inputs);
  if (!results) return results.error().text();
  for (size_t i = 0; i < results->size(); ++i)
    if (!same_bytes((*first)[i], (*results)[i])) return fmt::format("output {} of a second run differs", i);
  return {};
}

// Another backend than the one that compiled runs the blob: what compile() left in memory does not count.
std::string needs_only_the_blob(Workbench& bench, const Job& job) {
  const auto other = bench.subject().open();
  return other ? runs(job, job.compiled, **other) : other.error().text();
}

// What a plugin writes, kept as the lowering keeps it.
struct Writer {
  lower::Buffer blob;
  std::map<std::string, lower::Buffer> named;
  std::string fault;
  uint64_t isa = 0;

  quoin_status write(quoin_bytes chunk) {
    const auto* bytes = static_cast<const std::byte*>(chunk.data);
    blob.insert(blob.end(), bytes, bytes + chunk.size);
    return QUOIN_OK;
  }
  quoin_status name(quoin_str key, quoin_bytes data, uint64_t alignment) {
    if (alignment == 0 || alignment > 64 || (alignment & (alignment - 1)) != 0)
      fault = fmt::format("named data with an alignment of {}", alignment);
    const auto* bytes = static_cast<const std::byte*>(data.data);
    const lower::Buffer copy(bytes, bytes + data.size);
    const auto [at, is_new] = named.emplace(std::string(key.data, key.size), copy);
    if (!is_new && at->second != copy) fault = fmt::format("other bytes under the known key {}", at->first);
    return QUOIN_OK;
  }
  quoin_blob_writer table() {
    return {sizeof(quoin_blob_writer),
            0,
            this,
            [](void* self, quoin_bytes chunk) { return static_cast<Writer*>(self)->write(chunk); },
            [](void* self, quoin_str key, quoin_bytes data, uint64_t alignment) {
              return static_cast<Writer*>(self)->name(key, data, alignment);
            },
            [](void* self, uint64_t needed) { static_cast<Writer*>(self)->isa |= needed; }};
  }
  program::Delegate delegate(const program::Delegate& like) const {
    program::Delegate out = like;
    out.blob = blob;
    out.isa = isa;
    out.named.clear();
    for (const auto& [key, bytes] : named) out.named[key] = bytes;
    return out;
  }
};

// The request lies in memory that is gone before init(). A plugin that reads it again crashes, apart from the kit.
std::string keeps_no_pointer(Workbench& bench, const Job& job) {
  const auto backend = bench.subject().open();
  if (!backend) return backend.error().text();
  const ir::Snapshot snapshot = ir::Snapshot::of(job.graph(), job.claim.nodes);
  const GraphCopy graph(*snapshot.view());
  Arena arena;
  const quoin_lower_request request{sizeof request, 0, graph.view(), {}, bench.host().isa};
  const quoin_lower_request* lent = arena.copy(&request, 1);
  Writer writer;
  const quoin_blob_writer table = writer.table();
  auto called = host::call((*backend)->name(), [&](quoin_error* error) {
    return (*backend)->table().compiler->compile((*backend)->handle(), lent, arena.copy(&table, 1), error);
  });
  if (!called.ok()) return called.done.error().text();
  if (!writer.fault.empty()) return writer.fault;
  graph.forbid();
  arena.forbid();
  lower::Compiled compiled = job.compiled;
  compiled.delegate = writer.delegate(job.compiled.delegate);
  if (std::string other = difference(job.compiled.delegate, compiled.delegate); !other.empty()) return other;
  return runs(job, compiled, **backend);
}

}  // namespace

std::vector<Case> compile_cases(const Subject& subject) {
  const auto table = subject.table();
  if (!table) return cannot_load(table.error());
  if ((*table)->compiler == nullptr) return {{"compiler", [] { return skipped("the plugin has no compiler"); }}};
  const auto bench = std::make_shared<Workbench>(subject);
  const bool executes = (*table)->executor != nullptr;
  std::vector<Case> out;
  const auto add = [&](const char* name, bool needs_executor, std::string (*property)(Workbench&, const Job&)) {
    if (needs_executor && !executes) {
      out.push_back({name, [] { return skipped("the plugin has no executor"); }});
      return;
    }
    out.push_back({name, [bench, property] {
                     return for_each_job(bench->jobs(), [&](const Job& job) { return property(*bench, job); });
                   }});
  };
  add("deterministic", false, is_deterministic);
  add("deterministic-elsewhere", false, is_equal_elsewhere);
  add("self-contained", true, needs_only_the_blob);
  add("borrowed-memory", true, keeps_no_pointer);
  return out;
}

}  // namespace quoin::conform
