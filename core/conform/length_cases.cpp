// Group 17: dims that follow the length of a run, and states. Programs with one method, run by the ordinary runtime.
#include <array>

#include "conform/compare.hpp"
#include "conform/dice.hpp"
#include "conform/forked.hpp"
#include "conform/workbench.hpp"
#include "ir/dynamic.hpp"
#include "lower/lower.hpp"
#include "runtime/executable.hpp"

namespace quoin::conform {
namespace {

constexpr int64_t kLongest = 12, kFeatures = 16, kRows = 64;        // of a run, of an activation, of a cache
constexpr std::array<int64_t, 6> kLengths = {12, 1, 5, 5, 11, 12};  // shrinking, growing, staying

// Adds nodes; what they refuse is a fault of the kit.
struct Net {
  ir::Graph graph;
  Dice dice;
  explicit Net(uint64_t seed) : dice(static_cast<uint32_t>(seed)) {}
  ir::ValueId input(const char* name, DType dtype, Shape shape) {
    return graph.add_input(name, {dtype, std::move(shape), nullptr});
  }
  ir::ValueId weight(Shape shape) { return graph.add_constant("w", dice.tensor(std::move(shape), -0.5f, 0.5f)); }
  ir::ValueId node(const char* op, std::vector<ir::ValueId> inputs, Attrs attrs = {}) {
    return graph.output(graph.add_node(op, std::move(inputs), std::move(attrs)).value());
  }
  ir::ValueId view(ir::ValueId x, Shape shape) { return node("aten.view.default", {x}, {{"size", std::move(shape)}}); }
  ir::Graph take(std::vector<ir::ValueId> outputs, std::vector<ir::ValueId> dynamic) {
    graph.set_outputs(std::move(outputs));
    for (const ir::ValueId id : dynamic) graph.value(id).dynamic = 1;
    return std::move(graph);
  }
};

// Layers without a memory: every row of the result depends on its own row of x.
ir::Graph layers(uint64_t seed) {
  Net net(seed);
  const auto x = net.input("x", DType::f32, {kLongest, kFeatures});
  const auto hidden = net.node("aten.linear.default", {x, net.weight({24, kFeatures}), net.weight({24})});
  const auto heads = net.view(net.node("aten.relu.default", {hidden}), {-1, 4, 6});
  const auto shares = net.node("aten.softmax.int", {heads}, {{"dim", int64_t{-1}}});
  const auto product = net.node("aten.mul.Tensor", {net.view(shares, {-1, 24}), hidden});
  const auto y = net.node("aten.linear.default", {product, net.weight({8, 24}), ir::kNone});
  return net.take({y, hidden}, {x});
}

// A step of a language model with its cache.
ir::Graph decoder(uint64_t seed) {
  Net net(seed);
  const auto x = net.input("x", DType::f32, {kLongest, kFeatures});
  const auto positions = net.input("positions", DType::s64, {kLongest});
  const auto keys = net.input("keys", DType::f32, {kRows, 2, 4}),
             values = net.input("values", DType::f32, {kRows, 2, 4});
  const auto project = [&](int64_t heads) {
    return net.view(net.node("aten.linear.default", {x, net.weight({heads * 4, kFeatures}), ir::kNone}),
                    {-1, heads, 4});
  };
  const auto frequencies = net.weight({2});
  const auto query = net.node("quoin.rope.default", {project(4), positions, frequencies});
  const auto key = net.node("quoin.rope.default", {project(2), positions, frequencies});
  const auto new_keys = net.node("quoin.kv_update.default", {keys, key, positions});
  const auto new_values = net.node("quoin.kv_update.default", {values, project(2), positions});
  const auto mixed = net.node("quoin.attention.default", {query, new_keys, new_values, positions}, {{"scale", 0.5}});
  const auto y = net.node("aten.add.Tensor", {net.view(mixed, {-1, kFeatures}), x});
  ir::Graph graph = net.take({y, new_keys, new_values}, {x, positions});
  graph.states = {{"keys", 2, 1}, {"values", 3, 2}};
  return graph;
}

Result<lower::Lowered> lowered(const ir::Graph& graph, const std::vector<std::shared_ptr<host::Backend>>& order,
                               const Workbench& bench) {
  lower::Options options;
  options.order = order;
  options.isa = bench.host().isa;
  options.fallback = "allow";
  Diagnostics ignored;
  return lower::lower(graph, options, kernels::KernelSet(), bench.host(), ignored);
}

Result<runtime::Executable> loaded(program::Model model, const std::shared_ptr<host::Backend>& backend,
                                   const kernels::KernelSet& kernels, const Workbench& bench) {
  runtime::Options options;
  options.backend = [backend](const std::string&) -> Result<std::shared_ptr<host::Backend>> { return backend; };
  options.fallback = "error";
  options.kernels = &kernels;
  Diagnostics ignored;
  return runtime::Executable::load(std::move(model), options, bench.host(), ignored);
}

// Tokens `first` .. of a run.
std::vector<Tensor> inputs_of(const runtime::Executable& executable, int64_t first, int64_t length, Dice& dice) {
  std::vector<Tensor> out;
  for (const runtime::TensorSpec& spec : executable.inputs()) {
    Shape shape = spec.type.shape;
    shape[0] = length;
    if (spec.type.dtype == DType::f32) {
      out.push_back(dice.tensor(std::move(shape), -1, 1));
      continue;
    }
    Tensor positions(DType::s64, std::move(shape));
    for (int64_t i = 0; i < length; ++i) positions.as<int64_t>()[static_cast<size_t>(i)] = first + i;
    out.push_back(std::move(positions));
  }
  return out;
}

std::string run_lengths(runtime::Executable& found, runtime::Executable& wanted, uint64_t seed) {
  Dice dice(static_cast<uint32_t>(seed) + 1);
  int64_t first = 0;
  for (size_t run = 0; run < kLengths.size(); ++run) {
    const std::string where = fmt::format("run {} of length {}", run, kLengths[run]);
    const std::vector<Tensor> inputs = inputs_of(wanted, first, kLengths[run], dice);
    const auto out = found.run(inputs), expected = wanted.run(inputs);
    if (!expected) return where + " on portable kernels: " + expected.error().text();
    if (!out) return where + ": " + out.error().text();
    for (size_t i = 0; i < out->size(); ++i)
      if (const std::string off = difference((*expected)[i], (*out)[i], {}); !off.empty())
        return fmt::format("{}, output {}: {}", where, i, off);
    first += kLengths[run];
  }
  return {};
}

std::string compare(program::Model model, const ir::Graph& graph, const std::shared_ptr<host::Backend>& backend,
                    const Workbench& bench) {
  const kernels::KernelSet kernels;
  auto plain = lowered(graph, {}, bench);
  if (!plain) return plain.error().text();
  auto wanted = loaded(std::move(plain->model), backend, kernels, bench);
  auto found = loaded(std::move(model), backend, kernels, bench);
  if (!wanted || !found) return (wanted ? found : wanted).error().text();
  return run_lengths(*found, *wanted, bench.subject().seed());
}

Verdict check(Workbench& bench, ir::Graph (*build)(uint64_t)) {
  const auto backend = bench.backend();
  if (!backend) return failed(backend.error().text());
  ir::Graph graph = build(bench.subject().seed());
  auto made = lowered(graph, {*backend}, bench);
  if (!made) return failed(made.error().text());
  if (made->model.delegates.empty()) return skipped("the plugin takes none of the nodes: " + made->placement[0].reason);
  if (!bench.subject().offers("executor")) return skipped("the plugin has no executor");
  const std::string fault = run_apart([&] { return compare(std::move(made->model), graph, *backend, bench); });
  return fault.empty() ? passed() : failed(fault);
}

}  // namespace

std::vector<Case> length_cases(const Subject& subject) {
  const auto table = subject.table();
  if (!table) return cannot_load(table.error());
  if ((*table)->compiler == nullptr) return {{"compiler", [] { return skipped("the plugin has no compiler"); }}};
  const auto bench = std::make_shared<Workbench>(subject);
  return {{"layers", [bench] { return check(*bench, layers); }},
          {"states", [bench] { return check(*bench, decoder); }}};
}

}  // namespace quoin::conform
