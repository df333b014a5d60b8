// The torchao family and the rarer quantized_decomposed operators; numbers worked out with the reference.
#include <cmath>

#include "op_runner.hpp"

namespace quoin::test {
namespace {

std::string s(const char* text) { return text; }
Tensor matrix() { return tensor<float>({2, 4}, {-.5f, 1.25f, 3, -.75f, .1f, .2f, -.3f, .4f}); }

Op choose(Tensor x, const char* mapping, std::vector<int64_t> block, int64_t low = -8, int64_t high = 7) {
  return Op("torchao.choose_qparams_affine.default")
      .in(std::move(x))
      .attr("mapping_type", s(mapping))
      .attr("block_size", std::move(block))
      .attr("target_dtype", s("s8"))
      .attr("zero_point_dtype", s("s32"))
      .attr("quant_min", low)
      .attr("quant_max", high);
}

struct Mapping {
  const char* name;
  std::vector<float> scale;
  std::vector<int32_t> zero_point;
  std::vector<int8_t> q;
};
class Mappings : public ::testing::TestWithParam<Mapping> {};

TEST_P(Mappings, InBlocksOfTwo) {
  const auto chosen = choose(matrix(), GetParam().name, {1, 2}).run_all();
  EXPECT_EQ(elements<float>(chosen[0]), GetParam().scale);
  EXPECT_EQ(elements<int32_t>(chosen[1]), GetParam().zero_point);
  EXPECT_EQ(chosen[0].shape(), (Shape{2, 2}));
  const Tensor q = Op("torchao.quantize_affine.default")
                       .in(matrix())
                       .in(chosen[0])
                       .in(chosen[1])
                       .attr("block_size", std::vector<int64_t>{1, 2})
                       .attr("output_dtype", s("s8"))
                       .attr("quant_min", int64_t{-8})
                       .attr("quant_max", int64_t{7})
                       .run();
  EXPECT_EQ(elements<int8_t>(q), GetParam().q);
}

INSTANTIATE_TEST_SUITE_P(
    Blocks, Mappings,
    ::testing::Values(Mapping{"SYMMETRIC",
                              {0.1666666716337204f, 0.4000000059604645f, 0.02666666731238365f, 0.0533333346247673f},
                              {0, 0, 0, 0},
                              {-3, 7, 7, -2, 4, 7, -6, 7}},
                      Mapping{"SYMMETRIC_NO_CLIPPING_ERR",
                              {0.1785714328289032f, 0.4285714328289032f, 0.02857142873108387f, 0.05714285746216774f},
                              {0, 0, 0, 0},
                              {-3, 7, 7, -2, 4, 7, -5, 7}},
                      Mapping{"ASYMMETRIC",
                              {0.11666666716337204f, 0.25f, 0.013333333656191826f, 0.046666670590639114f},
                              {-4, -5, -8, -2},
                              {-8, 7, 7, -8, 0, 7, -8, 7}}),
    [](const auto& param_info) { return std::string(param_info.param.name); });

TEST(Affine, TokensHaveARangeEach) {
  const Tensor x = tensor<float>({4, 3}, {-.4f, 0, 1.3f, 5, 6, 7, 0, 0, 0, -3, -2, -1});
  const auto chosen = choose(x, "ASYMMETRIC", {1, 3}, -128, 127).run_all();
  EXPECT_EQ(elements<float>(chosen[0]), (std::vector<float>{0.006666666362434626f, 0.027450980618596077f,
                                                            1.1754943508222875e-38f, 0.0117647061124444f}));
  EXPECT_EQ(elements<int32_t>(chosen[1]), (std::vector<int32_t>{-68, -128, -128, 127}));
  EXPECT_EQ(chosen[0].shape(), (Shape{4})) << "axes that a block spans are dropped";
  EXPECT_EQ(choose(x, "ASYMMETRIC", {1, 3}).attr("keepdim", true).run_all()[0].shape(), (Shape{4, 1}));
}

// Zero points that are real numbers: the value of the middle of the range.
TEST(Affine, FloatDomain) {
  const auto chosen = choose(matrix(), "ASYMMETRIC", {2, 2}, 0, 15)
                          .attr("target_dtype", s("u8"))
                          .attr("zero_point_dtype", s("f32"))
                          .attr("preserve_zero", false)
                          .attr("zero_point_domain", s("FLOAT"))
                          .run_all();
  EXPECT_EQ(elements<float>(chosen[0]), (std::vector<float>{0.11666666716337204f, 0.25f}));
  EXPECT_EQ(elements<float>(chosen[1]), (std::vector<float>{0.4333333373069763f, 1.25f}));
  const auto in_domain = [&](Op op, Tensor x) {
    return op.in(std::move(x))
        .in(chosen[0])
        .in(chosen[1])
        .attr("block_size", std::vector<int64_t>{2, 2})
        .attr("quant_min", int64_t{0})
        .attr("quant_max", int64_t{15})
        .attr("zero_point_domain", s("FLOAT"));
  };
  const Tensor q = in_domain(Op("torchao.quantize_affine.default"), matrix()).attr("output_dtype", s("u8")).run();
  EXPECT_EQ(elements<uint8_t>(q), (std::vector<uint8_t>{0, 15, 15, 0, 5, 6, 2, 5}));
  const Tensor x = in_domain(Op("torchao.dequantize_affine.default"), q).attr("input_dtype", s("u8")).run();
  EXPECT_EQ(elements<float>(x),
            (std::vector<float>{-.5f, 1.25f, 3, -.75f, 0.0833333432674408f, 0.20000000298023224f, -.25f, .5f}));
}

TEST(Affine, NaNHasNoRange) {
  Tensor x = matrix();
  x.as<float>()[5] = NAN;
  EXPECT_NE(choose(x, "SYMMETRIC", {1, 4}).error().find("element 5 is NaN"), std::string::npos);
}

TEST(Affine, RefusesWhatDoesNotFit) {
  EXPECT_NE(choose(matrix(), "SYMMETRIC", {1, 3}).error().find("blocks of 3 do not divide axis 1"), std::string::npos);
  EXPECT_NE(choose(matrix(), "symmetric", {1, 2}).error().find("mapping_type must be one of"), std::string::npos);
  EXPECT_NE(choose(matrix(), "SYMMETRIC", {1, 2}, -300, 7).error().find("does not fit s8"), std::string::npos);
  EXPECT_NE(choose(matrix(), "SYMMETRIC", {1, 2}).attr("preserve_zero", false).error().find("preserves zero"),
            std::string::npos);
}

TEST(Decomposed, LimitsMayBeTensors) {
  const Tensor q = Op("quantized_decomposed.quantize_per_tensor.tensor2")
                       .in(tensor<float>({3}, {.5f, 1.5f, 9}))
                       .in(tensor<float>({1}, {.5f}))
                       .in(tensor<int64_t>({1}, {1}))
                       .in(tensor<int64_t>({}, {-8}))
                       .in(tensor<int64_t>({}, {7}))
                       .attr("dtype", s("s8"))
                       .run();
  EXPECT_EQ(elements<int8_t>(q), (std::vector<int8_t>{2, 4, 7}));
}

TEST(Decomposed, FakeQuantizeStaysReal) {
  const Tensor y = Op("quantized_decomposed.fake_quant_per_channel.default")
                       .in(tensor<float>({2, 3}, {.5f, -1.25f, 40, 3, 4, -100}))
                       .in(tensor<float>({2}, {.5f, 1}))
                       .in(tensor<int64_t>({2}, {0, 1}))
                       .attr("axis", int64_t{0})
                       .attr("quant_min", int64_t{-8})
                       .attr("quant_max", int64_t{7})
                       .run();
  EXPECT_EQ(elements<float>(y), (std::vector<float>{.5f, -1, 3.5f, 3, 4, -9}));
}

// An unsigned symmetric range has its zero point at 128, whatever the limits are.
TEST(Decomposed, SymmetricBytesAreCentred) {
  const auto chosen = Op("quantized_decomposed.choose_qparams_symmetric.tensor")
                          .in(tensor<float>({2}, {-1, 3}))
                          .attr("quant_min", int64_t{0})
                          .attr("quant_max", int64_t{255})
                          .attr("eps", 0x1p-12)
                          .attr("dtype", s("u8"))
                          .run_all();
  EXPECT_EQ(elements<int64_t>(chosen[1]), (std::vector<int64_t>{128}));
}

// 1 / scale and each product round to bf16 when operand and scale are bf16.
TEST(Decomposed, HalvesKeepTheirOwnArithmetic) {
  const Tensor x = tensor<float>({1, 2}, {1.0078125f, -2.03125f});
  const auto bf16 = [](const Tensor& from) {
    return Op("quantized_decomposed.convert_element_type.no_fuse").in(from).attr("dtype", s("bf16")).run();
  };
  const auto quantized = [&](const Tensor& scale) {
    return elements<int8_t>(Op("torchao.quantize_affine.default")
                                .in(bf16(x))
                                .in(scale)
                                .in(tensor<int32_t>({1}, {0}))
                                .attr("block_size", std::vector<int64_t>{1, 2})
                                .attr("output_dtype", s("s8"))
                                .run());
  };
  const Tensor scale = tensor<float>({1}, {0.0169677734375f});
  EXPECT_EQ(quantized(scale), (std::vector<int8_t>{59, -120}));
  EXPECT_EQ(quantized(bf16(scale)), (std::vector<int8_t>{60, -120}));
}

}  // namespace
}  // namespace quoin::test
