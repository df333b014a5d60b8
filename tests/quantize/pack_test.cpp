// Weights of 4 and 2 bits from the annotation to a program file that runs.
#include "lower/lower.hpp"
#include "program/file.hpp"
#include "runtime/executable.hpp"
#include "support.hpp"

namespace quoin::quantize {
namespace {

Spec few_bits(DType dtype, Scheme scheme = Scheme::per_channel) {
  Spec spec = test::weight(scheme == Scheme::per_channel ? 0 : -1);
  spec.dtype = dtype;
  std::tie(spec.qmin, spec.qmax) = storage_range(dtype);
  spec.symmetric = dtype != DType::u4;
  spec.scheme = scheme;
  return spec;
}

struct Case {
  std::string name;
  Spec weight;
  bool dynamic = false;
  bool integer = true;  // computes on integers
};

Spec with_group(Spec spec, uint32_t group) {
  spec.group = group;
  return spec;
}
Spec with_block(Spec spec, std::vector<int64_t> block) {
  spec.block = std::move(block);
  return spec;
}

class Packed : public ::testing::TestWithParam<Case> {
 protected:
  static constexpr int64_t kRows = 24, kColumns = 64;

  // linear [5, 64] -> [5, 24]
  ir::Graph qdq() {
    const auto x = model_.input({5, kColumns});
    const auto w = model_.constant(test::random_tensor({kRows, kColumns}, 1));
    const auto linear = model_.add("aten.linear.default", {x, w}, {}, "fc");
    model_.graph.set_outputs({model_.value(linear)});
    if (GetParam().dynamic) {
      model_.annotate(test::in(linear, 0), test::dynamic(Scheme::per_token));
      model_.annotate(test::in(linear, 1), GetParam().weight);
    } else {
      model_.annotate_product(linear, true, GetParam().weight);
    }
    return model_.qdq({{input_}});
  }
  Tensor interpreted(const ir::Graph& graph) const {
    const kernels::KernelSet kernels;
    auto interpreter = test::ok(interpret::Interpreter::create(graph, kernels, test::host()));
    return test::ok(interpreter.run(std::vector<Tensor>{input_}))[0];
  }
  const Tensor input_ = test::random_tensor({5, kColumns}, 2);
  test::Model model_;
};

const ir::Value* packed_weight(const ir::Graph& graph) {
  for (ir::ValueId id = 0; id < graph.value_capacity(); ++id)
    if (graph.value(id).alive && graph.value(id).constant && bits(graph.value(id).type.dtype) < 8)
      return &graph.value(id);
  return nullptr;
}

TEST_P(Packed, RunsFromAFileOfPackedWeights) {
  const ir::Graph explicit_graph = qdq(), typed = model_.typed(explicit_graph);
  test::ok(ir::verify(typed));
  const ir::Value* weight = packed_weight(typed);
  ASSERT_NE(weight, nullptr);
  EXPECT_EQ(weight->type.dtype, GetParam().weight.dtype);
  EXPECT_EQ(static_cast<int64_t>(weight->constant->bytes()), kRows * kColumns * bits(weight->type.dtype) / 8);

  // Fewer bits than activations: one step of the result, or float noise.
  const Tensor expected = interpreted(explicit_graph), found = interpreted(typed);
  const float tolerance = GetParam().dynamic || !GetParam().integer ? 1e-4f : 0.2f;
  for (int64_t i = 0; i < expected.size(); ++i)
    EXPECT_NEAR(found.as<float>()[i], expected.as<float>()[i], tolerance) << "element " << i;

  const kernels::KernelSet kernels;
  Diagnostics diagnostics;
  const auto lowered = test::ok(lower::lower(typed, {}, kernels, test::host(), diagnostics));
  const auto file = std::make_shared<std::vector<std::byte>>(test::ok(program::serialize(lowered.model)));
  program::Model model = test::ok(program::read(file, *file, "packed.quoin"));
  runtime::Options options;
  options.kernels = &kernels;
  auto executable = test::ok(runtime::Executable::load(std::move(model), options, test::host(), diagnostics));
  const Tensor ran = test::ok(executable.run(std::vector<Tensor>{input_}))[0];
  EXPECT_EQ(std::memcmp(ran.data(), found.data(), found.bytes()), 0);

  const auto integer = [](const lower::Placement& row) {
    return row.op.find("linear") != std::string::npos && row.kernel.find("float") == std::string::npos;
  };
  EXPECT_EQ(std::ranges::any_of(lowered.placement, integer), GetParam().integer);
}

INSTANTIATE_TEST_SUITE_P(
    Weights, Packed,
    ::testing::Values(Case{"S4PerChannel", few_bits(DType::s4)}, Case{"U4PerChannel", few_bits(DType::u4)},
                      Case{"S2PerChannel", few_bits(DType::s2)},
                      Case{"S4PerTensor", few_bits(DType::s4, Scheme::per_tensor)},
                      Case{"S4Dynamic", few_bits(DType::s4), true},
                      Case{"S4GroupsDynamic", with_group(few_bits(DType::s4, Scheme::per_group), 16), true},
                      Case{"S2GroupsDynamic", with_group(few_bits(DType::s2, Scheme::per_group), 8), true},
                      Case{"S4Groups", with_group(few_bits(DType::s4, Scheme::per_group), 16), false, false},
                      Case{"S4Blocks", with_block(few_bits(DType::s4, Scheme::per_block), {4, 32}), false, false}),
    [](const auto& param_info) { return param_info.param.name; });

// Half a megabyte of weights in bytes is a quarter in 4 bits and an eighth in 2.
TEST(PackedFile, IsAsSmallAsItsWeights) {
  const auto size_of = [](const Spec& spec) {
    test::Model model;
    const auto x = model.input({1, 1024});
    const auto linear = model.add("aten.linear.default", {x, model.constant(test::random_tensor({512, 1024}, 3))});
    model.graph.set_outputs({model.value(linear)});
    model.annotate_product(linear, true, spec);
    const ir::Graph typed = model.typed(model.qdq({{test::random_tensor({1, 1024}, 4)}}));
    const kernels::KernelSet kernels;
    Diagnostics diagnostics;
    const auto lowered = test::ok(lower::lower(typed, {}, kernels, test::host(), diagnostics));
    return test::ok(program::serialize(lowered.model)).size();
  };
  const size_t bytes = size_of(test::weight()), nibbles = size_of(few_bits(DType::s4)),
               quarters = size_of(few_bits(DType::s2));
  EXPECT_NEAR(static_cast<double>(bytes - nibbles), 512 * 1024 / 2, 4096);
  EXPECT_NEAR(static_cast<double>(bytes - quarters), 512 * 1024 * 3 / 4, 4096);
}

TEST(PackedConvolution, ReadsItsWeightPacked) {
  test::Model model;
  const auto x = model.input({1, 4, 6, 6});
  const auto conv = model.add("aten.conv2d.default", {x, model.constant(test::random_tensor({8, 4, 3, 3}, 5))});
  model.graph.set_outputs({model.value(conv)});
  model.annotate_product(conv, true, few_bits(DType::s4));
  const Tensor input = test::random_tensor({1, 4, 6, 6}, 6);
  const ir::Graph explicit_graph = model.qdq({{input}}), typed = model.typed(explicit_graph);
  ASSERT_NE(packed_weight(typed), nullptr);
  EXPECT_EQ(packed_weight(typed)->constant->bytes(), 8u * 4 * 3 * 2) << "rows of 3 take 2 bytes";
  const auto run = [&](const ir::Graph& graph) {
    const kernels::KernelSet kernels;
    auto interpreter = test::ok(interpret::Interpreter::create(graph, kernels, test::host()));
    return test::ok(interpreter.run(std::vector<Tensor>{input}))[0];
  };
  const Tensor expected = run(explicit_graph), found = run(typed);
  for (int64_t i = 0; i < expected.size(); ++i)
    EXPECT_NEAR(found.as<float>()[i], expected.as<float>()[i], 0.1f) << "element " << i;
}

}  // namespace
}  // namespace quoin::quantize
