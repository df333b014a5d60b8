// What calibration measured but a user should know about: nothing seen, constant tensors, dead channels.
#include <algorithm>

#include "quantize/calibration.hpp"

namespace quoin::quantize {
namespace {

const char* pieces_name(Scheme scheme) {
  return scheme == Scheme::per_channel ? "channels" : scheme == Scheme::per_group ? "groups" : "blocks";
}

bool is_constant(const ir::Graph& graph, const Group& group) {
  return std::ranges::all_of(group.places,
                             [&](const ir::Place& place) { return graph.is_constant(value_at(graph, place)); });
}

void report_group(const ir::Graph& graph, const Group& group, Diagnostics& diagnostics) {
  const std::vector<Range> ranges = group.observer->ranges();
  if (ranges.empty()) return;
  const std::string where = describe(graph, group.places[0]);
  const auto dead = std::ranges::count_if(ranges, [](const Range& range) { return range.min == 0 && range.max == 0; });
  const bool constant = is_constant(graph, group);
  if (dead > 0 && ranges.size() > 1) {
    diagnostics.info(where,
                     fmt::format("{} of {} {} are all zero; they get the smallest scale, which is exact for them", dead,
                                 ranges.size(), pieces_name(group.spec.scheme)));
  } else if (dead > 0 && constant) {
    diagnostics.info(where, "all elements are zero; the smallest scale is exact for them");
  } else if (dead > 0) {
    diagnostics.warn(where, "was zero in every sample; it gets the smallest scale, so other values would be cut off",
                     "check the calibration data, or leave the node in float");
  } else if (!constant && ranges.size() == 1 && ranges[0].min == ranges[0].max) {
    diagnostics.info(where, fmt::format("was {} in every sample", ranges[0].min));
  }
}

}  // namespace

Status check_calibrated(const ir::Graph& graph, const Prepared& prepared, Diagnostics& diagnostics) {
  for (const Group& group : prepared.groups) {
    if (!group.observer) continue;
    if (!group.observer->seen())
      return fail(Code::data, "{} saw no element during calibration", describe(graph, group.places[0]))
          .hint("give more samples, or leave the node in float");
    report_group(graph, group, diagnostics);
  }
  return {};
}

}  // namespace quoin::quantize
