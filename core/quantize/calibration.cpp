#define XXH_INLINE_ALL
#include "quantize/calibration.hpp"

#include <xxhash.h>

#include <algorithm>
#include <charconv>

#include "base/text.hpp"
#include "data/files.hpp"
#include "ir/print.hpp"

namespace quoin::quantize {
namespace {

constexpr const char* kFormat = "quoin.calibration.1";
constexpr size_t kMostGroups = 1u << 20;

std::string digest_of(const std::string& text) { return hex(XXH3_64bits(text.data(), text.size())); }

std::string text_of(const recipe::Params& params) {
  std::string out;
  for (const auto& [key, value] : params)
    out += fmt::format("{}={} ", key, std::visit([](const auto& scalar) { return fmt::format("{}", scalar); }, value));
  return out;
}

// Everything of an observed spec that may change what its observer keeps.
std::string text_of(const Spec& spec) {
  return fmt::format("{} scheme {} axis {} group {} block {} {}..{} symmetric {} pow2 {} eps {} {} {}by {}\n",
                     name(spec.dtype), static_cast<uint32_t>(spec.scheme), spec.axis, spec.group,
                     quoin::to_string(Shape(spec.block)), spec.qmin, spec.qmax, spec.symmetric, spec.pow2_scale,
                     spec.eps, spec.observer, text_of(spec.observer_params),
                     spec.backend ? spec.backend->name() + " " + spec.backend->version() : "host");
}

bool takes_samples(const ir::Graph& graph, const Group& group) {
  return group.observer != nullptr && !std::ranges::all_of(group.places, [&](const ir::Place& place) {
           return graph.is_constant(value_at(graph, place));
         });
}

std::optional<uint64_t> number(std::string_view text) {
  uint64_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return out;
}

Result<std::vector<SampleRange>> parse_samples(std::string_view text) {
  std::vector<SampleRange> out;
  while (!text.empty()) {
    const size_t end = std::min(text.find(','), text.size()), middle = std::min(text.find(':'), end);
    const auto first = number(text.substr(0, middle));
    const auto last = middle < end ? number(text.substr(middle + 1, end - middle - 1)) : std::nullopt;
    if (!first || !last || *first >= *last || (!out.empty() && *first <= out.back().end))
      return fail(Code::data, "\"{}\" is no list of sample ranges", text);
    out.push_back({*first, *last});
    text.remove_prefix(std::min(end + 1, text.size()));
    while (text.starts_with(' ')) text.remove_prefix(1);
  }
  return out;
}

}  // namespace

std::string hex(uint64_t digest) { return fmt::format("{:016x}", digest); }

std::string to_string(const std::vector<SampleRange>& ranges) {
  std::vector<std::string> texts;
  for (const SampleRange& range : ranges) texts.push_back(fmt::format("{}:{}", range.begin, range.end));
  return quoin::join(texts, ", ");
}

uint64_t Calibration::sample_count() const {
  uint64_t count = 0;
  for (const SampleRange& range : samples) count += range.end - range.begin;
  return count;
}

Calibration identity(const ir::Graph& graph, const Prepared& prepared) {
  Calibration out;
  out.model = digest_of(ir::print(graph, ir::Detail::digests));
  std::string specs;
  for (const Group& group : prepared.groups) {
    for (const ir::Place& place : group.places) specs += describe(graph, place) + "\n";
    specs += text_of(group.spec);
  }
  out.specs = digest_of(specs);
  return out;
}

Result<std::map<size_t, ObserverState>> states(const ir::Graph& graph, const Prepared& prepared) {
  std::map<size_t, ObserverState> out;
  for (size_t i = 0; i < prepared.groups.size(); ++i) {
    const Group& group = prepared.groups[i];
    if (!takes_samples(graph, group)) continue;
    auto state = group.observer->state();
    if (!state) return std::move(state).failure().at("{}", describe(graph, group.places[0]));
    if (!state->empty()) out.emplace(i, *std::move(state));
  }
  return out;
}

Status restore(const ir::Graph& graph, Prepared& prepared, const Calibration& saved) {
  if (const std::string differs = difference(saved, identity(graph, prepared)); !differs.empty())
    return fail(Code::data, "the calibration is for {}", differs).hint("calibrate again");
  for (const auto& [index, state] : saved.groups) {
    if (index >= prepared.groups.size() || !takes_samples(graph, prepared.groups[index]))
      return fail(Code::data, "the calibration has an observer {}, which the model lacks", index);
    Group& group = prepared.groups[index];
    QUOIN_CHECK_AT(group.observer->merge(state), "{}", describe(graph, group.places[0]));
  }
  return {};
}

Result<std::vector<SampleRange>> join(const std::vector<SampleRange>& a, const std::vector<SampleRange>& b) {
  std::vector<SampleRange> all(a);
  all.insert(all.end(), b.begin(), b.end());
  std::ranges::sort(all, {}, &SampleRange::begin);
  std::vector<SampleRange> out;
  for (const SampleRange& range : all) {
    if (!out.empty() && range.begin < out.back().end)
      return fail(Code::data, "sample {} is in both calibrations ({} and {})", range.begin, to_string(a), to_string(b));
    if (!out.empty() && range.begin == out.back().end)
      out.back().end = range.end;
    else
      out.push_back(range);
  }
  return out;
}

std::string difference(const Calibration& saved, const Calibration& wanted) {
  std::vector<std::string> parts;
  const auto compare = [&](const std::string& have, const std::string& want, const char* what) {
    if (!want.empty() && have != want) parts.emplace_back(what);
  };
  compare(saved.model, wanted.model, "another model");
  compare(saved.specs, wanted.specs, "other specs or observers");
  compare(saved.data, wanted.data, "other data or preprocessing");
  return quoin::join(parts, ", ");
}

Status save_calibration(const std::string& path, const Calibration& calibration) {
  data::TensorMap tensors;
  for (const auto& [index, state] : calibration.groups)
    for (const auto& [name, tensor] : state) tensors.emplace(fmt::format("{}.{}", index, name), tensor);
  return data::write_safetensors(path, tensors,
                                 {{"format", kFormat},
                                  {"tool", "quoin " QUOIN_VERSION},
                                  {"model", calibration.model},
                                  {"specs", calibration.specs},
                                  {"data", calibration.data},
                                  {"samples", to_string(calibration.samples)}});
}

Result<Calibration> load_calibration(const std::string& path) {
  std::map<std::string, std::string> metadata;
  QUOIN_TRY(const data::TensorMap tensors, data::read_safetensors(path, &metadata));
  if (metadata["format"] != kFormat)
    return fail(Code::data, "its format is \"{}\", expected {}", metadata["format"], kFormat)
        .at("{}", path)
        .hint("make one with `quoin calibrate`");
  Calibration out{metadata["model"], metadata["specs"], metadata["data"], {}, {}};
  auto samples = parse_samples(metadata["samples"]);
  if (!samples) return std::move(samples).failure().at("{}", path);
  out.samples = *std::move(samples);
  for (const auto& [name, tensor] : tensors) {
    const size_t dot = std::min(name.find('.'), name.size());
    const auto index = number(std::string_view(name).substr(0, dot));
    if (!index || *index >= kMostGroups || dot + 1 >= name.size())
      return fail(Code::data, "tensor \"{}\" is not an observer's", name).at("{}", path);
    out.groups[static_cast<size_t>(*index)].emplace(name.substr(dot + 1), tensor);
  }
  return out;
}

}  // namespace quoin::quantize
