#include "cli/data_folder.hpp"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/file.hpp"
#include "base/text.hpp"
#include "host/search.hpp"

namespace quoin::cli {
namespace {

namespace fs = std::filesystem;

// Meson notes in every build tree which source tree it belongs to. Empty when this is none.
fs::path source_tree() {
  const std::string build = host::build_tree();
  if (build.empty()) return {};
  const auto text = read_text((fs::path(build) / "meson-info" / "meson-info.json").string(), 1u << 20);
  if (!text) return {};
  const auto info = nlohmann::json::parse(*text, nullptr, false);
  const nlohmann::json::json_pointer source("/directories/source");
  if (info.is_discarded() || !info.contains(source) || !info[source].is_string()) return {};
  return info[source].get<std::string>();
}

}  // namespace

Result<std::string> data_folder(const std::string& name, const std::string& source) {
  std::vector<std::string> tried;
  if (const fs::path tree = source_tree(); !tree.empty()) tried.push_back((tree / source).string());
  tried.push_back((fs::path(host::install_prefix()) / QUOIN_DATA_SUBFOLDER / name).string());
  tried.push_back((fs::path(QUOIN_DATA_FOLDER) / name).string());
  std::error_code ignore;
  for (const std::string& folder : tried)
    if (fs::is_directory(folder, ignore)) return folder;
  return fail(Code::not_found, "{}", "looked for the folder " + join(tried, ", "))
      .at("{}", name)
      .hint("install the SDK, too: meson install --tags devel");
}

}  // namespace quoin::cli
