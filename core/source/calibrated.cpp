#include "source/calibrated.hpp"

#include <algorithm>
#include <cmath>

#include "base/text.hpp"

namespace quoin::source {
namespace {

// The tensor as rows of its last dim, without those that the mask leaves out, which go to `kept`.
Rows rows_of(const Tensor& tensor, const std::vector<bool>* mask, FloatMatrix& kept) {
  const Eigen::Index columns = tensor.shape().empty() ? 1 : tensor.shape().back();
  const Eigen::Index rows = columns == 0 ? 0 : tensor.size() / columns;
  const Rows all(tensor.as<float>().data(), rows, columns);
  if (mask == nullptr || static_cast<Eigen::Index>(mask->size()) != rows) return all;
  kept.resize(std::ranges::count(*mask, true), columns);
  for (Eigen::Index r = 0, to = 0; r < rows; ++r)
    if ((*mask)[static_cast<size_t>(r)]) kept.row(to++) = all.row(r);
  return {kept.data(), kept.rows(), columns};
}

std::vector<std::string> input_names(const ir::Graph& graph) {
  std::vector<std::string> out;
  for (const ir::ValueId id : graph.inputs()) out.push_back(graph.value(id).name);
  return out;
}

}  // namespace

Calibrated::Calibrated(Engine& engine, Streams& streams, const std::vector<FoundLayer>& layers)
    : engine_(engine), graph_(engine.graph_), streams_(streams) {
  for (const FoundLayer& layer : layers) layers_[layer.node] = &layer;
}

Status Calibrated::run() {
  QUOIN_CHECK(feed());
  for (const ir::NodeId id : graph_.order())
    for (const ir::ValueId operand : graph_.node(id).inputs)
      if (operand != ir::kNone) ++reads_left_[operand];
  for (const ir::ValueId output : graph_.outputs()) ++reads_left_[output];
  uint64_t done = 0;
  Progress* progress = engine_.resources_.progress;
  if (progress != nullptr) progress->stage("calibrate layers", graph_.order().size());
  const std::vector<ir::NodeId> order = graph_.order();
  const size_t needed = engine_.options_.outputs ? order.size() : last_calibrated(order);
  for (size_t i = 0; i < order.size(); ++i) {
    const ir::NodeId id = order[i];
    needed_ = i < needed;
    QUOIN_CHECK(node(id));
    if (progress != nullptr && !progress->step(++done))
      return fail(Code::cancelled, "stopped while layers were calibrated");
  }
  if (engine_.options_.outputs) collect();
  return {};
}

size_t Calibrated::last_calibrated(const std::vector<ir::NodeId>& order) const {
  size_t out = 0;
  for (size_t i = 0; i < order.size(); ++i)
    if (const auto layer = layers_.find(order[i]); layer != layers_.end() && calibrates(*layer->second)) out = i;
  return out;
}

// -- inputs and outputs

Status Calibrated::check_sample(size_t index, const Sample& sample) const {
  const auto& inputs = graph_.inputs();
  const std::string where = fmt::format("calibration sample {}", index);
  if (sample.size() != inputs.size())
    return fail(Code::input, "{} inputs given, the model has {}", sample.size(), inputs.size()).at("{}", where);
  for (size_t i = 0; i < inputs.size(); ++i) {
    const ir::Value& value = graph_.value(inputs[i]);
    if (sample[i].dtype() != value.type.dtype || sample[i].shape() != value.type.shape)
      return fail(Code::input, "input {} must be {}{}, found {}{}", value.name, name(value.type.dtype),
                  to_string(value.type.shape), name(sample[i].dtype()), to_string(sample[i].shape()))
          .at("{}", where);
    if (sample[i].dtype() != DType::f32) continue;
    const auto elements = sample[i].as<float>();
    const auto bad = std::ranges::find_if(elements, [](float x) { return !std::isfinite(x); });
    if (bad != elements.end())
      return fail(Code::data, "element {} of input {} is {}", bad - elements.begin(), value.name, *bad).at("{}", where);
  }
  return {};
}

Status Calibrated::feed() {
  if (streams_.quantized.empty()) return fail(Code::data, "no calibration samples");
  for (size_t s = 0; s < streams_.quantized.size(); ++s) {
    QUOIN_CHECK(check_sample(s, streams_.quantized[s]));
    QUOIN_CHECK(check_sample(s, streams_.real[s]));
  }
  const auto& inputs = graph_.inputs();
  for (size_t i = 0; i < inputs.size(); ++i)
    for (size_t s = 0; s < streams_.quantized.size(); ++s) {
      const Tensor &x = streams_.quantized[s][i], &f = streams_.real[s][i];
      if (x.owner() != f.owner()) differs_.insert(inputs[i]);
      quantized_[inputs[i]].push_back(x);
      real_[inputs[i]].push_back(f);
    }
  QUOIN_CHECK(read_mask());
  streams_ = {};
  return {};
}

Status Calibrated::read_mask() {
  const std::string& wanted = engine_.options_.mask;
  if (wanted.empty()) return {};
  const auto found =
      std::ranges::find_if(graph_.inputs(), [&](ir::ValueId id) { return graph_.value(id).name == wanted; });
  if (found == graph_.inputs().end())
    return fail(Code::recipe, "the model has no input \"{}\" to mask tokens", wanted)
        .hint("its inputs are " + join(input_names(graph_), ", "));
  const DType dtype = graph_.value(*found).type.dtype;
  if (dtype != DType::s64 && dtype != DType::s32 && dtype != DType::boolean && dtype != DType::f32)
    return fail(Code::recipe, "the mask {} is {}, expected s64, s32, bool or f32", wanted, name(dtype));
  const auto size = static_cast<size_t>(bits(dtype) / 8);
  for (const Tensor& tensor : quantized_[*found]) {
    const auto bytes = tensor.as<uint8_t>();
    std::vector<bool>& rows = mask_.emplace_back(static_cast<size_t>(tensor.size()));
    for (size_t i = 0; i < rows.size(); ++i)
      rows[i] = std::ranges::any_of(bytes.subspan(i * size, size), [](uint8_t byte) { return byte != 0; });
  }
  return {};
}

void Calibrated::collect() {
  const size_t samples = quantized_.begin()->second.size();
  streams_.quantized.resize(samples);
  streams_.real.resize(samples);
  for (const ir::ValueId output : graph_.outputs())
    for (size_t s = 0; s < samples; ++s) {
      const auto& constant = graph_.value(output).constant;
      streams_.quantized[s].push_back(constant ? *constant : quantized_[output][s]);
      streams_.real[s].push_back(constant ? *constant : real_[output][s]);
    }
}

// -- nodes

Result<Calibrated::Results> Calibrated::run_on(ir::NodeId id, const Stream& stream) const {
  const Resources& resources = engine_.resources_;
  return run_node(graph_, id, stream, *resources.kernels, resources.host);
}

void Calibrated::store(ir::NodeId id, Results results, Stream& stream) {
  for (size_t i = 0; i < results.size(); ++i)
    stream[graph_.output(id, static_cast<uint32_t>(i))] = std::move(results[i]);
}

Status Calibrated::node(ir::NodeId id) {
  const auto layer = layers_.find(id);
  if (layer == layers_.end()) {
    const auto operands = graph_.node(id).inputs;
    QUOIN_CHECK(plain_node(id));
    release(operands);
    return {};
  }
  ReportLine line = engine_.line_of(*layer->second);
  if (divides(*layer->second)) QUOIN_CHECK(divide(*layer->second, line));
  const auto operands = graph_.node(id).inputs;
  QUOIN_CHECK(line.quantized ? layer_node(*layer->second, line) : plain_node(id));
  release(operands);
  engine_.report_.lines.push_back(std::move(line));
  return {};
}

Status Calibrated::plain_node(ir::NodeId id) {
  if (!needed_) return {};
  const ir::Node& node = graph_.node(id);
  QUOIN_TRY(Results real, run_on(id, real_));
  if (std::ranges::none_of(node.inputs, [&](ir::ValueId operand) { return differs_.contains(operand); })) {
    store(id, real, quantized_);
  } else {
    QUOIN_TRY(Results quantized, run_on(id, quantized_));
    store(id, std::move(quantized), quantized_);
    differs_.insert(node.outputs.begin(), node.outputs.end());
  }
  store(id, std::move(real), real_);
  for (const ir::ValueId output : node.outputs)
    if (!reads_left_.contains(output)) release({output});
  return {};
}

Status Calibrated::layer_node(const FoundLayer& layer, ReportLine& line) {
  const ir::ValueId before = graph_.output(layer.node);
  Results real;
  if (needed_) {
    QUOIN_TRY(real, run_on(layer.node, real_));
  }
  QUOIN_TRY(const Moments* moments, moments_of(layer));
  QUOIN_TRY(const auto nodes, engine_.quantize(layer, moments, line));
  if (!needed_) return {};
  for (const ir::NodeId id : nodes) {
    QUOIN_TRY(Results results, run_on(id, quantized_));
    store(id, std::move(results), quantized_);
  }
  const ir::ValueId result = graph_.output(nodes.back());
  reads_left_[result] = reads_left_[before];
  differs_.insert(result);
  real_[result] = std::move(real[0]);
  for (const ir::NodeId id : nodes)
    if (graph_.output(id) != result) quantized_.erase(graph_.output(id));
  line.output_sqnr_db = sqnr_db(result);
  return {};
}

void Calibrated::release(const std::vector<ir::ValueId>& operands) {
  for (const ir::ValueId operand : operands) {
    if (operand == ir::kNone) continue;
    size_t& left = reads_left_[operand];
    if (left > 1) {
      --left;
      continue;
    }
    quantized_.erase(operand);
    real_.erase(operand);
    if (operand != moments_value_) continue;
    moments_value_ = ir::kNone;
    moments_.reset();
  }
}

// -- statistics

template <class F>
Status Calibrated::for_rows(ir::ValueId value, const F& visit) const {
  const auto &quantized = quantized_.at(value), &real = real_.at(value);
  FloatMatrix kept_x, kept_f;
  for (size_t s = 0; s < quantized.size(); ++s) {
    const std::vector<bool>* mask = mask_.empty() ? nullptr : &mask_[s];
    const Rows x = rows_of(quantized[s], mask, kept_x);
    const bool same = !differs_.contains(value);
    const Rows f = same ? x : rows_of(real[s], mask, kept_f);
    if (x.rows() == 0) continue;
    QUOIN_CHECK_AT(visit(x, f), "calibration sample {}", s);
  }
  return {};
}

Result<const Moments*> Calibrated::moments_of(const FoundLayer& layer) {
  if (!calibrates(layer)) return nullptr;
  const ir::ValueId value = graph_.input(layer.node, 0);
  if (value == moments_value_) return &*moments_;
  moments_value_ = value;
  moments_.emplace(graph_.value(value).type.shape.back());
  const auto add = [&](const Rows& x, const Rows& f) { return moments_->add(x, f, engine_.resources_.host); };
  QUOIN_CHECK_AT(for_rows(value, add), "{}", graph_.describe(layer.node));
  if (moments_->count == 0)
    return fail(Code::data, "the mask leaves no token to calibrate with").at("{}", graph_.describe(layer.node));
  return &*moments_;
}

std::optional<double> Calibrated::sqnr_db(ir::ValueId result) const {
  double signal = 0, noise = 0;
  const auto add = [&](const Rows& x, const Rows& f) -> Status {
    signal += f.cast<double>().squaredNorm();
    noise += (x.cast<double>() - f.cast<double>()).squaredNorm();
    return {};
  };
  if (!for_rows(result, add) || noise == 0 || signal == 0) return std::nullopt;
  return 10 * std::log10(signal / noise);
}

}  // namespace quoin::source
