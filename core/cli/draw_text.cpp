#include "cli/draw_text.hpp"

#include <algorithm>

#include "base/utf8.hpp"

namespace quoin::cli {
namespace {

// `escape` gives what stands for one ASCII character, or "" for itself.
template <class Escape>
std::string escaped(std::string_view text, Escape escape) {
  std::string out;
  while (!text.empty()) {
    const size_t length = printable_character(text);
    const std::string_view symbol = text.substr(0, std::max<size_t>(length, 1));
    const std::string_view replaced = escape(symbol[0]);
    out += !replaced.empty() ? replaced : length == 0 ? std::string_view("?") : symbol;
    text.remove_prefix(symbol.size());
  }
  return out;
}

// "a.b.C" -> "C"
std::string_view last_part(std::string_view dotted) { return dotted.substr(dotted.rfind('.') + 1); }

}  // namespace

std::string dot_text(std::string_view text) {
  return '"' +
         escaped(text,
                 [](char c) -> std::string_view {
                   // Graphviz reads entities inside labels, and backslashes before letters.
                   return c == '"' ? "\\\"" : c == '\\' ? "\\\\" : c == '\n' ? "\\n" : c == '&' ? "&amp;" : "";
                 }) +
         '"';
}

std::string html_text(std::string_view text) {
  return escaped(text, [](char c) -> std::string_view {
    return c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : c == '"' ? "&quot;" : "";
  });
}

std::string op_words(std::string_view op) {
  if (op.starts_with("aten.")) op.remove_prefix(5);
  if (op.ends_with(".default")) op.remove_suffix(8);
  return std::string(op);
}

std::string spec_words(const quantize::Spec& spec) {
  std::string text(name(spec.dtype));
  switch (spec.scheme) {
    case Scheme::per_tensor:
      break;
    case Scheme::per_channel:
      text += " per channel";
      break;
    case Scheme::per_group:
      text += fmt::format(" groups of {}", spec.group);
      break;
    case Scheme::per_token:
      text += " per token";
      break;
    case Scheme::per_block:
      text += " blocks of " + to_string(spec.block);
      break;
  }
  if (spec.dynamic) text += " dynamic";
  if (spec.kind == quantize::SpecKind::fixed) text += " fixed";
  if (spec.kind == quantize::SpecKind::derived) text += " derived";
  return text;
}

std::string module_words(std::string_view path, std::string_view type, std::string_view outer) {
  const bool within =
      !outer.empty() && path.size() > outer.size() && path.starts_with(outer) && path[outer.size()] == '.';
  std::string text(within ? path.substr(outer.size() + 1) : path);
  if (!type.empty()) text += " (" + std::string(last_part(type)) + ")";
  return text;
}

}  // namespace quoin::cli
