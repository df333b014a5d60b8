#include "host/registry.hpp"

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/text.hpp"
#include "host/loader.hpp"
#include "host/search.hpp"

namespace quoin::host {
namespace {

// The same file reached twice (overlapping folders, links) is one candidate.
std::string canonical(const std::string& path) {
  std::error_code error;
  const auto real = std::filesystem::canonical(path, error);
  return error ? path : real.string();
}

}  // namespace

Registry Registry::discover(const SearchOptions& options, const Services& services) {
  Registry registry;
  registry.host_ = &services.table();
  registry.probe_ = options.probe;
  std::set<std::string> seen;
  for (const Folder& folder : search_folders(options.folders, options.environment, options.defaults)) {
    if (!folder.ignored.empty()) {
      registry.candidates_.push_back({folder.path, {}, folder.source, folder.ignored, Code::plugin});
      continue;
    }
    auto files = library_files(folder.path);
    if (!files && folder.expected) {
      registry.candidates_.push_back({folder.path, {}, folder.source, files.error().text(), files.error().code});
    }
    if (!files) continue;
    registry.searched_.push_back(folder.path);
    for (const std::string& path : *files) {
      if (seen.insert(canonical(path)).second) registry.consider(path, folder.source);
    }
  }
  return registry;
}

void Registry::consider(const std::string& path, const std::string& source) {
  Candidate candidate{path, {}, source, {}, Code::plugin};
  const auto ignore = [&](const Error& error) {
    candidate.ignored = error.text();
    candidate.code = error.code;
  };
  auto manifest = read_manifest(path);
  if (!manifest) {
    ignore(manifest.error());
  } else {
    candidate.manifest = std::move(*manifest);
    const auto first = std::find_if(candidates_.begin(), candidates_.end(), [&](const Candidate& other) {
      return other.ignored.empty() && other.manifest.name == candidate.manifest.name;
    });
    if (auto legal = check_manifest(candidate.manifest, *host_); !legal) {
      ignore(legal.error());
    } else if (first != candidates_.end()) {
      candidate.ignored = fmt::format("shadowed by {} of the same name in {}", first->manifest.version, first->path);
    }
  }
  candidates_.push_back(std::move(candidate));
}

std::vector<std::string> Registry::names() const {
  std::vector<std::string> names;
  for (const Candidate& candidate : candidates_) {
    if (candidate.ignored.empty()) names.push_back(candidate.manifest.name);
  }
  return names;
}

Result<std::shared_ptr<Backend>> Registry::open(const std::string& name) {
  const std::lock_guard lock(*mutex_);
  if (const auto found = opened_.find(name); found != opened_.end()) return found->second;
  const auto candidate = std::find_if(candidates_.begin(), candidates_.end(),
                                      [&](const Candidate& c) { return c.ignored.empty() && c.manifest.name == name; });
  if (candidate == candidates_.end()) return fail(not_usable(name));
  auto backend = load(*candidate);
  if (!backend) return fail(in(candidate->path, std::move(backend).error()));
  return opened_.emplace(name, std::move(*backend)).first->second;
}

Status Registry::trial(const Candidate& candidate) const {
  if (!probe_) return {};
  if (!probe_->helper.empty()) return probe(candidate.path, *host_, *probe_);
  const std::string text = "quoin-probe is not installed: " + candidate.path + " is opened without a trial process";
  host_->log(host_->self, QUOIN_LOG_WARN, {text.data(), text.size()});
  return {};
}

void Registry::try_out() {
  for (Candidate& candidate : candidates_) {
    if (!candidate.ignored.empty()) continue;
    if (auto status = trial(candidate); !status) {
      candidate.ignored = status.error().text();
      candidate.code = status.error().code;
    }
  }
}

Result<std::shared_ptr<Backend>> Registry::load(const Candidate& candidate) const {
  QUOIN_CHECK(trial(candidate));
  QUOIN_TRY(Library library, load_library(candidate.path, *host_));
  // Versions first: the rest of the table may only be read when they fit.
  QUOIN_CHECK(check_table(library.table, *host_));
  QUOIN_CHECK(compare_with_table(candidate.manifest, *library.table));
  return Backend::open(library.table, std::move(library.keep), *host_);
}

// Why no candidate of this name can be opened: its own reason if there is one, else what there is instead.
Error Registry::not_usable(const std::string& name) const {
  for (const Candidate& candidate : candidates_) {
    if (candidate.manifest.name != name) continue;
    return {
        candidate.code, fmt::format("plugin \"{}\" cannot be used: {}", name, candidate.ignored), candidate.path, {}};
  }
  const std::vector<std::string> usable = names();
  std::string what = fmt::format("plugin \"{}\" was not found", name);
  what += usable.empty() ? " (no usable plugin at all)" : " among " + join(usable, ", ");
  std::vector<std::string> hints;
  if (const std::string near = did_you_mean(name, usable); !near.empty()) hints.push_back(near);
  // A file of that name whose manifest could not be read is the likeliest culprit.
  for (const Candidate& candidate : candidates_) {
    const std::string file = std::filesystem::path(candidate.path).filename().string();
    if (candidate.manifest.name.empty() && (file.find(name) != std::string::npos || usable.empty())) {
      hints.push_back(fmt::format("{} was ignored: {}", candidate.path, candidate.ignored));
    }
  }
  constexpr size_t kMaxHints = 4;
  if (hints.size() > kMaxHints) hints.resize(kMaxHints);
  if (hints.empty()) hints.push_back("searched " + (searched_.empty() ? "no folder" : join(searched_, ", ")));
  return {Code::plugin, what, {}, join(hints, "; ")};
}

}  // namespace quoin::host
