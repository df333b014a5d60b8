#include "quantize/torch_math.hpp"

#include <array>
#include <bit>

namespace quoin::quantize {
namespace {

constexpr size_t kLanes = 8, kRows = 4, kLevels = 4;
using Block = std::array<float, kLanes * kRows>;

void add(Block& to, const float* from) {
  for (size_t i = 0; i < to.size(); ++i) to[i] += from[i];
}

}  // namespace

float cascade_sum(std::span<const float> elements) {
  const size_t vectors = elements.size() / kLanes, blocks = vectors / kRows;
  const size_t log2 = blocks > 1 ? static_cast<size_t>(std::bit_width(blocks - 1)) : 0;
  const size_t power = std::max<size_t>(4, log2 / kLevels), step = size_t{1} << power;
  std::array<Block, kLevels> levels{};
  size_t i = 0;
  while (i + step <= blocks) {
    for (size_t j = 0; j < step; ++j, ++i) add(levels[0], elements.data() + i * levels[0].size());
    for (size_t j = 1; j < kLevels; ++j) {
      add(levels[j], levels[j - 1].data());
      levels[j - 1].fill(0);
      if ((i & ((step - 1) << (j * power))) != 0) break;
    }
  }
  for (; i < blocks; ++i) add(levels[0], elements.data() + i * levels[0].size());
  for (size_t j = 1; j < kLevels; ++j) add(levels[0], levels[j].data());
  float* rows = levels[0].data();
  for (size_t v = blocks * kRows; v < vectors; ++v)
    for (size_t lane = 0; lane < kLanes; ++lane) rows[lane] += elements[v * kLanes + lane];
  for (size_t r = 1; r < kRows; ++r)
    for (size_t lane = 0; lane < kLanes; ++lane) rows[lane] += rows[r * kLanes + lane];
  float sum = 0;
  for (size_t k = vectors * kLanes; k < elements.size(); ++k) sum += elements[k];
  for (size_t lane = 0; lane < kLanes; ++lane) sum += rows[lane];
  return sum;
}

std::vector<float> linspace(float start, float end, size_t count) {
  std::vector<float> out(count);
  if (count == 1) out[0] = start;
  if (count < 2) return out;
  const float step = (end - start) / static_cast<float>(count - 1);
  const size_t half = count / 2, whole = count / (2 * kLanes) * (2 * kLanes);
  for (size_t i = 0; i < count; ++i) {
    const size_t run = i < whole ? i / kLanes * kLanes : i;
    const float base =
        run < half ? start + step * static_cast<float>(run) : end - step * static_cast<float>(count - run - 1);
    out[i] = base + static_cast<float>(i - run) * step;
  }
  return out;
}

}  // namespace quoin::quantize
