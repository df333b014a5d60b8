#include <gtest/gtest.h>

#include "ops/schema.hpp"
#include "ops/shape.hpp"

namespace quoin {
namespace {

using Ints = std::vector<int64_t>;

// One inference: Case("aten.relu.default").in({1, 2}).text() is "f32[1, 2]", or the error.
class Case {
 public:
  explicit Case(std::string_view op) : schema_(find_op(op)) {}
  Case& in(Shape shape, DType dtype = DType::f32) {
    types_.push_back(TensorType{dtype, std::move(shape), nullptr});
    return *this;
  }
  Case& quantized(Shape shape, DType dtype = DType::s8) {
    QParams qparams;
    qparams.dtype = dtype;
    qparams.scale = {0.5f};
    types_.push_back(TensorType{dtype, std::move(shape), std::make_shared<const QParams>(qparams)});
    return *this;
  }
  Case& absent() {
    types_.emplace_back(std::nullopt);
    return *this;
  }
  Case& attr(std::string name, Attr value) {
    attrs_.insert_or_assign(std::move(name), std::move(value));
    return *this;
  }
  std::string text() const {
    if (schema_ == nullptr) return "no such operator";
    const auto attrs = complete_attrs(*schema_, attrs_);
    if (!attrs) return attrs.error().text();
    std::vector<const TensorType*> operands;
    for (const auto& type : types_) operands.push_back(type ? &*type : nullptr);
    const auto result = infer_types(*schema_, operands, *attrs);
    if (!result) return result.error().text();
    std::string out;
    for (const TensorType& type : *result) out += (out.empty() ? "" : " ") + to_string(type);
    return out;
  }

