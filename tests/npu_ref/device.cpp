#include "device.hpp"

#include <cmath>

#include "conform/compare.hpp"
#include "conform/workbench.hpp"

extern "C" const quoin_plugin* quoin_plugin_entry_v1(const quoin_host* host, quoin_error* why);

namespace quoin::npu::testing {
namespace {

quoin_str name_of(std::string_view text) { return {text.data(), text.size()}; }
quoin_param param(std::string_view name, uint32_t kind, const void* data) { return {name_of(name), kind, 1, data}; }

QParams symmetric(DType dtype, int32_t qmin, int32_t qmax, std::vector<float> scale) {
  QParams q;
  q.dtype = dtype;
  q.qmin = qmin;
  q.qmax = qmax;
  if (scale.size() > 1) {
    q.scheme = Scheme::per_channel;
    q.axis = 0;
  }
  q.scale = std::move(scale);
  return q;
}

}  // namespace

Settings& Settings::sram_kib(int64_t kib) {
  sram_kib_ = kib;
  return *this;
}
Settings& Settings::tensor_kib(int64_t kib) {
  tensor_kib_ = kib;
  return *this;
}
Settings& Settings::fuse(bool on) {
  fuse_ = on ? 1 : 0;
  return *this;
}
std::vector<quoin_param> Settings::list() const {
  return {param("sram_kib", QUOIN_PARAM_INT, &sram_kib_), param("tensor_kib", QUOIN_PARAM_INT, &tensor_kib_),
          param("fuse", QUOIN_PARAM_BOOL, &fuse_)};
}

// -- the device

Device::Device(uint32_t threads) : services_({.threads = threads, .isa = 0, .log = {}}) {
  auto opened = host::Backend::open(quoin_plugin_entry_v1(&host(), nullptr), nullptr, host());
  if (!opened) throw std::runtime_error(opened.error().text());
  backend_ = *opened;
}

lower::Options Device::options(const Settings& settings) const {
  lower::Options options;
  options.order = {backend_};
  options.params = settings.list();
  return options;
}

std::vector<std::string> Device::reasons(const ir::Graph& graph, const Settings& settings) const {
  const auto found = lower::partition(graph, options(settings));
  EXPECT_TRUE(found) << found.error().text();
  std::vector<std::string> out;
  for (const ir::NodeId node : graph.order())
    out.push_back(found->reasons.contains(node) ? found->reasons.at(node).front() : "");
  return out;
}

lower::Compiled Device::compile(const ir::Graph& graph, const Settings& settings) const {
  const auto found = lower::partition(graph, options(settings));
  if (!found) throw std::runtime_error(found.error().text());
  for (const auto& [node, reasons] : found->reasons) ADD_FAILURE() << graph.describe(node) << ": " << reasons.front();
  EXPECT_EQ(found->claims.size(), 1u);
  lower::NamedData named;
  auto compiled = lower::compile(graph, found->claims.at(0), options(settings), named);
  if (!compiled) throw std::runtime_error(compiled.error().text());
  return std::move(*compiled);
}

std::vector<Tensor> Device::run(const ir::Graph& graph, const lower::Compiled& compiled,
                                const std::vector<Tensor>& inputs) const {
  auto results = conform::run_once(backend(), graph, compiled, inputs);
  if (!results) throw std::runtime_error(results.error().text());
  return std::move(*results);
}

std::vector<Tensor> Device::portable(const ir::Graph& graph, const std::vector<Tensor>& inputs) const {
  const kernels::KernelSet kernels;
  auto values = conform::compute(graph, inputs, kernels, host());
  if (!values) throw std::runtime_error(values.error().text());
  std::vector<Tensor> out;
  for (const ir::ValueId id : graph.outputs()) out.push_back(values->at(id));
  return out;
}

// -- graphs

QParams Net::activation(int exponent) const {
  const int32_t top = dtype_ == DType::s16 ? 32767 : 127;
  return symmetric(dtype_, -top - 1, top, {std::ldexp(1.0f, exponent)});
}

ir::ValueId Net::input(Shape shape, int exponent) {
  TensorType type;
  type.dtype = dtype_;
  type.shape = std::move(shape);
  if (dtype_ != DType::f32) type.qparams = std::make_shared<const QParams>(activation(exponent));
  const V value = graph.add_input(graph.unique_name("x"), std::move(type));
  exponents_[value] = exponent;
  return value;
}

ir::ValueId Net::op(const char* name, std::vector<V> inputs, Attrs attrs, int exponent) {
  const auto node = graph.add_node(name, std::move(inputs), std::move(attrs));
  if (!node) throw std::runtime_error(node.error().text());
  const V value = graph.output(*node);
  TensorType& type = graph.value(value).type;
  type.dtype = dtype_;
  type.qparams = dtype_ == DType::f32 ? nullptr : std::make_shared<const QParams>(activation(exponent));
  exponents_[value] = exponent;
  return value;
}

ir::ValueId Net::product(const char* name, V x, Shape weight_shape, const Layer& layer, Attrs attrs) {
  const auto channels = static_cast<size_t>(weight_shape[0]);
  if (dtype_ == DType::f32) {
    const V w = graph.add_constant(graph.unique_name("w"), dice.tensor(weight_shape, -1, 1));
    const V b =
        layer.bias ? graph.add_constant(graph.unique_name("b"), dice.tensor({weight_shape[0]}, -1, 1)) : ir::kNone;
    return op(name, {x, w, b}, std::move(attrs));
  }
  std::vector<float> scales, products;
  for (size_t c = 0; c < (layer.per_channel ? channels : 1); ++c) {
    const int away = c == 0 ? 0 : static_cast<int>(dice.between(-3, 3));
    scales.push_back(std::ldexp(1.0f, layer.weight_exponent + away));
    products.push_back(std::ldexp(scales.back(), exponents_.at(x)));
  }
  Tensor weight(DType::s8, weight_shape);
  for (int8_t& q : weight.as<int8_t>()) q = static_cast<int8_t>(dice.between(-127, 127));
  Tensor bias(DType::s32, {weight_shape[0]});
  for (int32_t& q : bias.as<int32_t>()) q = static_cast<int32_t>(dice.between(-20000, 20000));
  const auto shared = [](QParams q) { return std::make_shared<const QParams>(std::move(q)); };
  const V w =
      graph.add_constant(graph.unique_name("w"), std::move(weight), shared(symmetric(DType::s8, -127, 127, scales)));
  const V b = layer.bias ? graph.add_constant(graph.unique_name("b"), std::move(bias),
                                              shared(symmetric(DType::s32, INT32_MIN, INT32_MAX, products)))
                         : ir::kNone;
  return op(name, {x, w, b}, std::move(attrs), layer.exponent);
}

ir::ValueId Net::conv2d(V x, const Layer& c) {
  const Shape& shape = graph.value(x).type.shape;
  return product("aten.conv2d.default", x, {c.out, shape[1] / c.groups, c.kernel, c.kernel}, c,
                 {{"stride", Ints{c.stride, c.stride}},
                  {"padding", Ints{c.pad, c.pad}},
                  {"dilation", Ints{c.dilation, c.dilation}},
                  {"groups", c.groups}});
}

ir::ValueId Net::linear(V x, const Layer& layer) {
  return product("aten.linear.default", x, {layer.out, graph.value(x).type.shape.back()}, layer, {});
}

std::vector<Tensor> Net::inputs() {
  std::vector<Tensor> out;
  for (const ir::ValueId id : graph.inputs()) {
    const TensorType& type = graph.value(id).type;
    Tensor t(type.dtype, type.shape);
    if (type.dtype == DType::s8)
      for (int8_t& q : t.as<int8_t>()) q = static_cast<int8_t>(dice.between(-128, 127));
    else
      for (int16_t& q : t.as<int16_t>()) q = static_cast<int16_t>(dice.between(-32768, 32767));
    out.push_back(std::move(t));
  }
  return out;
}

void expect_same(const Device& device, Net& net, const Settings& settings, int steps) {
  const std::vector<Tensor> inputs = net.inputs();
  const auto compiled = device.compile(net.graph, settings);
  const auto found = device.run(net.graph, compiled, inputs), expected = device.portable(net.graph, inputs);
  ASSERT_EQ(found.size(), expected.size());
  for (size_t o = 0; o < found.size(); ++o)
    EXPECT_EQ(conform::difference(expected[o], found[o], {.steps = steps}), "") << "output " << o;
}

}  // namespace quoin::npu::testing
