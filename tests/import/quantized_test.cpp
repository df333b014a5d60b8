// Models that PyTorch quantized (tests/models/make_quantized.py) come in as they are, compute what torch computes, and
// become integers.
#include <algorithm>
#include <cmath>
#include <set>

#include "data/files.hpp"
#include "host/services.hpp"
#include "interpret/interpreter.hpp"
#include "passes/passes.hpp"
#include "quantize/in_model.hpp"
#include "quantize/quantize.hpp"
#include "support.hpp"

namespace quoin::import::test {
namespace {

struct Case {
  std::string name;
  // Operators that compute on integers in the typed form; a dynamic linear counts.
  std::multiset<std::string> integer;
  double tolerance;  // between integers and torch's float simulation: one output step, or rounding of float sums
};

std::ostream& operator<<(std::ostream& out, const Case& one) { return out << one.name; }

const std::multiset<std::string> kVision{"conv2d.default", "relu.default", "conv2d.default", "hardtanh.default",
                                         "add.Tensor",     "mean.dim",     "linear.default"};
const std::multiset<std::string> kDynamic{"linear_dynamic.default", "linear_dynamic.default"};

const std::vector<Case> kCases{
    {"static_per_channel", kVision, 0.0025},
    {"static_per_tensor", kVision, 0.0025},
    {"static_uint8", kVision, 0.0025},
    {"static_int16", kVision, 0.0001},
    {"trained_per_channel", kVision, 0.0025},
    {"trained_per_tensor", kVision, 0.0025},
    {"dynamic_per_channel", kDynamic, 1e-6},
    {"dynamic_per_tensor", kDynamic, 1e-6},
    {"affine_dynamic_int4_groups", kDynamic, 1e-6},
    {"affine_dynamic_int8_channels", kDynamic, 1e-6},
    {"affine_weights_int4_groups", {}, 1e-6},
    {"affine_weights_int8_channels", {}, 1e-6},
    {"affine_embedding", {"linear_dynamic.default"}, 1e-6},
    {"buffers", {}, 1e-6},
    {"buffers_half", {}, 0.004},      // 5.6 in binary16
    {"buffers_bfloat16", {}, 0.035},  // and in bfloat16
};

class QuantizedModel : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    const std::string stem = std::string(QUOIN_SOURCE_ROOT) + "/tests/models/quantized/" + GetParam().name;
    auto imported = import_model(stem + ".pt2", {}, notes_);
    ASSERT_TRUE(imported) << imported.error().text();
    graph_ = *std::move(imported);
    ASSERT_TRUE(passes::standard(graph_, kernels_, services_.table()));
    auto tensors = data::read_safetensors(stem + ".safetensors");
    ASSERT_TRUE(tensors) << tensors.error().text();
    input_ = tensors->at("input");
    expected_ = numbers(tensors->at("output"));
  }
  // Of any floating type.
  std::vector<float> numbers(const Tensor& tensor) {
    if (tensor.dtype() == DType::f32) return {tensor.as<float>().begin(), tensor.as<float>().end()};
    ir::Graph widen;
    const auto x = widen.add_input("x", {tensor.dtype(), tensor.shape(), nullptr});
    const auto node = widen.add_node("aten.to.dtype", {x}, {{"dtype", std::string("f32")}});
    EXPECT_TRUE(node);
    widen.set_outputs({widen.output(*node)});
    return numbers(run(widen, tensor));
  }
  Tensor run(const ir::Graph& graph, const Tensor& input) {
    auto interpreter = interpret::Interpreter::create(graph, kernels_, services_.table());
    EXPECT_TRUE(interpreter) << interpreter.error().text();
    auto outputs = interpreter->run(std::vector{input});
    EXPECT_TRUE(outputs) << outputs.error().text();
    return (*outputs)[0];
  }
  void expect_near(const std::vector<float>& found, double tolerance) {
    ASSERT_EQ(found.size(), expected_.size());
    for (size_t i = 0; i < found.size(); ++i) ASSERT_NEAR(found[i], expected_[i], tolerance) << "element " << i;
  }
  host::Services services_{host::Services::Options{}};
  kernels::KernelSet kernels_;
  Diagnostics notes_;
  ir::Graph graph_;
  Tensor input_;
  std::vector<float> expected_;
};

TEST_P(QuantizedModel, ComputesWhatTorchComputes) {
  const bool narrow = GetParam().name.starts_with("buffers_");
  expect_near(numbers(run(graph_, input_)), narrow ? GetParam().tolerance : 1e-6);
}

TEST_P(QuantizedModel, BecomesIntegers) {
  auto typed = quantize::to_typed(graph_, notes_);
  ASSERT_TRUE(typed) << typed.error().text();
  std::multiset<std::string> integer;
  for (const ir::NodeId id : typed->order()) {
    const std::string& op = typed->node(id).op();
    const bool computes = typed->value(typed->output(id)).type.qparams && !op.starts_with("quoin.");
    if (computes || op.starts_with("quoin.linear_dynamic")) integer.insert(op.substr(op.find('.') + 1));
  }
  EXPECT_EQ(integer, GetParam().integer);
  expect_near(numbers(run(*typed, input_)), GetParam().tolerance);
}

TEST_P(QuantizedModel, SaysWhatIsQuantized) {
  EXPECT_TRUE(quantize::has_quantization(graph_));
  const auto found = quantize::quantized_in_model(graph_);
  ASSERT_TRUE(found) << found.error().text();
  for (const ir::NodeId id : graph_.order()) {
    const ir::Node& node = graph_.node(id);
    EXPECT_EQ(found->contains(id), node.op() != "aten.gelu.default") << graph_.describe(id);
    if (node.op() == "aten.linear.default") {
      EXPECT_NE(found->at(id).find("weight"), std::string::npos) << found->at(id);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, QuantizedModel, testing::ValuesIn(kCases),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace quoin::import::test
