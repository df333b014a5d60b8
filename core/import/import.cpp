#include "import/import.hpp"

#include <algorithm>
#include <filesystem>

#include "base/text.hpp"
#include "import/internal.hpp"
#include "ir/verify.hpp"

namespace quoin::import {
namespace {

constexpr size_t kMaxListed = 50;

bool is_zip(Bytes bytes) {
  // "PK" and a local header, or the end record of an empty archive.
  constexpr std::string_view kLocal("PK\3\4", 4), kEmpty("PK\5\6", 4);
  const std::string_view head(reinterpret_cast<const char*>(bytes.data()), std::min<size_t>(bytes.size(), 4));
  return head == kLocal || head == kEmpty;
}

Result<ir::Graph> import_source(const Source& source) {
  if (source.bytes.empty()) return fail(Code::model, "the file is empty");
  if (is_zip(source.bytes)) return import_pt2(source);
  return import_onnx(source);
}

}  // namespace

std::string place(std::string_view node, std::string_view op, const std::vector<ir::ModuleFrame>& modules) {
  std::string text = fmt::format("node {} ({}", node, op);
  if (!modules.empty()) text += ", module " + modules.back().path;
  return text + ")";
}

Error unknown_operators(const std::vector<Unknown>& unknown, const std::string& file,
                        std::span<const std::string> known) {
  std::vector<std::string> ops, lines;
  for (const Unknown& each : unknown) {
    if (std::ranges::find(ops, each.op) == ops.end()) ops.push_back(each.op);
    if (lines.size() < kMaxListed)
      lines.push_back(fmt::format("{} at node {}{}", each.op, each.node,
                                  each.module.empty() ? "" : " (module " + each.module + ")"));
  }
  if (unknown.size() > kMaxListed) lines.push_back(fmt::format("and {} more", unknown.size() - kMaxListed));
  std::string hint = ops.size() == 1 ? did_you_mean(ops[0], known) : "";
  if (hint.empty()) hint = "rewrite these parts of the model with supported operators";
  return {Code::unsupported,
          fmt::format("{} unknown operator{}: {}", ops.size(), ops.size() == 1 ? "" : "s", join(lines, ", ")), file,
          hint};
}

Result<ir::Graph> import_model(const std::string& path, const Options& options, Diagnostics& diagnostics) try {
  QUOIN_TRY(const MappedFile file, MappedFile::open(path));
  const Source source{path, file.bytes(), options, diagnostics};
  auto graph = import_source(source);
  // Errors of the inner readers name the file already.
  const auto located = [&](Failure failure) {
    return failure->where.starts_with(path) ? failure : std::move(failure).at("{}", path);
  };
  if (!graph) return located(std::move(graph).failure());
  graph->name = std::filesystem::path(path).stem().string();
  graph->erase_dead();
  ir::Graph compact = graph->compact();
  if (auto valid = ir::verify(compact); !valid) return located(std::move(valid).failure());
  return compact;
} catch (const std::bad_alloc&) {
  return fail(Code::limit, "no memory left while reading the model").at("{}", path);
} catch (const std::exception& error) {
  return fail(Code::model, "cannot be read: {}", error.what()).at("{}", path);
}

}  // namespace quoin::import
