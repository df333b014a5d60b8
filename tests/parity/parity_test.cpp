// The xnnpack quantizer against every case of the reference quantizer: same graph, same integers, same results.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "import/import.hpp"
#include "match.hpp"
#include "passes/passes.hpp"
#include "plugin.hpp"
#include "quantize/fake_quantize.hpp"
#include "quantize/quantize.hpp"

namespace quoin::parity {
namespace {

// Cases that cannot pass yet, with the reason. One that passes all the same is a failure: its line must go.
const std::map<std::string, std::string> kExpectedFailures = {};

// Cases in which the reference shows a defect that reference_compatible reproduces; without it they must differ.
// Only known for the cases of the default folder.
const std::map<std::string, std::string> kDefects = {
    {"inverted_residual",
     "the reference takes hardtanh for data movement that keeps the scale, but does not know relu6, so that what "
     "follows gets a scale of its own"},
    {"module_name", "under a module scope the reference does not fuse linear and relu"},
    {"module_type", "under a module type scope the reference does not fuse linear and relu"},
};

class Samples final : public data::Dataset {
 public:
  explicit Samples(const Golden& golden) {
    for (auto batch = golden.numbered("calib.0"); !batch.empty();
         batch = golden.numbered(fmt::format("calib.{}", batches_.size())))
      batches_.push_back(std::move(batch));
  }
  size_t size() const override { return batches_.size(); }
  Result<data::Sample> sample(size_t index) const override {
    return data::Sample{"calib." + std::to_string(index), batches_[index], {}, {}};
  }
  std::string describe() const override { return "calibration batches of the case"; }
  uint64_t digest() const override { return 0; }

