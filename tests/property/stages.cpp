#include "stages.hpp"

#include <cmath>
#include <cstring>

#include "../ir/difference.hpp"
#include "ir/parse.hpp"
#include "ir/print.hpp"
#include "lower/lower.hpp"
#include "one_node.hpp"
#include "passes/passes.hpp"
#include "program/file.hpp"
#include "runtime/executable.hpp"

namespace quoin::property {
namespace {

using Tensors = std::vector<Tensor>;
using quantize::Verdict;

bool same_bytes(const Tensors& a, const Tensors& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].dtype() != b[i].dtype() || a[i].shape() != b[i].shape()) return false;
    if (a[i].bytes() > 0 && std::memcmp(a[i].data(), b[i].data(), a[i].bytes()) != 0) return false;
  }
  return true;
}

// |a - b| over |a|, of all f32 outputs together; integers count as they are.
double relative_difference(const Tensors& a, const Tensors& b) {
  double difference = 0, size = 1e-12;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].dtype() != DType::f32) continue;
    const auto x = a[i].as<float>(), y = b[i].as<float>();
    for (size_t j = 0; j < x.size(); ++j) {
      difference += (double{x[j]} - y[j]) * (double{x[j]} - y[j]);
      size += double{x[j]} * x[j];
    }
  }
  return std::sqrt(difference / size);
}

class Stages {
 public:
  Stages(ir::Graph graph, Configurations& configurations, Dice& dice, Statistics& statistics)
      : graph_(std::move(graph)), configurations_(configurations), dice_(dice), statistics_(statistics) {}

  void run() {
    enter("build", graph_);
    for (int i = 0; i < 3; ++i) samples_.push_back(random_inputs());
    clean();
    annotate();
    quantize::Prepared prepared = calibrated();
    const ir::Graph qdq = checked(quantize::convert(graph_, prepared, diagnostics_), "convert");
    const ir::Graph typed = checked(quantize::to_typed(qdq, diagnostics_), "typed");
    compare_forms(qdq, typed);
    lower(typed);
  }

 private:
  // -- what must hold after every stage

  void enter(const std::string& stage, const ir::Graph& graph) {
    stage_ = stage;
    text_ = ir::print(graph, ir::Detail::complete);
    require(ir::verify(graph));
    const auto parsed = ir::parse(text_);
    if (!parsed) broken("the printed graph does not parse: " + parsed.error().text());
    if (const std::string where = ir::test::difference(graph, *parsed); !where.empty())
      broken("parsing changes " + where);
    if (ir::print(*parsed, ir::Detail::complete) != text_) broken("parsing changes the text");
  }
  [[noreturn]] void broken(const std::string& what) const { throw Broken(stage_, what, text_); }
  void require(const Status& status) const {
    if (!status) broken(status.error().text());
  }
  template <class T>
  T require(Result<T> result) const {
    if (!result) broken(result.error().text());
    return *std::move(result);
  }
  ir::Graph checked(Result<ir::Graph> made, const std::string& stage) {
    stage_ = stage;
    ir::Graph graph = require(std::move(made));
    enter(stage, graph);
    return graph;
  }

  Tensors random_inputs() {
    Tensors out;
    for (const ir::ValueId id : graph_.inputs()) out.push_back(dice_.tensor(graph_.value(id).type.shape, -1.5f, 1.5f));
    return out;
  }
  Tensors interpret(const ir::Graph& graph, const Tensors& inputs) const {
    auto interpreter = require(interpret::Interpreter::create(graph, kernels_, configurations_.host()));
    return require(interpreter.run(inputs));
  }

  // -- the stages

  void clean() {
    const Tensors before = interpret(graph_, samples_[0]);
    const auto pass = [&](const char* name, const Status& status) {
      stage_ = name;
      require(status);
      enter(name, graph_);
    };
    pass("remove-noops", passes::remove_noops(graph_));
    pass("fold-constants", passes::fold_constants(graph_, kernels_, configurations_.host()));
    if (!same_bytes(interpret(graph_, samples_[0]), before)) broken("an output changed");
    pass("fold-batch-norm", passes::fold_batch_norm(graph_));
    graph_.erase_dead();
    enter("erase-dead", graph_);
    if (relative_difference(before, interpret(graph_, samples_[0])) > 1e-4) broken("an output changed");
  }

  void annotate() {
    Configuration configuration = configurations_.random(graph_, dice_);
    enter("annotate by " + configuration.words, graph_);
    annotations_ = require(quantize::annotate(graph_, configuration.assignments, diagnostics_));
    enter(stage_, graph_);
    for (const ir::NodeId id : graph_.order()) {
      const auto found = annotations_.verdicts.find(id);
      if (found == annotations_.verdicts.end()) broken(graph_.describe(id) + " has no verdict");
      const Verdict& verdict = found->second;
      const bool quantized = verdict.kind == Verdict::Kind::quantized;
      if ((quantized ? verdict.plugin : verdict.reason).empty()) broken(graph_.describe(id) + " has no reason");
      statistics_.add(quantized ? "quantized by " + verdict.plugin : "left in float");
    }
  }

