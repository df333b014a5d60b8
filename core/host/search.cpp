#include "host/search.hpp"

#include <sys/auxv.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "base/text.hpp"

namespace quoin::host {
namespace {

namespace fs = std::filesystem;
using std::error_code;

constexpr size_t kMaxEntries = 4096;  // per folder
constexpr int kMaxDepth = 4;          // executables lie at most this deep in a build tree

void add_environment(std::vector<Folder>& folders) {
  const char* paths = std::getenv("QUOIN_PLUGIN_PATH");
  if (paths == nullptr || *paths == '\0') return;
  const std::string source = "QUOIN_PLUGIN_PATH";
  // A program with more rights than its caller must not load what the caller points at.
  if (getauxval(AT_SECURE) != 0) {
    folders.push_back(
        {paths, source, true, "the process runs with more rights than its user, so the variable does not count"});
    return;
  }
  for (const std::string& path : split(paths, ':')) {
    if (path.empty()) continue;
    const bool absolute = path.front() == '/';
    folders.push_back({path, source, true, absolute ? "" : "the variable takes absolute paths only"});
  }
}

// The build folder that this executable lies in, wherever it is now; empty for an installed one.
fs::path build_root(const fs::path& executable) {
  fs::path folder = executable.parent_path();
  error_code ignore;
  for (int depth = 0; depth < kMaxDepth && folder.has_relative_path(); ++depth, folder = folder.parent_path())
    if (fs::is_directory(folder / "meson-private", ignore)) return folder;
  return {};
}

fs::path this_executable() {
  error_code unknown;
  return fs::read_symlink("/proc/self/exe", unknown);
}

void add_defaults(std::vector<Folder>& folders) {
  if (const fs::path executable = this_executable(); !executable.empty()) {
    if (const fs::path root = build_root(executable); !root.empty())
      folders.push_back({(root / "plugins").string(), "build tree", false, {}});
    // prefix/bin/quoin finds prefix/lib/..., so an installation may be moved as a whole.
    const fs::path moved = executable.parent_path().parent_path() / QUOIN_PLUGIN_SUBFOLDER;
    folders.push_back({moved.string(), "installed", false, {}});
  }
  folders.push_back({QUOIN_PLUGIN_FOLDER, "installed", false, {}});
}

struct Listing {
  std::vector<std::string> libraries, folders;  // both sorted
};

Result<Listing> list(const fs::path& path) {
  Listing listing;
  error_code error;
  size_t count = 0;
  for (fs::directory_iterator entry(path, error), end; !error && entry != end; entry.increment(error)) {
    if (++count > kMaxEntries) return fail(Code::limit, "it holds more than {} entries", kMaxEntries);
    error_code ignore;
    const bool folder = entry->is_directory(ignore);
    if (folder) listing.folders.push_back(entry->path().string());
    if (!folder && entry->path().extension() == ".so") listing.libraries.push_back(entry->path().string());
  }
  if (error)
    return fail(error == std::errc::no_such_file_or_directory ? Code::not_found : Code::io, "cannot read it: {}",
                error.message());
  std::sort(listing.libraries.begin(), listing.libraries.end());
  std::sort(listing.folders.begin(), listing.folders.end());
  return listing;
}

}  // namespace

std::vector<Folder> search_folders(const std::vector<std::string>& named, bool environment, bool defaults) {
  std::vector<Folder> folders;
  for (const std::string& path : named)
    folders.push_back({path, "--plugin", true, path.empty() ? "the path is empty" : ""});
  if (environment) add_environment(folders);
  if (defaults) add_defaults(folders);
  return folders;
}

std::string build_tree() { return build_root(this_executable()).string(); }
std::string install_prefix() { return this_executable().parent_path().parent_path().string(); }

std::string find_helper(const std::string& name, const std::string& build_folder) {
  std::vector<fs::path> places;
  if (const fs::path executable = this_executable(); !executable.empty()) {
    if (const fs::path root = build_root(executable); !root.empty()) places.push_back(root / build_folder);
    places.push_back(executable.parent_path().parent_path() / QUOIN_LIBEXEC_SUBFOLDER);
  }
  places.emplace_back(QUOIN_LIBEXEC_FOLDER);
  error_code ignore;
  for (const fs::path& place : places)
    if (fs::is_regular_file(place / name, ignore)) return (place / name).string();
  return {};
}

Result<std::vector<std::string>> library_files(const std::string& path) {
  error_code ignore;
  if (fs::is_regular_file(path, ignore)) return std::vector<std::string>{path};
  QUOIN_TRY(Listing top, list(path));
  std::vector<std::string> files = std::move(top.libraries);
  for (const std::string& folder : top.folders) {
    auto inner = list(folder);
    if (!inner) continue;  // a private folder beside the plugins is not an error
    files.insert(files.end(), inner->libraries.begin(), inner->libraries.end());
  }
  return files;
}

}  // namespace quoin::host
