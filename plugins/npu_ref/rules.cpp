#include "rules.hpp"

#include "checks.hpp"

namespace quoin::npu {
namespace {

using sdk::derive, sdk::follow, sdk::observe, sdk::operand, sdk::result, sdk::share;
using sdk::MakeSpec, sdk::Match, sdk::Params, sdk::Placement, sdk::PresetSpecs, sdk::Rule;

// Smallest scale of a weight. Channels that are (nearly) zero would otherwise get scales so small that neither their
// bias nor the shift behind the accumulator could follow.
constexpr double kWeightEps = 1.0 / 65536;

// -- specs

quoin_qspec spec(quoin_dtype dtype, int32_t qmin, int32_t qmax) {
  quoin_qspec s{};
  s.dtype = dtype;
  s.scheme = QUOIN_PER_TENSOR;
  s.axis = -1;
  s.qmin = qmin;
  s.qmax = qmax;
  s.flags = QUOIN_SYMMETRIC | QUOIN_POW2_SCALE;
  return s;
}
quoin_qspec activation8(const Match&, const Params&) { return spec(QUOIN_S8, -128, 127); }
quoin_qspec activation16(const Match&, const Params&) { return spec(QUOIN_S16, -32768, 32767); }
void set_channels(quoin_qspec& s, const Params& p) {
  if (!p.boolean("per_channel", true)) return;
  s.scheme = QUOIN_PER_CHANNEL;
  s.axis = 0;
}
quoin_qspec weight(const Match&, const Params& p) {
  quoin_qspec s = spec(QUOIN_S8, -127, 127);
  set_channels(s, p);
  s.observer = p.text("weight_observer", sdk::view(kMse)) == sdk::view(kMse) ? kMse : kMinMax;
  s.eps = kWeightEps;
  return s;
}
quoin_qspec bias(const Match&, const Params& p) {
  quoin_qspec s = spec(QUOIN_S32, INT32_MIN, INT32_MAX);
  set_channels(s, p);
  s.kind = QUOIN_DERIVED;
  s.flags = QUOIN_SYMMETRIC;
  s.rule = QUOIN_RULE_PRODUCT;
  return s;
}

template <MakeSpec activation>
constexpr Placement kLayer[] = {observe(operand(0), activation), observe(operand(1), weight),
                                derive(operand(2), bias, operand(0), operand(1)), observe(result(), activation)};
template <MakeSpec activation>
constexpr Placement kBinary[] = {observe(operand(0), activation), observe(operand(1), activation),
                                 observe(result(), activation)};
template <MakeSpec activation>
constexpr Placement kMove[] = {follow(0, activation), share(result(), operand(0))};
// A mean is smaller than what it averages: its own scale saves bits.
template <MakeSpec activation>
constexpr Placement kMean[] = {follow(0, activation), observe(result(), activation)};
template <MakeSpec activation>
constexpr Placement kJoin[] = {
    observe(operand(0), activation), share(operand(1), operand(0)), share(operand(2), operand(0)),
    share(operand(3), operand(0)),   share(operand(4), operand(0)), share(operand(5), operand(0)),
    share(operand(6), operand(0)),   share(operand(7), operand(0)), share(result(), operand(0))};

constexpr PresetSpecs kLayers[] = {{kInt8, kLayer<activation8>}, {kInt16, kLayer<activation16>}};
constexpr PresetSpecs kBinaries[] = {{kInt8, kBinary<activation8>}, {kInt16, kBinary<activation16>}};
constexpr PresetSpecs kMoves[] = {{kInt8, kMove<activation8>}, {kInt16, kMove<activation16>}};
constexpr PresetSpecs kMeans[] = {{kInt8, kMean<activation8>}, {kInt16, kMean<activation16>}};
constexpr PresetSpecs kJoins[] = {{kInt8, kJoin<activation8>}, {kInt16, kJoin<activation16>}};

// -- the table

constexpr Rule kRules[] = {
    {"conv2d", "conv2d [> relu|relu6|hardtanh|clamp|clamp_min|clamp_max]", kLayers, sdk::kInteger,
     "weight and bias are constants; one group or one per channel; window and stride at most 16, dilation 1",
     check_conv2d},
    {"linear", "linear [> relu|relu6|hardtanh|clamp|clamp_min|clamp_max]", kLayers, sdk::kInteger,
     "one row; weight and bias are constants", check_linear},
    {"add", "add.Tensor [> relu|relu6|hardtanh|clamp|clamp_min|clamp_max]", kBinaries, sdk::kInteger,
     "two computed tensors of one shape, alpha 1, scales at most 2^8 apart", check_add},
    {"average", "avg_pool2d|adaptive_avg_pool2d|mean.dim", kMeans, sdk::kInteger,
     "over height and width, windows of at most 128 x 128 that all divide by the same number", check_average, true},
    {"max_pool", "max_pool2d", kMoves, sdk::kInteger, "windows of at most 128 x 128, dilation 1", check_max_pool, true},
    {"clamp", "relu|relu6|hardtanh|clamp|clamp_min|clamp_max", kMoves, sdk::kInteger,
     "operand and result share their scale", check_clamp, true},
    {"cat", "cat", kJoins, sdk::kInteger,
     "along the channels, at most eight tensors of one scale; all but the last have whole blocks of 16 channels",
     check_cat},
    {"pad", "pad", kMoves, sdk::kInteger, "height and width, with zero", check_pad, true},
    {"view", "view|reshape|flatten.using_ints|squeeze.dim|squeeze.dims|unsqueeze|dropout|contiguous|clone", kMoves,
     sdk::kInteger, "channels, height and width stay: flattening takes one pixel", check_view, true},
    {"rescale",
     "quoin.requantize",
     {},
     sdk::kInteger,
     "between s8 and s16 of any scales the shifter reaches",
     check_rescale},
    {"border",
     "quoin.quantize|quoin.dequantize",
     {},
     sdk::kInteger,
     "never: the host converts from and to floats",
     check_border},
};

constexpr quoin_str kLimits[] = {
    sdk::str("Batch 1; tensors [1, C] to [1, C, H, W] with at most 4096 channels and 1024 pixels a side."),
    sdk::str("A tensor takes at most `tensor_kib` KiB of device memory, its channels rounded up to a multiple of 16."),
    sdk::str("One row of a layer's result must fit the on-chip buffer of `sram_kib` KiB together with the rows it is "
             "computed from and two blocks of weights; larger layers are split into bands of rows."),
    sdk::str("A layer whose sums could exceed 32 bits for some input, or that would be shifted right by less than 0 or "
             "more than 31 bits, runs on the portable kernels."),
    sdk::str(
        "Operand and result of a layer have one type; a recipe that mixes the presets pays a rescale between them."),
    sdk::str("No floats: quantize, dequantize and softmax stay on the host, and so does every node left in float."),
    sdk::str("Flattening more than one pixel, broadcasting, transposes and slices stay on the host."),
};

constexpr sdk::About kAbout = {
    "A model of an integer-only accelerator: sixteen multiply-accumulate lanes, one on-chip buffer, shifters instead "
    "of "
    "multipliers behind the lanes. It is a reference for vendors of such devices and computes on any CPU, with the "
    "limits of the device and not its speed. No code that runs a program uses floating point.",
    "Scales are powers of two, zero points 0. Products are summed exactly in 32 bits, shifted right and rounded once, "
    "half to even, then saturated. The portable kernels round the sum to 24 bits first: where a sum is 2^24 or more, a "
    "result may differ by one step. Averages are divided exactly, half to even; the portable kernels multiply by a "
    "rounded reciprocal, so a result half-way between two steps may differ by one. Everything else is equal bit for "
    "bit.",
    kLimits};

}  // namespace

const sdk::RuleTable& rules() {
  static const sdk::RuleTable table("npu_ref", kRules, kAbout);
  return table;
}

}  // namespace quoin::npu
