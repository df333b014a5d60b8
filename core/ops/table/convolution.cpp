// Convolutions. Source of the shape formulas: the definitions of torch.nn.Conv* and ConvTranspose2d.
#include <algorithm>

#include "base/checked.hpp"
#include "ops/table/build.hpp"

namespace quoin::table {
namespace {

Status check_common(Operands operands, const Attrs& attrs, size_t spatial) {
  QUOIN_CHECK(expect_rank(*operands[0], spatial + 2, "input"));
  QUOIN_CHECK(expect_rank(*operands[1], spatial + 2, "weight"));
  QUOIN_CHECK(expect_range(attrs, "stride", 1));
  QUOIN_CHECK(expect_range(attrs, "padding", 0));
  QUOIN_CHECK(expect_range(attrs, "dilation", 1));
  const int64_t groups = get_int(attrs, "groups");
  if (groups < 1) return fail(Code::model, "groups must be at least 1, found {}", groups);
  return {};
}

Types infer_conv(Operands operands, const Attrs& attrs, size_t spatial) {
  QUOIN_CHECK(check_common(operands, attrs, spatial));
  const Shape &x = operands[0]->shape, &w = operands[1]->shape;
  const int64_t groups = get_int(attrs, "groups");
  if (x[1] % groups != 0 || w[0] % groups != 0 || w[1] != x[1] / groups)
    return fail(Code::model, "weight {} does not fit {} input channels in {} groups", to_string(w), x[1], groups);
  QUOIN_CHECK(expect_shape(operands[2], {w[0]}, "bias"));
  Shape out{x[0], w[0]};
  for (size_t i = 0; i < spatial; ++i) {
    QUOIN_TRY(const int64_t count, window_count({x[2 + i], w[2 + i], get_ints(attrs, "stride")[i],
                                                 get_ints(attrs, "padding")[i], get_ints(attrs, "dilation")[i]}));
    out.push_back(count);
  }
  return one(operands[0]->dtype, out);
}

// (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1
Result<int64_t> transposed_size(int64_t size, int64_t kernel, const Attrs& attrs, size_t i) {
  const int64_t stride = get_ints(attrs, "stride")[i], dilation = get_ints(attrs, "dilation")[i];
  const int64_t extra = get_ints(attrs, "output_padding")[i];
  if (extra >= std::max(stride, dilation))
    return fail(Code::model, "output_padding {} must be below the stride or dilation", extra);
  const auto steps = checked_mul(size - 1, stride), reach = checked_mul(kernel - 1, dilation);
  const auto sum = steps && reach ? checked_add(*steps, *reach) : std::nullopt;
  const auto total = sum ? checked_add(*sum, extra + 1 - 2 * get_ints(attrs, "padding")[i]) : std::nullopt;
  if (!total || *total < 1) return fail(Code::model, "output dim {} would not be positive", i);
  return *total;
}

Types infer_transposed(Operands operands, const Attrs& attrs) {
  QUOIN_CHECK(check_common(operands, attrs, 2));
  QUOIN_CHECK(expect_range(attrs, "output_padding", 0));
  const Shape &x = operands[0]->shape, &w = operands[1]->shape;
  const int64_t groups = get_int(attrs, "groups");
  if (x[1] % groups != 0 || w[0] != x[1])
    return fail(Code::model, "weight {} does not fit {} input channels in {} groups", to_string(w), x[1], groups);
  const auto channels = checked_mul(w[1], groups);
  if (!channels) return fail(Code::model, "weight {} times {} groups is too large", to_string(w), groups);
  QUOIN_CHECK(expect_shape(operands[2], {*channels}, "bias"));
  Shape out{x[0], *channels};
  for (size_t i = 0; i < 2; ++i) {
    QUOIN_TRY(const int64_t size, transposed_size(x[2 + i], w[2 + i], attrs, i));
    out.push_back(size);
  }
  return one(operands[0]->dtype, out);
}

constexpr Row kRows[] = {
    {"aten.conv1d.default",
     "input, weight, bias?; stride: int[1] = 1, padding: int[1] = 0, dilation: int[1] = 1, groups: int = 1",
     [](Operands o, const Attrs& a) { return infer_conv(o, a, 1); }},
    {"aten.conv2d.default",
     "input, weight, bias?; stride: int[2] = 1, padding: int[2] = 0, dilation: int[2] = 1, groups: int = 1",
     [](Operands o, const Attrs& a) { return infer_conv(o, a, 2); }},
    {"aten.conv_transpose2d.input",
     "input, weight, bias?; stride: int[2] = 1, padding: int[2] = 0, output_padding: int[2] = 0, groups: int = 1, "
     "dilation: int[2] = 1",
     infer_transposed},
};

}  // namespace

Rows convolution() { return kRows; }

}  // namespace quoin::table