 private:
  const OpSchema* schema_;
  std::vector<std::optional<TensorType>> types_;
  Attrs attrs_;
};

Case conv2d() { return Case("aten.conv2d.default"); }

TEST(InferConvolution, FollowsTheWindowFormula) {
  EXPECT_EQ(conv2d().in({1, 3, 224, 224}).in({32, 3, 3, 3}).in({32}).attr("stride", Ints{2, 2}).text(),
            "f32[1, 32, 111, 111]");
  EXPECT_EQ(conv2d().in({2, 8, 9, 9}).in({8, 1, 3, 3}).attr("groups", int64_t{8}).attr("padding", Ints{1, 1}).text(),
            "f32[2, 8, 9, 9]");
  EXPECT_EQ(conv2d().in({1, 1, 9, 9}).in({1, 1, 3, 3}).attr("dilation", Ints{2, 3}).text(), "f32[1, 1, 5, 3]");
  EXPECT_EQ(Case("aten.conv1d.default").in({1, 4, 20}).in({6, 4, 3}).attr("padding", Ints{1}).text(), "f32[1, 6, 20]");
}

TEST(InferConvolution, NamesTheMismatch) {
  EXPECT_EQ(conv2d().in({1, 3, 8, 8}).in({4, 2, 3, 3}).text(),
            "aten.conv2d.default: weight [4, 2, 3, 3] does not fit 3 input channels in 1 groups");
  EXPECT_EQ(conv2d().in({1, 3, 2, 2}).in({4, 3, 3, 3}).text(),
            "aten.conv2d.default: window of 3 (kernel 3, dilation 1) is larger than the padded input of 2");
  EXPECT_EQ(conv2d().in({3, 8, 8}).in({4, 3, 3, 3}).text(),
            "aten.conv2d.default: input must have rank 4, found [3, 8, 8]");
  EXPECT_EQ(conv2d().in({1, 3, 8, 8}).in({4, 3, 3, 3}).in({5}).text(),
            "aten.conv2d.default: bias must have shape [4], found [5]");
  EXPECT_EQ(conv2d().in({1, 3, 8, 8}).text(), "aten.conv2d.default: 1 operands, expected 2 to 3");
  EXPECT_EQ(conv2d().in({1, 3, 8, 8}).absent().text(), "aten.conv2d.default: operand 1 (weight) is missing");
}

TEST(InferConvolution, RefusesHostileAttributes) {
  EXPECT_NE(
      conv2d().in({1, 3, 8, 8}).in({4, 3, 3, 3}).attr("stride", Ints{0, 1}).text().find("stride must be at least 1"),
      std::string::npos);
  EXPECT_NE(conv2d().in({1, 3, 8, 8}).in({4, 3, 3, 3}).attr("groups", int64_t{0}).text().find("groups"),
            std::string::npos);
  EXPECT_NE(
      conv2d().in({1, 3, 8, 8}).in({4, 3, 3, 3}).attr("dilation", Ints{INT32_MAX, INT32_MAX}).text().find("window"),
      std::string::npos);
  EXPECT_NE(conv2d().in({1, 3, 8, 8}).in({4, 3, 3, 3}).attr("padding", Ints{INT64_MAX, 0}).text().find("padding"),
            std::string::npos);
  EXPECT_NE(conv2d()
                .in({1, 1, int64_t{1} << 47, 2})
                .in({1, 1, 1, 1})
                .attr("padding", Ints{INT32_MAX, INT32_MAX})
                .text()
                .find("2^48"),
            std::string::npos);
}

TEST(InferConvolution, TransposedInvertsTheFormula) {
  EXPECT_EQ(Case("aten.conv_transpose2d.input").in({1, 4, 6, 7}).in({4, 5, 3, 3}).attr("stride", Ints{2, 2}).text(),
            "f32[1, 5, 13, 15]");
  EXPECT_EQ(
      Case("aten.conv_transpose2d.input").in({1, 4, 6, 7}).in({4, 5, 3, 3}).attr("output_padding", Ints{1, 1}).text(),
      "aten.conv_transpose2d.input: output_padding 1 must be below the stride or dilation");
}

TEST(InferMatrix, MatchesInnerDims) {
  EXPECT_EQ(Case("aten.linear.default").in({2, 5, 8}).in({3, 8}).in({3}).text(), "f32[2, 5, 3]");
  EXPECT_EQ(Case("aten.linear.default").in({2, 7}).in({3, 8}).text(),
            "aten.linear.default: input [2, 7] does not fit weight [3, 8]: the last dims must be equal");
  EXPECT_EQ(Case("aten.matmul.default").in({2, 1, 4, 5}).in({3, 5, 6}).text(), "f32[2, 3, 4, 6]");
  EXPECT_EQ(Case("aten.matmul.default").in({5}).in({5}).text(), "f32[]");
  EXPECT_EQ(Case("aten.bmm.default").in({2, 4, 5}).in({3, 5, 6}).text(),
            "aten.bmm.default: batch dims differ: [2, 4, 5] and [3, 5, 6]");
}

TEST(InferElementwise, BroadcastsAndPromotes) {
  EXPECT_EQ(Case("aten.add.Tensor").in({4, 1, 3}).in({2, 3}).text(), "f32[4, 2, 3]");
  EXPECT_EQ(Case("aten.add.Tensor").in({2}, DType::s32).in({2}, DType::s64).text(), "s64[2]");
  EXPECT_EQ(Case("aten.mul.Tensor").in({2}, DType::boolean).in({2}).text(), "f32[2]");
  EXPECT_EQ(Case("aten.div.Tensor").in({2}, DType::s64).in({2}, DType::s64).text(), "f32[2]");
  EXPECT_EQ(Case("aten.add.Scalar").in({2}, DType::s64).attr("other", 1.0).text(), "s64[2]");
  EXPECT_EQ(Case("aten.add.Scalar").in({2}, DType::s64).attr("other", 0.5).text(), "f32[2]");
  EXPECT_EQ(Case("aten.ge.Scalar").in({2}, DType::s64).attr("other", 0.0).text(), "bool[2]");
  EXPECT_EQ(Case("aten.where.ScalarOther").in({3, 1}, DType::boolean).in({}).attr("other", -1e30).text(), "f32[3, 1]");
  EXPECT_EQ(Case("aten.add.Tensor").in({2}).in({3}).text(), "aten.add.Tensor: shapes [2] and [3] do not broadcast");
}

TEST(InferPooling, CountsWindows) {
  EXPECT_EQ(Case("aten.max_pool2d.default").in({1, 4, 7, 7}).attr("kernel_size", Ints{2, 2}).text(), "f32[1, 4, 3, 3]");
  EXPECT_EQ(
      Case("aten.max_pool2d.default").in({1, 4, 7, 7}).attr("kernel_size", Ints{2, 2}).attr("ceil_mode", true).text(),
      "f32[1, 4, 4, 4]");
  // The fourth window would start in the right padding: ceil_mode drops it.
  EXPECT_EQ(Case("aten.avg_pool2d.default")
                .in({1, 1, 1, 4})
                .attr("kernel_size", Ints{1, 2})
                .attr("stride", Ints{1, 3})
                .attr("padding", Ints{0, 1})
                .attr("ceil_mode", true)
                .text(),
            "f32[1, 1, 1, 2]");
  EXPECT_EQ(Case("aten.adaptive_avg_pool2d.default").in({1, 4, 7, 7}).attr("output_size", Ints{1, 1}).text(),
            "f32[1, 4, 1, 1]");
  EXPECT_EQ(Case("aten.avg_pool2d.default")
                .in({1, 1, 4, 4})
                .attr("kernel_size", Ints{2, 2})
                .attr("padding", Ints{2, 2})
                .text(),
            "aten.avg_pool2d.default: padding 2 must be at most half of the kernel size 2");
}

TEST(InferReduction, WrapsDims) {
  EXPECT_EQ(Case("aten.mean.dim").in({2, 3, 4}).attr("dim", Ints{-1, 1}).text(), "f32[2]");
  EXPECT_EQ(Case("aten.mean.dim").in({2, 3, 4}).attr("dim", Ints{-1}).attr("keepdim", true).text(), "f32[2, 3, 1]");
  EXPECT_EQ(Case("aten.sum.dim_IntList").in({2, 3}, DType::boolean).text(), "s64[]");
  EXPECT_EQ(Case("aten.argmax.default").in({2, 3}).attr("dim", int64_t{-1}).text(), "s64[2]");
  EXPECT_EQ(Case("aten.mean.dim").in({2, 3}).attr("dim", Ints{2}).text(),
            "aten.mean.dim: dim 2 is out of range for rank 2");
  EXPECT_EQ(Case("aten.mean.dim").in({2, 3}).attr("dim", Ints{1, -1}).text(),
            "aten.mean.dim: dim [1, -1] names a dim twice");
}

TEST(InferReshaping, FillsTheHole) {
  EXPECT_EQ(Case("aten.view.default").in({2, 3, 4}).attr("size", Ints{4, -1}).text(), "f32[4, 6]");
  EXPECT_EQ(Case("aten.view.default").in({2, 3, 4}).attr("size", Ints{5, -1}).text(),
            "aten.view.default: [2, 3, 4] does not reshape to [5, -1]");
  EXPECT_EQ(Case("aten.view.default").in({4}).attr("size", Ints{-1, -1}).text(),
            "aten.view.default: shape [-1, -1] is not possible");
  EXPECT_EQ(Case("aten.flatten.using_ints").in({2, 3, 4}).attr("start_dim", int64_t{1}).text(), "f32[2, 12]");
  EXPECT_EQ(Case("aten.squeeze.dims").in({1, 3, 1}).attr("dim", Ints{0, 1}).text(), "f32[3, 1]");
  EXPECT_EQ(Case("aten.unsqueeze.default").in({3}).attr("dim", int64_t{-1}).text(), "f32[3, 1]");
}

TEST(InferMoving, ComputesShapes) {
  EXPECT_EQ(Case("aten.permute.default").in({2, 3, 4}).attr("dims", Ints{2, 0, -2}).text(), "f32[4, 2, 3]");
  EXPECT_EQ(Case("aten.transpose.int").in({2, 3, 4}).attr("dim0", int64_t{-1}).attr("dim1", int64_t{0}).text(),
            "f32[4, 3, 2]");
  EXPECT_EQ(Case("aten.slice.Tensor")
                .in({10})
                .attr("start", int64_t{-8})
                .attr("end", int64_t{100})
                .attr("step", int64_t{3})
                .text(),
            "f32[3]");
  EXPECT_EQ(Case("aten.slice.Tensor").in({10}).attr("start", int64_t{8}).attr("end", int64_t{2}).text(), "f32[0]");
  EXPECT_EQ(Case("aten.slice.Tensor").in({10}).attr("step", INT64_MAX).text(), "f32[1]");
  EXPECT_EQ(Case("aten.cat.default").in({1, 2}).in({1, 3}).in({1, 4}).attr("dim", int64_t{-1}).text(), "f32[1, 9]");
  EXPECT_EQ(Case("aten.cat.default").in({1, 2}).in({2, 3}).attr("dim", int64_t{1}).text(),
            "aten.cat.default: operand 1 has shape [2, 3], which differs outside dim 1");
  EXPECT_EQ(Case("aten.stack.default").in({2}).in({2}).attr("dim", int64_t{1}).text(), "f32[2, 2]");
  EXPECT_EQ(Case("aten.pad.default").in({1, 3}).attr("pad", Ints{1, 2, 0, 1}).text(), "f32[2, 6]");
  EXPECT_EQ(Case("aten.pad.default").in({1, 3}).attr("pad", Ints{1, 2}).attr("mode", std::string("reflect")).text(),
            "aten.pad.default: mode reflect (only constant padding is known)");
  EXPECT_EQ(Case("aten.expand.default").in({1, 3}).attr("size", Ints{2, 4, -1}).text(), "f32[2, 4, 3]");
  EXPECT_EQ(Case("aten.repeat.default").in({2, 3}).attr("repeats", Ints{2, 1, 2}).text(), "f32[2, 2, 6]");
}

TEST(InferIndexing, FollowsAdvancedIndexingRules) {
  const DType i = DType::s64;
  EXPECT_EQ(Case("aten.embedding.default").in({100, 8}).in({1, 5}, i).text(), "f32[1, 5, 8]");
  EXPECT_EQ(Case("aten.gather.default").in({2, 512}).in({2, 7}, i).attr("dim", int64_t{1}).text(), "f32[2, 7]");
  EXPECT_EQ(Case("aten.index.Tensor").in({1, 128}, DType::boolean).in({1, 1, 1, 1}, i).in({128}, i).text(),
            "bool[1, 1, 1, 128]");
  EXPECT_EQ(Case("aten.index.Tensor").in({2, 3, 4}).absent().in({5}, i).text(), "f32[2, 5, 4]");
  EXPECT_EQ(Case("aten.index.Tensor").in({2, 3, 4}).in({5}, i).absent().in({5}, i).text(), "f32[5, 3]");
  EXPECT_EQ(Case("aten.index.Tensor").in({2}).in({2}, DType::boolean).text(),
            "aten.index.Tensor: a bool mask as index gives a shape that depends on the data");
  EXPECT_EQ(Case("aten.embedding.default").in({100, 8}).in({5}).text(),
            "aten.embedding.default: indices must be s64 or s32, found f32");
}

TEST(InferCreation, ReadsAttributes) {
  EXPECT_EQ(Case("aten.arange.start_step").attr("start", 1.0).attr("end", 6.0).attr("step", 2.0).text(), "s64[3]");
  EXPECT_EQ(Case("aten.arange.start_step").attr("end", 1.0).attr("step", 0.25).text(), "f32[4]");
  EXPECT_EQ(Case("aten.full.default")
                .attr("size", Ints{2, 3})
                .attr("fill_value", 1.0)
                .attr("dtype", std::string("bool"))
                .text(),
            "bool[2, 3]");
  EXPECT_NE(Case("aten.full.default")
                .attr("size", Ints{int64_t{1} << 40, 1 << 20})
                .attr("fill_value", 0.0)
                .text()
                .find("2^48"),
            std::string::npos);
  EXPECT_NE(Case("aten.arange.start_step").attr("end", 1e300).text().find("not possible"), std::string::npos);
  EXPECT_NE(Case("aten.full.default")
                .attr("size", Ints{1})
                .attr("fill_value", 0.0)
                .attr("dtype", std::string("float"))
                .text()
                .find("not an element type"),
            std::string::npos);
}

TEST(InferQuantized, SeesRealNumbers) {
  EXPECT_EQ(conv2d().quantized({1, 3, 8, 8}).quantized({4, 3, 3, 3}).quantized({4}, DType::s32).text(),
            "f32[1, 4, 6, 6]");
  EXPECT_EQ(Case("aten.relu.default").quantized({2}).text(), "f32[2]");
  EXPECT_EQ(Case("quoin.quantize.default").in({2, 3}).text(), "f32[2, 3]");
  EXPECT_EQ(Case("quoin.linear_dynamic.default").in({2, 8}).quantized({3, 8}).text(), "f32[2, 3]");
}

Case per_tensor(const char* op, const char* dtype, int64_t low, int64_t high) {
  return Case(op)
      .attr("scale", 0.1)
      .attr("zero_point", int64_t{0})
      .attr("quant_min", low)
      .attr("quant_max", high)
      .attr("dtype", std::string(dtype));
}

TEST(InferQuantized, DecomposedOperatorsMakePlainIntegers) {
  const char *quantize = "quantized_decomposed.quantize_per_tensor.default",
             *dequantize = "quantized_decomposed.dequantize_per_tensor.default";
  EXPECT_EQ(per_tensor(quantize, "s8", -128, 127).in({4}).text(), "s8[4]");
  EXPECT_EQ(per_tensor(dequantize, "u8", 0, 255).in({4}, DType::u8).text(), "f32[4]");
  EXPECT_EQ(per_tensor(quantize, "s8", -128, 200).in({4}).text(),
            std::string(quantize) + ": range -128..200 does not fit s8");
  EXPECT_EQ(per_tensor(dequantize, "u8", 0, 255).in({4}, DType::s8).text(),
            std::string(dequantize) + ": input is s8, but dtype says u8");
  EXPECT_EQ(Case("quantized_decomposed.choose_qparams.tensor")
                .in({4})
                .attr("quant_min", int64_t{-128})
                .attr("quant_max", int64_t{127})
                .attr("eps", 1e-4)
                .attr("dtype", std::string("s8"))
                .text(),
            "f64[1] s64[1]");
  EXPECT_EQ(Case("quantized_decomposed.choose_qparams_per_token_asymmetric.default")
                .in({2, 3, 4})
                .attr("dtype", std::string("s8"))
                .text(),
            "f64[2, 3, 1] s64[2, 3, 1]");
}

TEST(Promotion, PrefersFloatThenWidth) {
  EXPECT_EQ(promote(DType::s8, DType::u8), DType::s16);
  EXPECT_EQ(promote(DType::f16, DType::bf16), DType::f32);
  EXPECT_EQ(promote(DType::f16, DType::s64), DType::f16);
  EXPECT_EQ(with_number(DType::boolean, 2.0), DType::s64);
  EXPECT_EQ(with_number(DType::s64, 1e30), DType::f32);
}

}  // namespace
}  // namespace quoin