 private:
  std::vector<std::vector<Tensor>> batches_;
};

struct Quantized {
  ir::Graph qdq;
  std::vector<Tensor> results;
  std::vector<Tensor> simulated;  // by the prepared graph with frozen fake quantization
};

// Import, quantize and run as the case says.
Result<Quantized> quantize_as(const Golden& golden) {
  Plugin& plugin = Plugin::get();
  const kernels::KernelSet kernels;
  Diagnostics notes;
  QUOIN_TRY(ir::Graph graph, import::import_model(golden.model(), {}, notes));
  QUOIN_CHECK(passes::standard(graph, kernels, plugin.host()));
  QUOIN_TRY(auto backend, plugin.open());
  QUOIN_TRY(const auto annotations, quantize::annotate(graph, {{backend, golden.config}}, notes));
  QUOIN_TRY(auto prepared, quantize::prepare(graph, annotations, {}));
  const Samples samples(golden);
  QUOIN_CHECK(quantize::calibrate(graph, prepared, &samples, kernels, plugin.host(), nullptr, notes));
  QUOIN_TRY(ir::Graph qdq, quantize::convert(graph, prepared, notes));
  QUOIN_TRY(auto interpreter, interpret::Interpreter::create(qdq, kernels, plugin.host()));
  QUOIN_TRY(auto results, interpreter.run(golden.numbered("input")));
  QUOIN_TRY(auto fake, quantize::FakeQuantized::create(graph, prepared, kernels, plugin.host(), notes));
  fake.set(quantize::FakeMode::freeze);
  QUOIN_TRY(auto simulated, fake.run(golden.numbered("input")));
  return Quantized{std::move(qdq), std::move(results), std::move(simulated)};
}

std::vector<std::string> compare(const Golden& golden, const Quantized& ours) {
  std::vector<std::string> out = graph_differences(golden, ours.qdq);
  for (std::string& one : output_differences(golden, ours.results)) out.push_back(std::move(one));
  return out;
}

Result<std::vector<std::string>> differences(const std::string& name, bool compatible) {
  QUOIN_TRY(const Golden golden, load_golden(name, compatible));
  QUOIN_TRY(const Quantized ours, quantize_as(golden));
  return compare(golden, ours);
}

class Parity : public testing::TestWithParam<std::string> {
 protected:
  static void TearDownTestSuite() { std::printf("%zu passed, %zu failed\n", passed_, failed_); }
  static inline size_t passed_ = 0, failed_ = 0;
};

std::string lines(const Result<std::vector<std::string>>& found) {
  if (!found) return found.error().text();
  std::string text;
  for (const std::string& line : *found) text += "\n  " + line;
  return text;
}

TEST_P(Parity, EqualsTheReference) {
  const auto found = differences(GetParam(), true);
  const bool equal = found && found->empty();
  ++(equal ? passed_ : failed_);
  std::printf("%s: %s\n", GetParam().c_str(), equal ? "pass" : "fail");
  if (const auto known = kExpectedFailures.find(GetParam()); known != kExpectedFailures.end()) {
    ASSERT_FALSE(equal) << "passes, although the table says: " << known->second;
    GTEST_SKIP() << known->second;
  }
  EXPECT_TRUE(equal) << lines(found);
}

TEST_P(Parity, DiffersOnlyByKnownDefectsWhenRight) {
  if (!is_default_folder()) GTEST_SKIP() << "which cases of another folder show a defect is not known";
  if (kExpectedFailures.contains(GetParam())) GTEST_SKIP() << "does not equal the reference in any mode";
  const auto found = differences(GetParam(), false);
  ASSERT_TRUE(found) << found.error().text();
  EXPECT_EQ(found->empty(), !kDefects.contains(GetParam())) << lines(found);
}

TEST_P(Parity, FrozenFakeQuantizationEqualsTheConvertedGraph) {
  const auto golden = load_golden(GetParam(), false);
  ASSERT_TRUE(golden) << golden.error().text();
  const auto found = quantize_as(*golden);
  ASSERT_TRUE(found) << found.error().text();
  ASSERT_EQ(found->simulated.size(), found->results.size());
  for (size_t i = 0; i < found->results.size(); ++i) {
    const auto a = found->simulated[i].as<float>(), b = found->results[i].as<float>();
    EXPECT_TRUE(std::ranges::equal(a, b)) << "output " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Goldens, Parity, testing::ValuesIn(golden_names()),
                         [](const auto& test) { return test.param; });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Parity);

// What the comparison must see, on a case with weights, sharing and two convolutions.
class Comparison : public testing::Test {
 protected:
  void SetUp() override {
    if (!is_default_folder()) GTEST_SKIP() << "uses a case of the default folder";
    if (golden_names().empty()) GTEST_SKIP() << golden_folder() << " is missing";
    auto loaded = load_golden("conv_maxpool_conv", true);
    ASSERT_TRUE(loaded) << loaded.error().text();
    golden = *std::move(loaded);
    auto made = quantize_as(golden);
    ASSERT_TRUE(made) << made.error().text();
    ours = *std::move(made);
    ASSERT_TRUE(compare(golden, ours).empty());
  }
  // A copy of a tensor of the case that may be written.
  Tensor& own(const std::string& name) {
    Tensor& tensor = golden.tensors.at(name);
    Tensor copy(tensor.dtype(), tensor.shape());
    std::memcpy(copy.data(), tensor.data(), tensor.bytes());
    return tensor = std::move(copy);
  }
  float output_step() const { return static_cast<float>(golden.nodes[golden.nodes.size() - 2].literals.at("scale")); }
  std::string constant(DType dtype) const {
    for (const auto& [name, tensor] : golden.tensors)
      if (name.starts_with("const.") && tensor.dtype() == dtype) return name;
    ADD_FAILURE() << "no constant of this type";
    return {};
  }
  Golden golden;
  Quantized ours;
};

TEST_F(Comparison, SeesEveryNumberOfEveryQuantizationNode) {
  for (GoldenNode& node : golden.nodes) {
    for (auto& [name, number] : node.literals) {
      const double kept = std::exchange(number, name == "scale" ? number * (1 + 3e-6) : number + 1);
      EXPECT_FALSE(compare(golden, ours).empty()) << node.name << " " << name;
      number = kept;
    }
  }
}
TEST_F(Comparison, SeesOneStepOfOneWeight) {
  const std::string name = constant(DType::s8);
  int8_t& weight = own(name).as<int8_t>()[0];
  weight = static_cast<int8_t>(weight > 0 ? weight - 1 : weight + 1);
  EXPECT_FALSE(compare(golden, ours).empty()) << name;
}
TEST_F(Comparison, SeesAScaleOfOneChannel) {
  const std::string name = "const._scale_0";
  own(name).as<float>().back() *= 1 + 3e-6f;
  EXPECT_FALSE(compare(golden, ours).empty()) << name;
}
TEST_F(Comparison, SeesAnOperandFromElsewhere) {
  for (GoldenNode& node : golden.nodes) {
    if (node.kind != GoldenNode::Kind::call || !std::holds_alternative<Ref>(node.operands[0])) continue;
    const Ref from = std::get<Ref>(node.operands[0]);
    const GoldenNode& producer = golden.nodes[from.node];
    if (producer.operands.empty()) continue;
    node.operands[0] = producer.operands[0];  // the producer is passed by
    EXPECT_FALSE(compare(golden, ours).empty()) << node.name;
    node.operands[0] = from;
  }
}
TEST_F(Comparison, SeesANodeTooMany) {
  golden.nodes.insert(golden.nodes.end() - 1, golden.nodes[golden.nodes.size() - 2]);
  EXPECT_FALSE(compare(golden, ours).empty());
}
TEST_F(Comparison, SeesOneResultTwoStepsOff) {
  own("output_quant.0").as<float>()[0] += 2 * output_step();
  EXPECT_FALSE(compare(golden, ours).empty());
}
TEST_F(Comparison, SeesMoreThanHalfAPercentOfTheResultsOneStepOff) {
  const auto result = own("output_quant.0").as<float>();
  for (size_t i = 0; i <= result.size() / 150; ++i) result[i] += output_step();
  EXPECT_FALSE(compare(golden, ours).empty());
}

TEST(Goldens, AreComplete) {
  const auto names = golden_names();
  if (names.empty()) GTEST_SKIP() << golden_folder() << " is missing";
  if (!is_default_folder()) GTEST_SKIP() << "what another folder holds is not known";
  EXPECT_GE(names.size(), 42u);
  for (const auto* table : {&kExpectedFailures, &kDefects})
    for (const auto& [name, reason] : *table)
      EXPECT_TRUE(std::find(names.begin(), names.end(), name) != names.end()) << name;
}

}  // namespace
}  // namespace quoin::parity
