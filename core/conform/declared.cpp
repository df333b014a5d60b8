#include "conform/declared.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <vector>

#include "base/text.hpp"
#include "base/utf8.hpp"
#include "conform/param.hpp"
#include "ops/abi_read.hpp"

namespace quoin::conform {
namespace {

constexpr size_t kMaxLinks = 256;  // of a chain of extensions
constexpr uint32_t kScopes =
    QUOIN_SCOPE_BACKEND | QUOIN_SCOPE_QUANTIZE | QUOIN_SCOPE_COMPILE | QUOIN_SCOPE_LOAD | QUOIN_SCOPE_RUN;

struct SpecList {
  std::string where;  // "options", "preset int8"
  quoin_array specs;
};

// Every list of quoin_param_spec that the table leads to.
std::vector<SpecList> spec_lists(const quoin_plugin& plugin) {
  std::vector<SpecList> out = {{"options", plugin.options}};
  const quoin_quantizer* quantizer = plugin.quantizer;
  if (quantizer == nullptr) return out;
  for (const quoin_preset& preset : elements<quoin_preset>(quantizer->presets))
    out.push_back({"preset " + text(preset.name), preset.params});
  if (QUOIN_END_OF(quoin_quantizer, observers) > quantizer->struct_size) return out;
  for (const quoin_observer& observer : elements<quoin_observer>(quantizer->observers))
    out.push_back({"observer " + text(observer.name), observer.params});
  return out;
}

std::string check_default(const quoin_param_spec& spec) {
  const quoin_param& fallback = spec.fallback;
  if (fallback.kind != spec.kind) return fmt::format("its default has kind {}", fallback.kind);
  if (fallback.count == 0) return {};  // an empty list
  if (fallback.data == nullptr) return "its default has no data";
  for (uint32_t i = 0; i < fallback.count; ++i) {
    const bool number = spec.kind == QUOIN_PARAM_INT || spec.kind == QUOIN_PARAM_FLOAT;
    if (number && spec.low <= spec.high) {
      const double value = spec.kind == QUOIN_PARAM_INT
                               ? static_cast<double>(static_cast<const int64_t*>(fallback.data)[i])
                               : static_cast<const double*>(fallback.data)[i];
      if (!(value >= spec.low && value <= spec.high))
        return fmt::format("its default {} is outside {} to {}", describe(fallback), spec.low, spec.high);
    }
    if (spec.kind != QUOIN_PARAM_STR || spec.choices.count == 0) continue;
    const std::string chosen = text(static_cast<const quoin_str*>(fallback.data)[i]);
    const auto choices = elements<quoin_str>(spec.choices);
    if (std::none_of(choices.begin(), choices.end(), [&](const quoin_str& choice) { return text(choice) == chosen; }))
      return fmt::format("its default \"{}\" is none of its choices", chosen);
  }
  return {};
}

std::string check_spec(const quoin_param_spec& spec) {
  if (spec.name.size == 0) return "it has no name";
  if (spec.kind < QUOIN_PARAM_BOOL || spec.kind > QUOIN_PARAM_STR) return fmt::format("its kind is {}", spec.kind);
  if (spec.scope == 0 || (spec.scope & ~kScopes) != 0) return fmt::format("its scope is {:#x}", spec.scope);
  if (spec.doc.size == 0) return "it has no doc";
  if (spec.choices.count != 0 && spec.kind != QUOIN_PARAM_STR) return "only texts have choices";
  return check_default(spec);
}

// A list of elements that are at least as large as ABI 1.0 made them.
struct List {
  std::string where;
  quoin_array array;
  uint32_t least;
};

std::vector<List> lists(const quoin_plugin& plugin) {
  std::vector<List> out = {{"kernels", plugin.kernels, QUOIN_END_OF(quoin_kernel, release)}};
  for (const SpecList& list : spec_lists(plugin))
    out.push_back({list.where, list.specs, QUOIN_END_OF(quoin_param_spec, doc)});
  if (const quoin_quantizer* quantizer = plugin.quantizer) {
    out.push_back({"presets", quantizer->presets, QUOIN_END_OF(quoin_preset, params)});
    out.push_back({"passes", quantizer->passes, QUOIN_END_OF(quoin_str, size)});
    if (QUOIN_END_OF(quoin_quantizer, observers) <= quantizer->struct_size)
      out.push_back({"observers", quantizer->observers, QUOIN_END_OF(quoin_observer, destroy)});
  }
  return out;
}

std::string check_list(const List& list) {
  if (list.array.count == 0) return {};
  if (list.array.data == nullptr) return fmt::format("{}: {} elements at address 0", list.where, list.array.count);
  if (list.array.stride < list.least)
    return fmt::format("{}: elements of {} bytes; ABI 1.0 defines {}", list.where, list.array.stride, list.least);
  return {};
}

std::string check_roles(const quoin_plugin& plugin) {
  if (plugin.quantizer != nullptr && plugin.quantizer->presets.count == 0) return "the quantizer has no preset";
  const quoin_executor* executor = plugin.executor;
  if (executor == nullptr) return {};
  if (executor->oldest_blob_format > executor->newest_blob_format)
    return fmt::format("the executor reads blob formats {} to {}", executor->oldest_blob_format,
                       executor->newest_blob_format);
  if ((executor->flags & ~uint32_t{QUOIN_REENTRANT}) != 0)
    return fmt::format("the executor has unknown flags {:#x}", executor->flags);
  const quoin_compiler* compiler = plugin.compiler;
  if (compiler == nullptr) return {};
  const uint32_t format = compiler->blob_format;
  if (format < executor->oldest_blob_format || format > executor->newest_blob_format)
    return fmt::format("the compiler writes blob format {}, the executor reads {} to {}", format,
                       executor->oldest_blob_format, executor->newest_blob_format);
  return {};
}

struct Text {
  std::string where;
  quoin_str text;
  bool needed;
};

void add_c_text(std::vector<Text>& out, std::string where, const char* value) {
  out.push_back({std::move(where), {value, value == nullptr ? 0 : std::char_traits<char>::length(value)}, true});
}

std::vector<Text> texts(const quoin_plugin& plugin) {
  std::vector<Text> out;
  add_c_text(out, "name", plugin.name);
  add_c_text(out, "version", plugin.version);
  for (const SpecList& list : spec_lists(plugin))
    for (const quoin_param_spec& spec : elements<quoin_param_spec>(list.specs)) {
      out.push_back({list.where + ": a name", spec.name, true});
      out.push_back({list.where + ": the doc of " + text(spec.name), spec.doc, true});
      for (const quoin_str& choice : elements<quoin_str>(spec.choices))
        out.push_back({list.where + ": a choice of " + text(spec.name), choice, true});
    }
  for (const quoin_kernel& kernel : elements<quoin_kernel>(plugin.kernels)) {
    add_c_text(out, "the operator of a kernel", kernel.op);
    add_c_text(out, "the name of a kernel", kernel.name);
  }
  const quoin_quantizer* quantizer = plugin.quantizer;
  if (quantizer == nullptr) return out;
  for (const quoin_preset& preset : elements<quoin_preset>(quantizer->presets)) {
    out.push_back({"the name of a preset", preset.name, true});
    out.push_back({"the doc of preset " + text(preset.name), preset.doc, true});
  }
  for (const quoin_str& pass : elements<quoin_str>(quantizer->passes)) out.push_back({"a pass", pass, true});
  if (QUOIN_END_OF(quoin_quantizer, observers) > quantizer->struct_size) return out;
  for (const quoin_observer& observer : elements<quoin_observer>(quantizer->observers)) {
    out.push_back({"the name of an observer", observer.name, true});
    out.push_back({"the doc of observer " + text(observer.name), observer.doc, true});
  }
  return out;
}

}  // namespace

std::string check_declarations(const quoin_plugin& plugin) {
  for (const SpecList& list : spec_lists(plugin)) {
    std::set<std::string> seen;
    for (const quoin_param_spec& spec : elements<quoin_param_spec>(list.specs)) {
      const std::string where = fmt::format("{}: \"{}\": ", list.where, text(spec.name));
      if (const std::string fault = check_spec(spec); !fault.empty()) return where + fault;
      if (!seen.insert(text(spec.name)).second) return where + "there are two of this name";
    }
  }
  return {};
}

std::string check_arrays(const quoin_plugin& plugin) {
  for (const List& list : lists(plugin))
    if (std::string fault = check_list(list); !fault.empty()) return fault;
  return check_roles(plugin);
}

std::string check_texts(const quoin_plugin& plugin) {
  for (const Text& item : texts(plugin)) {
    if (item.text.size != 0 && item.text.data == nullptr) return item.where + " is at address 0";
    if (item.needed && item.text.size == 0) return item.where + " is empty";
    if (!valid_utf8(text(item.text))) return item.where + " is not UTF-8";
  }
  return {};
}

std::string check_kernels(const quoin_plugin& plugin) {
  std::set<std::string> names;
  for (const quoin_kernel& kernel : elements<quoin_kernel>(plugin.kernels)) {
    if (kernel.op == nullptr || kernel.name == nullptr) return "a kernel without operator or name";
    const std::string where = fmt::format("kernel {} for {}: ", kernel.name, kernel.op);
    if (kernel.run == nullptr) return where + "it has no run function";
    if ((kernel.flags & ~uint32_t{QUOIN_IN_PLACE}) != 0)
      return where + fmt::format("unknown flags {:#x}", kernel.flags);
    if (kernel.signature_size != 0 && kernel.signature == nullptr) return where + "its signature is at address 0";
    for (uint32_t i = 0; i < kernel.signature_size; ++i)
      if (kernel.signature[i] > QUOIN_S2)
        return where + fmt::format("element {} of its signature is {}, which is no type", i, kernel.signature[i]);
  }
  return {};
}

std::string check_extensions(const quoin_plugin& plugin) {
  std::set<std::string> seen;
  for (const quoin_ext* ext = plugin.ext; ext != nullptr; ext = ext->next) {
    if (ext->name == nullptr || *ext->name == '\0') return fmt::format("extension {} has no name", seen.size());
    if (ext->struct_size < sizeof(quoin_ext))
      return fmt::format("extension {} has {} bytes; ABI 1.0 defines {}", ext->name, ext->struct_size,
                         sizeof(quoin_ext));
    if (std::string_view(ext->name).find('.') == std::string_view::npos)
      return fmt::format("extension {} has no reverse-DNS name", ext->name);
    if (!seen.insert(ext->name).second)
      return fmt::format("extension {} is linked twice, or the chain has no end", ext->name);
    if (seen.size() > kMaxLinks) return fmt::format("the chain has more than {} extensions", kMaxLinks);
  }
  return {};
}

}  // namespace quoin::conform
