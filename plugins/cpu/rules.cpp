#include "rules.hpp"

#include "checks.hpp"

namespace quoin::cpu {
namespace {

using sdk::derive, sdk::follow, sdk::observe, sdk::operand, sdk::result, sdk::share;
using sdk::Match, sdk::Params, sdk::Placement, sdk::PresetSpecs, sdk::Rule;

constexpr double kEps = 1.0 / 4096;  // smallest scale; below it int8 steps would only encode noise

// -- specs

quoin_qspec int8(uint32_t scheme, int32_t axis, int64_t qmin, int64_t qmax, uint32_t flags) {
  quoin_qspec s{};
  s.dtype = QUOIN_S8;
  s.scheme = scheme;
  s.axis = axis;
  s.qmin = static_cast<int32_t>(qmin);
  s.qmax = static_cast<int32_t>(qmax);
  s.flags = flags;
  s.eps = kEps;
  return s;
}
quoin_qspec activation(const Match&, const Params& p) {
  return int8(QUOIN_PER_TENSOR, -1, p.integer("act_qmin", -128), p.integer("act_qmax", 127), 0);
}
quoin_qspec weight(const Match&, const Params& p) {
  const bool channels = p.boolean("per_channel", true);
  return int8(channels ? QUOIN_PER_CHANNEL : QUOIN_PER_TENSOR, channels ? 0 : -1, -127, 127, QUOIN_SYMMETRIC);
}
quoin_qspec weight_channels(const Match&, const Params&) {
  return int8(QUOIN_PER_CHANNEL, 0, -127, 127, QUOIN_SYMMETRIC);
}
quoin_qspec bias(const Match& m, const Params& p) {
  quoin_qspec s = int8(weight(m, p).scheme, weight(m, p).axis, INT32_MIN, INT32_MAX, QUOIN_SYMMETRIC);
  s.kind = QUOIN_DERIVED;
  s.dtype = QUOIN_S32;
  s.rule = QUOIN_RULE_PRODUCT;
  return s;
}
quoin_qspec token(const Match&, const Params&) { return int8(QUOIN_PER_TOKEN, -1, -128, 127, QUOIN_DYNAMIC); }

// The result of a convolution is quantized behind its clamp, never between them: the clamp would waste most steps.
constexpr Placement kLayer[] = {observe(operand(0), activation), observe(operand(1), weight),
                                derive(operand(2), bias, operand(0), operand(1)), observe(result(), activation)};
constexpr Placement kDynamicLayer[] = {observe(operand(0), token), observe(operand(1), weight_channels)};
constexpr Placement kBinary[] = {observe(operand(0), activation), observe(operand(1), activation),
                                 observe(result(), activation)};
constexpr Placement kMove[] = {follow(0, activation), share(result(), operand(0))};
// All operands of a cat and its result have one scale; more than eight stay in float.
constexpr Placement kCat[] = {
    observe(operand(0), activation), share(operand(1), operand(0)), share(operand(2), operand(0)),
    share(operand(3), operand(0)),   share(operand(4), operand(0)), share(operand(5), operand(0)),
    share(operand(6), operand(0)),   share(operand(7), operand(0)), share(result(), operand(0))};

constexpr PresetSpecs kLinear[] = {{kStatic, kLayer}, {kDynamic, kDynamicLayer}};
constexpr PresetSpecs kConv[] = {{kStatic, kLayer}};
constexpr PresetSpecs kArithmetic[] = {{kStatic, kBinary}};
constexpr PresetSpecs kJoin[] = {{kStatic, kCat}};
constexpr PresetSpecs kMoves[] = {{kStatic, kMove}};

// -- the table

constexpr uint32_t kBoth = sdk::kFloat | sdk::kInteger;
// In float, also where the first dim is the length of a run, known then; typed values are declined by check_activation.
constexpr uint32_t kTokens = sdk::kFloat | sdk::kDynamic;

constexpr Rule kRules[] = {
    {"conv2d", "conv2d [> batch_norm] [> relu|relu6|hardtanh|clamp|clamp_min|clamp_max]", kConv, kBoth,
     "weight and bias are constants; int8 weights are symmetric, per tensor or per output channel", check_conv2d},
    {"linear", "linear [> relu|relu6|hardtanh|clamp|clamp_min|clamp_max]", kLinear, kBoth | kTokens,
     "weight and bias are constants; int8 weights are symmetric, per tensor or per output channel; with f32 "
     "activations "
     "2, 4 or 8 bits in groups of a multiple of 8",
     check_linear},
    {"linear_dynamic",
     "quoin.linear_dynamic",
     {},
     kTokens,
     "activations per token; int8 weights per output channel, or 2, 4 or 8 bits in groups of a multiple of 8",
     check_linear_dynamic},
    {"add", "add.Tensor [> relu|relu6|hardtanh|clamp]", kArithmetic, kBoth | kTokens, "two float tensors, alpha 1",
     check_binary},
    {"mul", "mul.Tensor [> relu|relu6|hardtanh|clamp]", kArithmetic, kBoth | kTokens, "two float tensors",
     check_binary},
    {"arithmetic", "sub.Tensor|div.Tensor", {}, kTokens, "two float tensors, alpha 1", check_binary},
    {"cat", "cat", kJoin, kBoth, "at most eight tensors of one scale", check_cat},
    {"clamp", "relu|relu6|hardtanh|clamp|clamp_min|clamp_max", kMoves, kBoth | kTokens,
     "operand and result share qparams", check_shared, true},
    {"max_pool", "max_pool2d", kMoves, kBoth, "images of rank 4; operand and result share qparams", check_max_pool,
     true},
    {"avg_pool", "avg_pool2d|adaptive_avg_pool2d", kMoves, kBoth,
     "images of rank 4; windows that divide the image evenly or do not count padding", check_avg_pool, true},
    {"mean", "mean.dim", kMoves, kBoth, "dims next to each other", check_mean, true},
    {"view", "view|reshape|flatten.using_ints|squeeze.dim|squeeze.dims|unsqueeze|dropout|contiguous|clone", kMoves,
     kBoth | kTokens, "operand and result share qparams", check_shared, true},
    {"move", "permute|transpose.int|t|expand|slice.Tensor|select.int", kMoves, kBoth | kTokens,
     "operand and result share qparams", check_move, true},
    {"pad", "pad", kMoves, kBoth | kTokens, "constant padding; padding with zero when quantized", check_pad, true},
    {"conversion", "quoin.quantize|quoin.dequantize|quoin.requantize", {}, kBoth, "s8 per tensor", check_conversion},
    {"matmul", "matmul|bmm|mm", {}, sdk::kFloat, "equal leading dims", check_matmul},
    {"softmax", "softmax.int", {}, sdk::kFloat, "over the last dim", check_softmax},
    {"layer_norm", "layer_norm", {}, kTokens, "constant weight and bias", check_layer_norm},
    {"function", "gelu|tanh|sigmoid|silu|hardswish|exp", {}, kTokens, "", check_values},
    {"embedding",
     "embedding",
     {},
     kTokens,
     "the table is a constant: f32, or 2, 4 or 8 bits per row or in groups of a multiple of 8",
     check_embedding},
    {"rms_norm", "rms_norm", {}, kTokens, "constant weight", check_rms_norm},
    {"rope", "quoin.rope", {}, kTokens, "constant frequencies", check_rope},
    {"kv_update",
     "quoin.kv_update|quoin.kv_update_int8",
     {},
     kTokens,
     "nothing else reads the cache before",
     check_kv_update},
    {"attention", "quoin.attention|quoin.attention_int8", {}, kTokens, "caches of f32 or s8", check_attention},
};

constexpr quoin_str kLimits[] = {
    sdk::str("Activations are s8 per tensor or f32; no 16-bit kernels."),
    sdk::str("A length that is known at run time is the first dim of float tensors."),
    sdk::str("Weights of 2 and 4 bits with one scale per output channel are kept as s8; in groups they stay packed."),
    sdk::str(
        "Convolutions: two dimensions, `[N, C, H, W]`; no transposed convolution. Under `int8-dynamic` they stay in "
        "float."),
    sdk::str("At most 65000 products per output of an integer layer, so that the sum fits into int32."),
    sdk::str("A cat of more than eight tensors stays in float."),
    sdk::str("Reductions other than the mean, comparisons and masks run on the portable kernels."),
};

constexpr sdk::About kAbout = {
    .summary =
        "Integers and floats on x86-64: scalar code, AVX2, AVX-VNNI, AVX-512, AVX-512 VNNI or AMX, chosen when a "
        "program is loaded.",
    .numerics =
        "Activations are s8: affine with one scale per tensor (`int8-static`), or with one per row, chosen while "
        "running "
        "(`int8-dynamic`). Weights are s8, symmetric, -127 to 127, per output channel or per tensor. The bias is s32 "
        "with "
        "scale of operand × scale of weight, under `int8-dynamic` f32. No scale is below 2^-12; scales chosen while "
        "running "
        "not below 2^-23.\n\n"
        "Convolution or linear, batch norm and the clamp behind them are one step, observed behind the clamp. Sums are "
        "s32; results are rounded half to even. Every instruction set gives the integers that the portable kernels "
        "define. "
        "Float kernels sum in an order that depends on the instruction set, so their last bits differ.",
    .limits = kLimits};

}  // namespace

const sdk::RuleTable& rules() {
  static const sdk::RuleTable table("cpu", kRules, kAbout);
  return table;
}

}  // namespace quoin::cpu
