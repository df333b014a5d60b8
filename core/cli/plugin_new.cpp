#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <iostream>

#include "base/file.hpp"
#include "base/text.hpp"
#include "cli/common.hpp"
#include "cli/data_folder.hpp"
#include "cli/plugin_action.hpp"
#include "host/plugin_name.hpp"

namespace quoin::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kModelFiles[] = {"digits.pt2", "calibration.safetensors", "test.safetensors"};

void add_options(po::options_description& options) {
  options.add_options()("into", po::value<std::string>()->value_name("DIR"), "the project's folder (default: NAME)");
}

// The name with what the rule forbids replaced.
std::string legal_name(const std::string& name) {
  std::string out;
  for (const char c : name.substr(0, host::kMaxPluginName)) {
    const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    out += host::in_plugin_name(lower) ? lower : '-';
  }
  out.erase(0, out.find_first_not_of(".-"));
  return out;
}

Status check_name(const std::string& name) {
  if (host::is_plugin_name(name)) return {};
  const std::string legal = legal_name(name);
  return fail(Code::usage, "\"{}\" is not a name for a plugin: {}", name, host::kPluginNameRule)
      .at("quoin plugin new")
      .hint(legal.empty() ? "" : fmt::format("\"{}\" is one", legal));
}

// "my-npu" gives "MyNpu": the template's classes are called after the plugin.
std::string class_name(const std::string& name) {
  std::string out;
  bool start = true;
  for (const char c : name) {
    const bool letter = c >= 'a' && c <= 'z', digit = c >= '0' && c <= '9';
    if (letter || digit) out += start && letter ? static_cast<char>(c - 'a' + 'A') : c;
    start = !letter;
  }
  const bool no_letter_first = out.empty() || (out.front() >= '0' && out.front() <= '9');
  return no_letter_first ? "Plugin" + out : out;
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
  return text;
}
// The template is a plugin called acme.
std::string renamed(const std::string& text, const std::string& name) {
  return replaced(replaced(text, "acme", name), "Acme", class_name(name));
}

// A folder beside its final place: moved there when it is complete, else removed.
class Draft {
 public:
  explicit Draft(const fs::path& target)
      : target_(target), path_(target.parent_path() / fmt::format(".{}.{}", target.filename().string(), getpid())) {}
  ~Draft() {
    std::error_code ignore;
    if (made_) fs::remove_all(path_, ignore);
  }
  Draft(const Draft&) = delete;
  Draft& operator=(const Draft&) = delete;

  Status create() {
    std::error_code error;
    made_ = fs::create_directory(path_, error);
    return made_ ? Status{} : fail(Code::io, "cannot create the folder {}: {}", path_.string(), error.message());
  }
  Status add(const std::string& file, const std::string& content, fs::perms permissions) {
    std::error_code error;
    fs::create_directories((path_ / file).parent_path(), error);
    if (error) return fail(Code::io, "cannot create the folder of {}: {}", file, error.message());
    QUOIN_CHECK(write_file((path_ / file).string(), as_bytes(content)));
    if ((permissions & fs::perms::owner_exec) != fs::perms::none)
      fs::permissions(path_ / file, fs::perms::owner_exec | fs::perms::group_exec | fs::perms::others_exec,
                      fs::perm_options::add, error);
    files_.push_back(file);
    return {};
  }
  // Replaces an empty folder, and nothing else.
  Status finish() {
    std::error_code error;
    fs::rename(path_, target_, error);
    if (error) return fail(Code::io, "cannot move the project to {}: {}", target_.string(), error.message());
    made_ = false;
    std::ranges::sort(files_);
    return {};
  }
  const std::vector<std::string>& files() const { return files_; }

 private:
  fs::path target_, path_;
  bool made_ = false;
  std::vector<std::string> files_;
};

Status add_template(Draft& draft, const fs::path& folder, const std::string& name) {
  std::error_code error;
  for (fs::recursive_directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    if (!entry->is_regular_file(error)) continue;
    QUOIN_TRY(const std::string text, read_text(entry->path().string(), 1u << 20));
    const std::string file = renamed(entry->path().lexically_relative(folder).generic_string(), name);
    QUOIN_CHECK(draft.add(file, renamed(text, name), entry->status(error).permissions()));
  }
  return error ? fail(Code::io, "cannot read {}: {}", folder.string(), error.message()) : Status{};
}

Status check_target(const fs::path& target) {
  std::error_code error;
  const fs::file_status status = fs::symlink_status(target, error);
  if (fs::exists(status) && !fs::is_directory(status))
    return fail(Code::usage, "it exists and is not a folder")
        .at("{}", target.string())
        .hint("--into names another one");
  if (fs::exists(status) && !fs::is_empty(target, error))
    return fail(Code::usage, "the folder is not empty").at("{}", target.string()).hint("--into names another one");
  const fs::path parent = target.parent_path();
  if (!fs::is_directory(parent, error))
    return fail(Code::not_found, "there is no such folder").at("{}", parent.string()).hint("create it first");
  return {};
}

Status run(Invocation& call) {
  const std::string name = call.text("operand"), into = call.has("into") ? call.text("into") : name;
  QUOIN_CHECK(check_name(name));
  if (into.empty()) return fail(Code::usage, "--into names no folder").at("quoin plugin new");
  fs::path target = fs::absolute(into).lexically_normal();
  if (!target.has_filename()) target = target.parent_path();
  QUOIN_CHECK(check_target(target));
  QUOIN_TRY(const fs::path source, data_folder("template", "sdk/template"));
  QUOIN_TRY(const fs::path model, data_folder("quickstart", "configs/quickstart"));

  Draft draft(target);
  QUOIN_CHECK(draft.create());
  QUOIN_CHECK(add_template(draft, source, name));
  for (const char* file : kModelFiles) {
    QUOIN_TRY(const std::string content, read_text((model / file).string()));
    QUOIN_CHECK(draft.add(std::string("quickstart/") + file, content, fs::perms::none));
  }
  QUOIN_CHECK(draft.finish());

  const std::vector<std::string> next = {"cd " + shell_word(into),
                                         "meson setup build && ninja -C build && meson test -C build",
                                         "quoin quantize -c recipe.yaml -o digits.quoin"};
  if (call.json) {
    print({{"name", name}, {"folder", target.string()}, {"files", draft.files()}, {"next", next}});
    return {};
  }
  std::cout << fmt::format("plugin \"{}\": {} files in {}\n\n  {}\n\nREADME.md there tells the rest\n", name,
                           draft.files().size(), into, join(next, "\n  "));
  return {};
}

}  // namespace

PluginAction plugin_new_action() {
  return {"new", "NAME", "[--into DIR]", "write a plugin project that builds against the SDK", add_options, run};
}

}  // namespace quoin::cli
