// Every elementwise operator, written over each operand that the rule allows, gives the bits that it gives apart.
#include <algorithm>
#include <cstring>
#include <set>

#include "fixture.hpp"
#include "ops/abi_read.hpp"
#include "program/flatten.hpp"
#include "program/view/lifetime.hpp"

namespace quoin::runtime {
namespace {

constexpr uint64_t kApart = 1 << 16;  // bytes between values

std::shared_ptr<const QParams> codes(float scale, int32_t zero_point) {
  QParams q;
  q.dtype = DType::u8;
  q.qmin = 0, q.qmax = 255;
  q.scale = {scale};
  q.zero_point = {zero_point};
  return std::make_shared<const QParams>(std::move(q));
}

Attrs attrs_of(const OpSchema& schema) {
  Attrs attrs;
  for (const AttrSpec& spec : schema.attrs) {
    if (spec.fallback) continue;
    if (spec.name == "dtype") attrs["dtype"] = std::string("s32");
    if (spec.kind == AttrKind::number) attrs[spec.name] = spec.name.find("max") != std::string::npos ? 1.5 : 0.75;
  }
  return attrs;
}

// Copies of the inputs, the operator on them, a copy of its result.
struct Case {
  program::Graph graph;
  std::vector<Tensor> inputs;
  uint32_t result = 0;
  std::vector<uint32_t> operands;

