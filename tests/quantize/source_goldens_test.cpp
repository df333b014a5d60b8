// Weight quantization of the reference, case by case: equal codes and zero points, scales within 1e-6, and outputs
// within 1e-4 from the explicit graph as well as from its typed form.
#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "../goldens.hpp"
#include "data/files.hpp"
#include "quantize/intx.hpp"
#include "support.hpp"

namespace quoin::quantize {
namespace {

IntxConfig config_of(const nlohmann::json& item) {
  static const std::map<std::string, WeightMapping> mappings{
      {"SYMMETRIC", WeightMapping::symmetric},
      {"SYMMETRIC_NO_CLIPPING_ERR", WeightMapping::symmetric_no_clipping},
      {"ASYMMETRIC", WeightMapping::asymmetric}};
  IntxConfig config;
  config.bits = item.at("bits");
  config.group = item.at("group_size");
  config.mapping = mappings.at(item.at("mapping"));
  return config;
}

// Largest difference, in units of the largest magnitude.
double distance(std::span<const float> found, std::span<const float> expected) {
  double difference = 0, reach = 0;
  if (found.size() != expected.size()) return INFINITY;
  for (size_t i = 0; i < found.size(); ++i) {
    difference = std::max(difference, std::fabs(static_cast<double>(found[i]) - static_cast<double>(expected[i])));
    reach = std::max(reach, std::fabs(static_cast<double>(expected[i])));
  }
  return difference / reach;
}

// x -> (dynamic per token) -> linear with a dequantized weight, as torchao exports it.
class LayerGraph {
 public:
  LayerGraph(const Tensor& x, const IntxWeight& weight, const Tensor* bias, bool dynamic) {
    const ir::ValueId input = graph_.add_input("x", {DType::f32, x.shape(), nullptr});
    const ir::ValueId data = dynamic ? quantized(input, x.shape()) : input;
    const QParams& q = weight.qparams;
    const int64_t rows = weight.codes.shape()[0], columns = weight.codes.shape()[1];
    const int64_t groups = static_cast<int64_t>(q.scale.size()) / rows;
    const auto codes = graph_.add_constant("codes", weight.codes);
    const auto scale = graph_.add_constant("scale", Tensor::of<float>(DType::f32, {rows, groups}, q.scale));
    const auto zero = graph_.add_constant("zero", Tensor::of<int32_t>(DType::s32, {rows, groups}, q.zero_point));
    const auto real = add("torchao.dequantize_affine.default", {codes, scale, zero},
                          {{"block_size", Shape{1, columns / groups}},
                           {"input_dtype", std::string("s8")},
                           {"quant_min", int64_t{q.qmin}},
                           {"quant_max", int64_t{q.qmax}}});
    const auto added = bias ? graph_.add_constant("bias", *bias) : ir::kNone;
    graph_.set_outputs({add("aten.linear.default", {data, real, added}, {})});
  }
  ir::Graph& graph() { return graph_; }

 private:
  ir::ValueId add(std::string_view op, std::vector<ir::ValueId> inputs, Attrs attrs) {
    return graph_.output(test::ok(graph_.add_node(op, std::move(inputs), std::move(attrs))));
  }
  ir::ValueId quantized(ir::ValueId x, const Shape& shape) {
    const Shape block{1, shape[1]};
    const std::string s8 = "s8";
    const auto chooser = test::ok(graph_.add_node("torchao.choose_qparams_affine.default", {x},
                                                  {{"mapping_type", std::string("ASYMMETRIC")},
                                                   {"block_size", block},
                                                   {"target_dtype", s8},
                                                   {"zero_point_dtype", s8}}));
    const ir::ValueId scale = graph_.output(chooser, 0), zero = graph_.output(chooser, 1);
    const auto q =
        add("torchao.quantize_affine.default", {x, scale, zero}, {{"block_size", block}, {"output_dtype", s8}});
    return add("torchao.dequantize_affine.default", {q, scale, zero}, {{"block_size", block}, {"input_dtype", s8}});
  }
  ir::Graph graph_;
};

Tensor run(const ir::Graph& graph, const Tensor& x) {
  const kernels::KernelSet kernels;
  auto interpreter = test::ok(interpret::Interpreter::create(graph, kernels, test::host()));
  return test::ok(interpreter.run(std::vector<Tensor>{x}))[0];
}

void check_outputs(const Tensor& x, const IntxWeight& weight, const Tensor* bias, const Tensor& expected,
                   bool dynamic) {
  LayerGraph layer(x, weight, bias, dynamic);
  EXPECT_LT(distance(run(layer.graph(), x).as<float>(), expected.as<float>()), 1e-4);
  Diagnostics diagnostics;
  const ir::Graph typed = test::ok(to_typed(layer.graph(), diagnostics));
  const std::string& last = typed.node(typed.order().back()).op();
  EXPECT_EQ(last, dynamic ? "quoin.linear_dynamic.default" : "aten.linear.default");
  EXPECT_LT(distance(run(typed, x).as<float>(), expected.as<float>()), 1e-4);
}

void check_case(const nlohmann::json& item, const data::TensorMap& tensors) {
  const std::string id = item.at("id");
  const auto at = [&](const char* key) -> const Tensor& { return tensors.at(id + "." + key); };
  const IntxWeight weight = test::ok(quantize_weight(at("weight"), config_of(item)));
  const auto codes = weight.codes.as<int8_t>(), wanted = at("qdata").as<int8_t>();
  EXPECT_TRUE(std::equal(codes.begin(), codes.end(), wanted.begin(), wanted.end())) << "codes";
  const auto zeros = at("zero_point").as<int32_t>();
  EXPECT_EQ(weight.qparams.zero_point, std::vector<int32_t>(zeros.begin(), zeros.end()));
  const auto scales = at("scale").as<float>();
  ASSERT_EQ(weight.qparams.scale.size(), scales.size());
  for (size_t i = 0; i < scales.size(); ++i) EXPECT_NEAR(weight.qparams.scale[i] / scales[i], 1, 1e-6) << "scale " << i;
  const auto bias = tensors.find(id + ".bias");
  check_outputs(at("x"), weight, bias == tensors.end() ? nullptr : &bias->second, at("y_quant"),
                item.at("mode") == "int8_dynamic_activation");
}

TEST(SourceGoldens, AllCasesAreEqual) {
  const std::string base = quoin::test::goldens_folder() + "/numerics/source_quant";
  std::ifstream file(base + ".json");
  if (!file) GTEST_SKIP() << base << ".json is missing";
  const auto cases = nlohmann::json::parse(file);
  const data::TensorMap tensors = test::ok(data::read_safetensors(base + ".safetensors"));
  quoin::test::Tally tally;
  for (const auto& item : cases) {
    const std::string id = item.at("id");
    SCOPED_TRACE(id);
    const int failed = ::testing::UnitTest::GetInstance()->current_test_info()->result()->total_part_count();
    check_case(item, tensors);
    tally.add(id, ::testing::UnitTest::GetInstance()->current_test_info()->result()->total_part_count() == failed);
  }
  EXPECT_TRUE(tally.all());
  if (quoin::test::default_goldens()) {
    EXPECT_EQ(tally.passed(), 18u);
  }
}

}  // namespace
}  // namespace quoin::quantize