  // Observing changes neither the graph nor a bit of its outputs.
  quantize::Prepared calibrated() {
    const std::string text = text_;
    const Tensors before = interpret(graph_, samples_[0]);
    stage_ = "prepare";
    quantize::Prepared prepared = require(quantize::prepare(graph_, annotations_, {}));
    stage_ = "calibrate";
    const quantize::test::Samples dataset(samples_);
    require(quantize::calibrate(graph_, prepared, &dataset, kernels_, configurations_.host(), nullptr, diagnostics_));
    enter(stage_, graph_);
    if (text_ != text) broken("the float graph changed");
    if (!same_bytes(interpret(graph_, samples_[0]), before)) broken("an output of the float graph changed");
    statistics_.add("groups", prepared.groups.size());
    return prepared;
  }

  // Node by node on the operands that the typed graph really computed, so that differences do not add up.
  void compare_forms(const ir::Graph& qdq, const ir::Graph& typed) {
    const Tensors expected = interpret(qdq, samples_[1]);
    auto interpreter = require(interpret::Interpreter::create(typed, kernels_, configurations_.host()));
    std::map<ir::ValueId, Tensor> seen;
    const auto keep = [&](ir::ValueId id, const Tensor& tensor) -> Status {
      Tensor copy(tensor.dtype(), tensor.shape());
      if (tensor.bytes() > 0) std::memcpy(copy.data(), tensor.data(), tensor.bytes());
      seen.emplace(id, std::move(copy));
      return {};
    };
    typed_outputs_ = require(interpreter.run(samples_[1], keep));
    for (const ir::NodeId id : typed.order()) {
      if (!computes_on_integers(typed, id)) continue;
      statistics_.add("integer nodes");
      const int64_t steps = require(steps_from_real(typed, id, seen, configurations_.host()));
      if (steps > 1) broken(fmt::format("{} is {} steps from its real result", typed.describe(id), steps));
    }
    const double difference = relative_difference(expected, typed_outputs_);
    if (difference > 0.3) broken(fmt::format("QDQ and typed outputs differ by {} of their size", difference));
    statistics_.add(difference == 0 ? "QDQ and typed outputs equal" : difference < 0.02 ? "within 2 %" : "within 30 %");
  }

  void lower(const ir::Graph& typed) {
    enter("lower", typed);
    if (!same_bytes(program_outputs(typed, {}), typed_outputs_))
      broken("the program on portable kernels and the interpreter differ");
    const auto cpu = require(configurations_.open("cpu"));
    const Tensors found = program_outputs(typed, {cpu});
    if (only_integers(typed)) {
      statistics_.add("programs compared with plugin cpu to the bit");
      if (!same_bytes(found, typed_outputs_)) broken("the program on plugin cpu and the interpreter differ");
    }
  }
  // No node but conversions computes in float, where plugins may round otherwise.
  static bool only_integers(const ir::Graph& typed) {
    return std::ranges::all_of(typed.order(), [&](ir::NodeId id) {
      const std::string& op = typed.node(id).op();
      return computes_on_integers(typed, id) || op == "quoin.quantize.default" || op == "quoin.dequantize.default" ||
             op == "quoin.requantize.default" || typed.node(id).schema->traits.moves_data;
    });
  }

  // Lowered, written, read back (which gives the same bytes again), loaded and run.
  Tensors program_outputs(const ir::Graph& typed, const std::vector<std::shared_ptr<host::Backend>>& order) {
    lower::Options options;
    options.order = order;
    options.isa = configurations_.host().isa;
    lower::Lowered lowered = require(lower::lower(typed, options, kernels_, configurations_.host(), diagnostics_));
    const auto bytes = std::make_shared<std::vector<std::byte>>(require(program::serialize(lowered.model)));
    program::Model model = require(program::read(bytes, *bytes, "random.quoin"));
    if (require(program::serialize(model)) != *bytes) broken("reading and writing the program changes it");
    runtime::Options loading;
    loading.kernels = &kernels_;
    loading.backend = [&](const std::string& name) { return configurations_.open(name); };
    auto executable =
        require(runtime::Executable::load(std::move(model), loading, configurations_.host(), diagnostics_));
    return require(executable.run(samples_[1]));
  }

  ir::Graph graph_;
  Configurations& configurations_;
  Dice& dice_;
  Statistics& statistics_;
  Diagnostics diagnostics_;
  const kernels::KernelSet kernels_;
  std::vector<Tensors> samples_;
  quantize::Annotations annotations_;
  Tensors typed_outputs_;
  std::string stage_, text_;
};

}  // namespace

void check_all_stages(ir::Graph graph, Configurations& configurations, Dice& dice, Statistics& statistics) {
  Stages(std::move(graph), configurations, dice, statistics).run();
}

}  // namespace quoin::property
