// The reference's source-based quantization through the public classes: equal codes, scales and zero points, outputs
// within 1e-4.
#include <fstream>
#include <nlohmann/json.hpp>

#include "../goldens.hpp"
#include "data/files.hpp"
#include "support.hpp"

namespace quoin::source::test {
namespace {

// The class that a user takes for the case; for what no class has, a rule.
Quantizer quantizer_for(const nlohmann::json& item) {
  static const std::map<std::string, WeightMapping> mappings{
      {"SYMMETRIC", WeightMapping::symmetric},
      {"SYMMETRIC_NO_CLIPPING_ERR", WeightMapping::symmetric_no_clipping},
      {"ASYMMETRIC", WeightMapping::asymmetric}};
  const uint32_t bits = item.at("bits");
  const int64_t group = item.at("group_size");
  const WeightMapping mapping = mappings.at(item.at("mapping"));
  if (item.at("mode") == "weight_only")
    return IntxWeightOnlyQuantizer({.bits = bits, .group_size = group, .mapping = mapping});
  if (bits == 4) return Int8DynActInt4WeightQuantizer({.group_size = group, .mapping = mapping});
  if (bits == 8) return Int8DynActInt8WeightQuantizer({.group_size = group, .mapping = mapping});
  LayerConfig config = weights(bits, group);
  config.mapping = mapping;
  config.dynamic_activations = true;
  return Quantizer({rule(config)});
}

class Case {
 public:
  Case(const nlohmann::json& item, const data::TensorMap& tensors)
      : item_(item), id_(item.at("id")), tensors_(tensors) {}

  void check() {
    std::optional<Tensor> bias;
    if (tensors_.contains(id_ + ".bias")) bias = at("bias");
    const auto x = net_.input(at("x").shape());
    net_.returns({net_.linear(x, "fc", at("weight"), bias)});
    Diagnostics diagnostics;
    const Report report = must(quantizer_for(item_).quantize(net_.graph, {}, {nn::test::host(), diagnostics}));
    ASSERT_TRUE(report.lines.at(0).quantized);
    check_weight(quantized_weight(net_.graph, "fc"));
    check_output(run(net_.graph, {at("x")})[0]);
  }

 private:
  const Tensor& at(const std::string& key) const { return tensors_.at(id_ + "." + key); }

  void check_weight(const checkpoint::Quantized& weight) const {
    const auto wanted = at("qdata").as<int8_t>();
    EXPECT_EQ(codes(weight.codes), std::vector<int64_t>(wanted.begin(), wanted.end()));
    const auto zeros = at("zero_point").as<int32_t>();
    const auto scales = at("scale").as<float>();
    ASSERT_EQ(weight.qparams->scale.size(), scales.size());
    for (size_t i = 0; i < scales.size(); ++i) {
      EXPECT_EQ(weight.qparams->zero_point_at(i), zeros[i]) << i;
      EXPECT_NEAR(weight.qparams->scale[i] / scales[i], 1, 1e-6) << i;
    }
  }
  void check_output(const Tensor& found) const {
    const auto y = found.as<float>(), wanted = at("y_quant").as<float>();
    ASSERT_EQ(y.size(), wanted.size());
    double reach = 0;
    for (const float value : wanted) reach = std::max(reach, std::fabs(static_cast<double>(value)));
    EXPECT_LT(nn::test::difference(y, wanted), 1e-4 * reach);
  }

  const nlohmann::json& item_;
  const std::string id_;
  const data::TensorMap& tensors_;
  Net net_;
};

TEST(SourceGoldens, TheClassesGiveTheReferencesNumbers) {
  const std::string base = quoin::test::goldens_folder() + "/numerics/source_quant";
  std::ifstream file(base + ".json");
  if (!file) GTEST_SKIP() << base << ".json is missing (set QUOIN_SHARED or QUOIN_GOLDENS)";
  const auto cases = nlohmann::json::parse(file);
  const data::TensorMap tensors = must(data::read_safetensors(base + ".safetensors"));
  const auto& parts = *::testing::UnitTest::GetInstance()->current_test_info()->result();
  quoin::test::Tally tally;
  for (const auto& item : cases) {
    const std::string id = item.at("id");
    SCOPED_TRACE(id);
    const int before = parts.total_part_count();
    Case(item, tensors).check();
    tally.add(id, parts.total_part_count() == before);
  }
  EXPECT_TRUE(tally.all());
  if (quoin::test::default_goldens()) {
    EXPECT_EQ(tally.passed(), 18u);
  }
}

}  // namespace
}  // namespace quoin::source::test