  uint32_t value(const TensorType& type) {
    graph.values.push_back({"v" + std::to_string(graph.values.size()), type, {}, 0});
    return static_cast<uint32_t>(graph.values.size() - 1);
  }
  uint32_t node(const std::string& op, std::vector<uint32_t> from, const TensorType& type, Attrs attrs = {}) {
    program::Node& node = graph.nodes.emplace_back();
    node.op = op;
    node.inputs = std::move(from);
    node.outputs = {value(type)};
    node.attrs = std::move(attrs);
    return node.outputs[0];
  }
  void input(const TensorType& type, size_t seed) {
    graph.inputs.push_back(value(type));
    Tensor& tensor = inputs.emplace_back(type.dtype, type.shape);
    for (size_t i = 0; i < tensor.bytes(); ++i)
      static_cast<uint8_t*>(tensor.data())[i] = static_cast<uint8_t>(i * 37 + seed);
    if (type.dtype == DType::f32)
      for (size_t i = 0; i < tensor.as<float>().size(); ++i)
        tensor.as<float>()[i] = static_cast<float>((i * 7 + seed) % 61) / 10 - 3;
    if (type.dtype == DType::boolean)
      for (uint8_t& v : tensor.as<uint8_t>()) v &= 1;
    operands.push_back(node("aten.clone.default", {graph.inputs.back()}, type));
  }
};

// nullopt: the operator does not take these types. `rest`: the shape of every operand but the first.
std::optional<Case> make_case(const OpSchema& schema, const TensorType& first, const Shape& rest) {
  Case out;
  for (size_t i = 0; i < schema.inputs.size(); ++i) {
    TensorType type = first;
    if (i != 0) type.shape = rest;
    if (schema.inputs[i].name == "condition") type = {DType::boolean, type.shape, nullptr};
    out.input(type, 11 * i);
  }
  const auto attrs = complete_attrs(schema, attrs_of(schema));
  if (!attrs) return std::nullopt;
  std::vector<const TensorType*> operands;
  for (const uint32_t id : out.operands) operands.push_back(&out.graph.values[id].type);
  const auto types = infer_types(schema, operands, *attrs);
  if (!types || types->size() != 1) return std::nullopt;
  TensorType result = types->front();
  if (first.qparams && result.dtype == DType::f32) result = {first.dtype, result.shape, codes(0.03f, 100)};
  out.result = out.node(schema.name, out.operands, result, *attrs);
  out.graph.outputs = {out.node("aten.clone.default", {out.result}, result)};
  return out;
}

// A graph as the rules read it.
struct Flat {
  explicit Flat(const program::Graph& of) : graph(program::flatten(of, memory)) {
    Fault fault;
    EXPECT_TRUE(program::view::in_arena(graph, memory, arena, fault));
  }
  Arena memory{heap()};
  const program::view::Graph& graph;
  std::span<bool> arena;
};

class Overwriting : public Running {
 protected:
  // With the result at the place of operand `slot`, or apart.
  std::optional<std::vector<uint8_t>> bits_of(Case made, std::optional<size_t> slot) {
    program::Graph& whole = made.graph;
    const Flat flat(whole);
    uint64_t end = 0;
    for (size_t id = 0; id < whole.values.size(); ++id) {
      program::Value& v = whole.values[id];
      if (!flat.arena[id]) continue;
      v.offset = id * kApart;
      if (slot && id == made.result) v.offset = whole.values[made.operands[*slot]].offset;
      end = std::max(end, v.offset + static_cast<uint64_t>(byte_size(v.type.dtype, v.type.shape)));
    }
    whole.arena_size = (end + 63) / 64 * 64;
    program::Model model;
    model.methods = {{"forward", whole}};
    auto executable = load(std::move(model));
    if (!executable && executable.error().code == Code::unsupported) return std::nullopt;  // types without a kernel
    EXPECT_TRUE(executable) << why(executable);
    if (!executable) return std::nullopt;
    const auto outputs = executable->run(made.inputs);
    EXPECT_TRUE(outputs) << outputs.error().text();
    if (!outputs) return std::nullopt;
    const Tensor& y = outputs->front();
    const auto* data = static_cast<const uint8_t*>(y.data());
    return std::vector<uint8_t>(data, data + y.bytes());
  }
};

TEST_F(Overwriting, GivesTheSameBits) {
  const Shape shape = {5, 3, 37}, row = {37};
  const std::vector<TensorType> firsts = {{DType::f32, shape, nullptr},
                                          {DType::s64, shape, nullptr},
                                          {DType::boolean, shape, nullptr},
                                          {DType::u8, shape, codes(0.05f, 90)}};
  size_t ran = 0;
  std::set<std::string> ops;
  for (const OpSchema& schema : all_ops()) {
    if (!schema.traits.elementwise || schema.traits.view) continue;
    for (const TensorType& first : firsts)
      for (const Shape& rest : {shape, row}) {
        const auto made = make_case(schema, first, rest);
        if (!made) continue;
        const Flat flat(made->graph);
        const program::view::Node& node = flat.graph.nodes[made->operands.size()];
        const auto apart = bits_of(*made, std::nullopt);
        for (size_t slot = 0; apart && slot < node.inputs.size; ++slot) {
          if (sharing(flat.graph, node, slot, flat.arena) != program::view::Sharing::in_place) continue;
          const auto over = bits_of(*made, slot);
          ASSERT_TRUE(over) << schema.name;
          EXPECT_EQ(*over, *apart) << schema.name << " over operand " << slot << " of " << to_string(first);
          ++ran;
          ops.insert(schema.name);
        }
      }
  }
  EXPECT_GE(ops.size(), 50u) << "operators that run in place";
  EXPECT_GE(ran, 200u);
}

// The planner and the runtime together: a chain in one place, and what it computes when every value has its own.
TEST_F(Overwriting, PlansGiveTheSameBitsInLessMemory) {
  program::Model planned = kernel_model();  // linear, relu, exp, add(relu, exp)
  program::Model apart = planned;
  program::Graph& spread = apart.methods[0].graph;
  const Flat flat(spread);
  uint64_t offset = 0;
  for (size_t id = 0; id < spread.values.size(); ++id)
    if (flat.arena[id]) spread.values[id].offset = std::exchange(offset, offset + 64);
  spread.arena_size = offset;
  const Flat chain(planned.methods[0].graph);
  EXPECT_TRUE(program::view::runs_in_place(chain.graph, chain.arena)) << "relu over the products";
  EXPECT_EQ(planned.methods[0].graph.arena_size, 128u);
  EXPECT_EQ(spread.arena_size, 192u);
  auto first = load(std::move(planned)), second = load(std::move(apart));
  ASSERT_TRUE(first && second) << why(first) << why(second);
  const std::vector<Tensor> inputs = {input()};
  const auto a = first->run(inputs), b = second->run(inputs);
  ASSERT_TRUE(a && b);
  EXPECT_EQ(std::memcmp(a->front().data(), b->front().data(), a->front().bytes()), 0);
}

// A kernel that clears its result before it reads: right in memory of its own only.
quoin_status clear_then_relu(const quoin_host*, void*, const quoin_run* run, quoin_error*) {
  const auto input = element<quoin_tensor>(run->inputs, 0), output = element<quoin_tensor>(run->outputs, 0);
  const auto* x = static_cast<const float*>(input.data);
  auto* y = static_cast<float*>(output.data);
  std::memset(y, 0, output.size);
  for (uint64_t i = 0; i < output.size / sizeof(float); ++i) y[i] = std::max(x[i], 0.0f);
  return QUOIN_OK;
}

TEST_F(Overwriting, KernelsThatCannotAreNotUsedThere) {
  const quoin_kernel clearing{"aten.relu.default",
                              1,
                              0,
                              nullptr,
                              0,
                              100,
                              0,
                              "clearing",
                              nullptr,
                              [](const quoin_host*, const quoin_graph*, uint32_t, void**, quoin_memory_need*,
                                 quoin_error*) -> quoin_status { return QUOIN_OK; },
                              clear_then_relu,
                              nullptr};
  auto expected = load(kernel_model());
  kernels.add("npu", {&clearing, 1, sizeof clearing}, diagnostics);
  auto given = load(kernel_model());
  ASSERT_TRUE(expected && given) << why(expected) << why(given);
  const std::vector<Tensor> inputs = {input()};
  const auto a = expected->run(inputs), b = given->run(inputs);
  ASSERT_TRUE(a && b);
  EXPECT_EQ(std::memcmp(a->front().data(), b->front().data(), a->front().bytes()), 0);
}

}  // namespace
}  // namespace quoin::runtime
