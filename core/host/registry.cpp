#include "host/registry.hpp"

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/text.hpp"
#include "host/digest.hpp"
#include "host/search.hpp"

namespace quoin::host {
namespace {

// The same file reached twice (overlapping folders, links) is one candidate.
std::string canonical(const std::string& path) {
  std::error_code error;
  const auto real = std::filesystem::canonical(path, error);
  return error ? path : real.string();
}

// Under a list, only files whose content is in it; a file that finds other files through $ORIGIN is not covered by it.
Status check_listed(const PluginFile& file, const std::optional<Digests>& listed) {
  if (!listed) return {};
  QUOIN_TRY(const std::string digest, sha256(file));
  if (listed->count(digest) == 0)
    return fail(Code::plugin, "it is not listed; its SHA-256 is {}", digest)
        .hint("if you trust it, add the digest to plugins.sha256");
  QUOIN_TRY(const bool own_folder, file.uses_own_folder());
  if (!own_folder) return {};
  return fail(Code::plugin,
              "it looks for libraries in its own folder ($ORIGIN), whose content no list of digests covers")
      .hint("link them into the plugin, or use policy: any");
}

}  // namespace

Registry Registry::discover(const SearchOptions& options, const Services& services) {
  Registry registry;
  registry.host_ = &services.table();
  registry.probe_ = options.probe;
  registry.listed_ = options.listed;
  registry.params_ = options.params;
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
  Candidate& candidate = candidates_.emplace_back(Candidate{path, {}, source, {}, Code::plugin});
  const auto check = [&]() -> Status {
    QUOIN_TRY(const PluginFile file, PluginFile::open(path));
    QUOIN_TRY(candidate.manifest, read_manifest(file));
    QUOIN_CHECK(check_manifest(candidate.manifest, *host_));
    return check_listed(file, listed_);
  };
  if (const Status fine = check(); !fine) {
    candidate.ignored = fine.error().text();
    candidate.code = fine.error().code;
    return;
  }
  const auto first = std::find_if(candidates_.begin(), candidates_.end(), [&](const Candidate& other) {
    return other.ignored.empty() && other.manifest.name == candidate.manifest.name;
  });
  if (&*first != &candidate)
    candidate.ignored = fmt::format("shadowed by {} of the same name in {}", first->manifest.version, first->path);
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
  if (const auto found = opened_.find(name); found != opened_.end()) return found->second.backend;
  const auto candidate = std::find_if(candidates_.begin(), candidates_.end(),
                                      [&](const Candidate& c) { return c.ignored.empty() && c.manifest.name == name; });
  if (candidate == candidates_.end()) return fail(not_usable(name));
  auto library = load(*candidate);
  if (!library) return std::move(library).failure().at("{}", candidate->path);
  quoin_array params{};
  if (params_) {  // its errors are about what the caller gave, not about the file
    QUOIN_TRY(params, params_(*library->table));
  }
  auto backend = Backend::open(library->table, library->keep, *host_, params);
  if (!backend) return std::move(backend).failure().at("{}", candidate->path);
  return opened_.emplace(name, Opened{*std::move(library), *std::move(backend)}).first->second.backend;
}

Status Registry::unload(const std::string& name) {
  const std::lock_guard lock(*mutex_);
  const auto found = opened_.find(name);
  if (found == opened_.end()) return fail(Code::plugin, "plugin \"{}\" is not open", name);
  std::shared_ptr<Backend>& backend = found->second.backend;
  // Whoever holds the backend could copy it at any time; when we are the last, nobody can.
  if (const long others = backend.use_count() - 1; others != 0) {
    const std::string census = backend->census();
    return fail(Code::plugin, "plugin \"{}\" is in use by {} object(s){}", name, others,
                census.empty() ? "" : ", among them " + census)
        .hint("destroy them first");
  }
  Library library = std::move(found->second.library);
  backend.reset();
  opened_.erase(found);
  QUOIN_CHECK_AT(unload_library(std::move(library)), "plugin \"{}\"", name);
  return {};
}

// The bytes that are loaded: of the open file, or of a copy that stays what its digest says.
Result<PluginFile> Registry::file_of(const Candidate& candidate) const {
  QUOIN_TRY(PluginFile file, PluginFile::open(candidate.path));
  if (!listed_) return file;
  QUOIN_TRY(PluginFile copy, file.sealed());
  QUOIN_CHECK(check_listed(copy, listed_));
  return copy;
}

Status Registry::trial(const PluginFile& file) const {
  if (!probe_) return {};
  if (!probe_->helper.empty()) return probe(file, *host_, *probe_);
  const std::string text = "quoin-probe is not installed: " + file.path() + " is opened without a trial process";
  host_->log(host_->self, QUOIN_LOG_WARN, {text.data(), text.size()});
  return {};
}

void Registry::try_out() {
  for (Candidate& candidate : candidates_) {
    if (!candidate.ignored.empty()) continue;
    const auto status = file_of(candidate).and_then([&](const PluginFile& file) { return trial(file); });
    if (status) continue;
    candidate.ignored = status.error().text();
    candidate.code = status.error().code;
  }
}

Result<Library> Registry::load(const Candidate& candidate) const {
  QUOIN_TRY(PluginFile file, file_of(candidate));
  QUOIN_TRY(const Manifest manifest, read_manifest(file));
  QUOIN_CHECK(check_manifest(manifest, *host_));
  if (manifest.name != candidate.manifest.name)
    return fail(Code::plugin, "it was plugin \"{}\" when it was found, now it is \"{}\"", candidate.manifest.name,
                manifest.name);
  QUOIN_CHECK(trial(file));
  QUOIN_TRY(Library library, load_library(std::move(file), *host_));
  // Versions first: the rest of the table may only be read when they fit.
  QUOIN_CHECK(check_table(library.table, *host_));
  QUOIN_CHECK(compare_with_table(manifest, *library.table));
  return library;
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
