// What rules of recipes may say about a layer, and what becomes of rows that groups do not divide.
#include "source/config.hpp"

#include "support.hpp"

namespace quoin::source::test {
namespace {

using recipe::Params;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Text = std::string;

TEST(Config, QuantizersDifferInTheirDefaults) {
  EXPECT_THAT(quantizer_names(),
              ElementsAre("int8-dynamic-int4-weight", "int8-dynamic-int8-weight", "weight-only", "embedding"));
  const LayerConfig int4 = must(config_from("int8-dynamic-int4-weight", {}));
  EXPECT_EQ(summary(int4), "4 bits, groups of 32, symmetric, min_max, activations int8 per token");
  const LayerConfig int8 = must(config_from("int8-dynamic-int8-weight", {}));
  EXPECT_EQ(summary(int8), "8 bits, one scale per row, symmetric, min_max, activations int8 per token");
  EXPECT_EQ(summary(must(config_from("weight-only", {}))), "8 bits, one scale per row, symmetric, min_max");
  const LayerConfig embedding = must(config_from("embedding", {}));
  EXPECT_EQ(embedding.target, LayerConfig::Target::embedding);
  EXPECT_EQ(summary(embedding), "8 bits, groups of 32, symmetric, min_max");
}

TEST(Config, ClassesHaveTheDefaultsOfTheRecipes) {
  const auto config = [](const Quantizer& quantizer) { return *quantizer.rules().at(0).config; };
  EXPECT_EQ(config(Int8DynActInt4WeightQuantizer()), must(config_from("int8-dynamic-int4-weight", {})));
  EXPECT_EQ(config(Int8DynActInt8WeightQuantizer()), must(config_from("int8-dynamic-int8-weight", {})));
  EXPECT_EQ(config(IntxWeightOnlyQuantizer()), must(config_from("weight-only", {})));
  EXPECT_EQ(config(EmbeddingQuantizer()), must(config_from("embedding", {})));
}

TEST(Config, EveryParameterIsTaken) {
  const Params params{{"bits", int64_t{3}},
                      {"group", int64_t{64}},
                      {"mapping", Text("asymmetric")},
                      {"scales", Text("f16")},
                      {"precision", Text("bf16")},
                      {"algorithm", Text("gptq")},
                      {"uneven", Text("smaller_group")},
                      {"bias_correction", false},
                      {"damping", 0.1},
                      {"act_order", true},
                      {"sweeps", int64_t{7}},
                      {"correction", int64_t{0}},
                      {"clip", false}};
  LayerConfig expected;
  expected.bits = 3;
  expected.group = 64;
  expected.mapping = WeightMapping::asymmetric;
  expected.scale_dtype = DType::f16;
  expected.precision = DType::bf16;
  expected.algorithm = Algorithm::gptq;
  expected.uneven = Uneven::smaller_group;
  expected.bias_correction = false;
  expected.gptq = {0.1, true, 7, 0, false};
  EXPECT_EQ(must(config_from("weight-only", params)), expected);
  EXPECT_EQ(must(config_from("weight-only", {{"group", Text("row")}})).group, 0);
}

struct Mistake {
  Text quantizer;
  Params params;
  Text message, hint;
};

TEST(Config, MistakesAreNamed) {
  const Mistake mistakes[] = {
      {"int8-dynamic-int4-wieght", {}, "no quantizer", "did you mean \"int8-dynamic-int4-weight\"?"},
      {"gguf", {}, "no quantizer \"gguf\"", "there are int8-dynamic-int4-weight"},
      {"weight-only", {{"grp", int64_t{32}}}, "weight-only has no parameter \"grp\"", "did you mean \"group\"?"},
      {"weight-only", {{"zzzzzzzz", true}}, "no parameter", "its parameters are group, mapping"},
      {"int8-dynamic-int4-weight", {{"bits", int64_t{8}}}, "has no parameter \"bits\"", ""},
      {"weight-only", {{"bits", int64_t{0}}}, "parameter bits: a whole number from 1 to 8 expected", ""},
      {"weight-only", {{"bits", int64_t{9}}}, "parameter bits: a whole number from 1 to 8 expected", ""},
      {"weight-only", {{"bits", 4.0}}, "parameter bits: a whole number", ""},
      {"weight-only", {{"group", int64_t{0}}}, "parameter group: a positive whole number, or row", ""},
      {"weight-only", {{"group", int64_t{1} << 40}}, "parameter group: a positive whole number, or row", ""},
      {"weight-only", {{"group", Text("rows")}}, "parameter group: a positive whole number, or row", ""},
      {"weight-only",
       {{"mapping", Text("symetric")}},
       "one of symmetric, symmetric_no_clipping, asymmetric expected",
       "did you mean \"symmetric\"?"},
      {"weight-only", {{"scales", Text("f64")}}, "parameter scales: one of f32, f16, bf16 expected", ""},
      {"weight-only", {{"algorithm", int64_t{1}}}, "parameter algorithm: one of min_max, clip_search, hqq", ""},
      {"weight-only",
       {{"uneven", Text("padd")}},
       "parameter uneven: one of pad, smaller_group, float, error expected",
       "did you mean \"pad\"?"},
      {"weight-only", {{"clip", int64_t{1}}}, "parameter clip: true or false expected", ""},
      {"weight-only", {{"sweeps", int64_t{-1}}}, "parameter sweeps: a whole number from 0 to 1000", ""},
      {"weight-only", {{"damping", Text("much")}}, "parameter damping: a number expected", ""},
      {"weight-only", {{"algorithm", Text("gptq")}, {"damping", 0.0}}, "damping 0, expected more than 0", ""},
      {"weight-only", {{"algorithm", Text("gptq")}, {"damping", NAN}}, "damping nan, expected", ""},
      {"weight-only", {{"algorithm", Text("gptq")}, {"correction", 1.5}}, "correction 1.5, expected 0 to 1", ""},
      {"weight-only", {{"bits", int64_t{1}}, {"mapping", Text("symmetric_no_clipping")}}, "one bit holds -1 and 0", ""},
      {"weight-only", {{"algorithm", Text("hqq")}, {"mapping", Text("asymmetric")}}, "hqq fits", "use hqq_affine"},
      {"weight-only", {{"algorithm", Text("hqq")}, {"mapping", Text("symmetric_no_clipping")}}, "hqq fits", ""},
      {"weight-only", {{"sweeps", int64_t{2}}}, "parameter sweeps is of algorithm gptq, not of min_max", ""},
      {"embedding", {{"algorithm", Text("gptq")}}, "gptq needs the inputs of a linear layer", ""},
  };
  for (const Mistake& mistake : mistakes) {
    SCOPED_TRACE(mistake.message);
    const auto result = config_from(mistake.quantizer, mistake.params);
    ASSERT_TRUE(fails_with(result, Code::recipe, mistake.message));
    EXPECT_THAT(result.error().hint, HasSubstr(mistake.hint));
  }
}

TEST(Config, ConfigurationsMadeInCodeAreChecked) {
  LayerConfig embedding;
  embedding.target = LayerConfig::Target::embedding;
  embedding.dynamic_activations = true;
  EXPECT_EQ(check(embedding).error().what, "an embedding has no activations to quantize");
  LayerConfig type;
  type.scale_dtype = DType::s8;
  EXPECT_THAT(check(type).error().what, HasSubstr("scales or weights in s8"));
  EXPECT_THAT(check(weights(4, -1)).error().what, HasSubstr("groups of -1 weights"));
  EXPECT_TRUE(check(weights(4, 0)));
}

Grouping grouped(Uneven uneven, int64_t group, int64_t columns) {
  LayerConfig config = weights(4, group);
  config.uneven = uneven;
  return must(grouping(config, columns));
}

TEST(Groups, ThatDivideTheRowStay) {
  for (const Uneven uneven : {Uneven::pad, Uneven::smaller_group, Uneven::leave_float, Uneven::error}) {
    const Grouping found = grouped(uneven, 32, 96);
    EXPECT_EQ(found.group, 32);
    EXPECT_EQ(found.columns, 96);
    EXPECT_EQ(found.reason, "");
    EXPECT_TRUE(found.quantized);
  }
  EXPECT_EQ(grouped(Uneven::error, 0, 97).columns, 97) << "a row is a group of its own";
}

TEST(Groups, ThatDoNotDivideTheRowFollowThePolicy) {
  const Grouping pad = grouped(Uneven::pad, 32, 172);
  EXPECT_EQ(pad.group, 32);
  EXPECT_EQ(pad.columns, 192);
  EXPECT_EQ(pad.reason, "groups of 32 do not divide rows of 172: padded with zeros to 192");
  const Grouping smaller = grouped(Uneven::smaller_group, 32, 172);
  EXPECT_EQ(smaller.group, 4);
  EXPECT_EQ(smaller.columns, 172);
  EXPECT_EQ(smaller.reason, "groups of 32 do not divide rows of 172: groups of 4 instead");
  EXPECT_EQ(grouped(Uneven::smaller_group, 64, 48).group, 48) << "the row itself";
  EXPECT_EQ(grouped(Uneven::smaller_group, 32, 173).group, 1) << "a prime";
  const Grouping left = grouped(Uneven::leave_float, 32, 172);
  EXPECT_FALSE(left.quantized);
  EXPECT_EQ(left.reason, "groups of 32 do not divide rows of 172: left in float");
  LayerConfig strict = weights(4, 32);
  strict.uneven = Uneven::error;
  const auto refused = grouping(strict, 172);
  EXPECT_TRUE(fails_with(refused, Code::input, "groups of 32 do not divide rows of 172"));
  EXPECT_THAT(refused.error().hint, HasSubstr("pad, smaller_group or float"));
}

}  // namespace
}  // namespace quoin::source::test
