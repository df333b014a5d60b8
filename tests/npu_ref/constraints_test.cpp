// Every limit of the device is a reason that names what was found, what the device takes, and where there is one, a way
// out. The same checks serve float graphs (annotate) and typed ones (partition).
#include <gmock/gmock.h>

#include <cmath>
#include <functional>

#include "device.hpp"
#include "quantize/quantizer_config.hpp"

namespace quoin::npu::testing {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// The reason for the last node of a typed graph.
std::string refusal(const std::function<Net::V(Net&)>& build, const Settings& settings = {}, DType dtype = DType::s8) {
  Net net(1, dtype);
  net.returns({build(net)});
  return Device().reasons(net.graph, settings).back();
}
QParams qparams(float scale, int32_t zero_point = 0, DType dtype = DType::s8) {
  QParams q;
  q.dtype = dtype;
  q.scale = {scale};
  q.zero_point = {zero_point};
  return q;
}

struct Case {
  const char* name;
  const char* reason;
  Net::V (*build)(Net&);
};

class Constraint : public ::testing::TestWithParam<Case> {};

TEST_P(Constraint, HasItsReason) { EXPECT_THAT(refusal(GetParam().build), HasSubstr(GetParam().reason)); }

Attrs window(int64_t kernel, int64_t stride, int64_t pad, int64_t dilation = 1) {
  return {{"kernel_size", Ints{kernel, kernel}},
          {"stride", Ints{stride, stride}},
          {"padding", Ints{pad, pad}},
          {"dilation", Ints{dilation, dilation}}};
}
Attrs average(Attrs attrs, bool count_pad) {
  attrs.erase("dilation");
  attrs["count_include_pad"] = count_pad;
  return attrs;
}

const Case kCases[] = {
    // shapes
    {"batch", "'x' is [2, 3, 4, 4]; the device takes batch 1: export the model with it",
     [](Net& n) {
       return n.conv2d(n.input({2, 3, 4, 4}), {});
     }},
    {"rank", "'x' is [1, 2, 3, 4, 5]; the device takes [1, C] to [1, C, H, W]",
     [](Net& n) {
       return n.same("aten.relu.default", {n.input({1, 2, 3, 4, 5})});
     }},
    {"vector", "'x' is [7]; the device takes [1, C]",
     [](Net& n) { return n.same("aten.relu.default", {n.input({7})}); }},
    {"empty", "'x' is [1, 0, 4, 4], which is empty",
     [](Net& n) {
       return n.same("aten.relu.default", {n.input({1, 0, 4, 4})});
     }},
    {"channels", "at most 4096 channels and 1024 pixels a side",
     [](Net& n) {
       return n.same("aten.relu.default", {n.input({1, 4097})});
     }},
    {"side", "at most 4096 channels and 1024 pixels a side",
     [](Net& n) {
       return n.same("aten.relu.default", {n.input({1, 1, 1, 1025})});
     }},
    {"dynamic", "'x' has a dynamic shape; export the model with fixed sizes",
     [](Net& n) {
       const auto x = n.input({1, 8, 4, 4}), y = n.same("aten.relu.default", {x});
       n.graph.value(x).type.shape[2] = n.graph.value(y).type.shape[2] = -1;
       return y;
     }},
    // types and scales
    {"zero_point", "'x' has a zero point: the device is symmetric",
     [](Net& n) {
       const auto x = n.input({1, 8});
       n.quantize(x, qparams(0.25f, 3));
       return n.same("aten.relu.default", {x});
     }},
    {"scale", "the scale of 'x' is no power of two",
     [](Net& n) {
       const auto x = n.input({1, 8});
       n.quantize(x, qparams(0.3f));
       return n.same("aten.relu.default", {x});
     }},
    {"unsigned", "'x' is neither s8 nor s16",
     [](Net& n) {
       n.set_dtype(DType::u8);
       return n.same("aten.relu.default", {n.input({1, 8})});
     }},
    {"mixed_types", "operand and result have different types; give both the same preset",
     [](Net& n) {
       const auto x = n.input({1, 8});
       n.set_dtype(DType::s16);
       return n.linear(x, {});
     }},
    {"float_result", "'linear' is not quantized; quantize its neighbours, too",
     [](Net& n) {
       const auto y = n.linear(n.input({1, 8}), {});
       n.graph.value(y).type.dtype = DType::f32;
       n.graph.value(y).type.qparams = nullptr;
       return y;
     }},
    {"clamp_scales", "'x' and the result have different scales",
     [](Net& n) {
       return n.op("aten.relu.default", {n.input({1, 8}, -4)}, {}, -5);
     }},
    // layers
    {"weight_scale", "a scale of the weight is no power of two",
     [](Net& n) {
       const auto y = n.linear(n.input({1, 8}), {.bias = false, .per_channel = false});
       n.quantize(n.graph.node(n.graph.value(y).producer).inputs[1], qparams(0.3f));
       return y;
     }},
    {"weight_zero_point", "the weight has a zero point: the device is symmetric",
     [](Net& n) {
       const auto y = n.linear(n.input({1, 8}), {.bias = false, .per_channel = false});
       n.quantize(n.graph.node(n.graph.value(y).producer).inputs[1], qparams(0.25f, 1));
       return y;
     }},
    {"weight_computed", "the weight is not a constant",
     [](Net& n) {
       return n.op("aten.linear.default", {n.input({1, 8}), n.input({4, 8}), ir::kNone});
     }},
    {"bias_computed", "the bias is not a constant",
     [](Net& n) {
       const auto y = n.linear(n.input({1, 8}), {.bias = false}), b = n.input({8});
       const auto weight = n.graph.node(n.graph.value(y).producer).inputs[1];
       return n.op("aten.linear.default", {n.graph.inputs()[0], weight, b});
     }},
    {"bias_scale", "the scale of the bias is not that of operand times weight",
     [](Net& n) {
       const auto y = n.linear(n.input({1, 8}), {.per_channel = false});
       n.quantize(n.graph.node(n.graph.value(y).producer).inputs[2], qparams(0.5f, 0, DType::s32));
       return y;
     }},
    {"groups", "its groups are neither 1 nor one per channel with one filter each",
     [](Net& n) {
       return n.conv2d(n.input({1, 8, 4, 4}), {.groups = 2});
     }},
    {"multiplier", "its groups are neither 1 nor one per channel with one filter each",
     [](Net& n) {
       return n.conv2d(n.input({1, 8, 4, 4}), {.out = 16, .groups = 8});
     }},
    {"kernel", "the window of its height is 17, the device takes 1 to 16",
     [](Net& n) {
       return n.conv2d(n.input({1, 1, 20, 20}), {.kernel = 17});
     }},
    {"stride", "the stride of its height is 17, the device takes 1 to 16",
     [](Net& n) {
       return n.conv2d(n.input({1, 1, 20, 20}), {.stride = 17});
     }},
    {"padding", "the padding of its height is as large as the window",
     [](Net& n) {
       return n.conv2d(n.input({1, 1, 4, 4}), {.kernel = 2, .pad = 2});
     }},
    {"dilation", "the dilation of its height is 2, the device has only 1",
     [](Net& n) {
       return n.conv2d(n.input({1, 1, 9, 9}), {.kernel = 3, .dilation = 2});
     }},
    {"rows", "'x' is not one row, [1, C]",
     [](Net& n) {
       return n.linear(n.input({1, 3, 8}), {});
     }},
    {"left_shift", "its sums would be shifted right by -1 bits, the device shifts by 0 to 31",
     [](Net& n) {
       return n.linear(n.input({1, 8}, -4), {.per_channel = false, .weight_exponent = -8, .exponent = -13});
     }},
    {"right_shift", "its sums would be shifted right by 32 bits, the device shifts by 0 to 31",
     [](Net& n) {
       return n.linear(n.input({1, 8}, -4), {.per_channel = false, .weight_exponent = -8, .exponent = 20});
     }},
    {"sums", "the sums of output channel 0 may not fit 32 bits; quantize it with preset int8",
     [](Net& n) {
       n.set_dtype(DType::s16);
       return n.linear(n.input({1, 2000}), {});
     }},
    // elements
    {"broadcast", "have different shapes; the device does not broadcast",
     [](Net& n) {
       return n.op("aten.add.Tensor", {n.input({1, 8, 2, 2}), n.input({1, 8, 1, 1})});
     }},
    {"alpha", "alpha is not 1",
     [](Net& n) {
       return n.op("aten.add.Tensor", {n.input({1, 8}), n.input({1, 8})}, {{"alpha", 2.0}});
     }},
    {"add_scales", "the scales of its operands and result are 2^9 apart, the device aligns at most 2^8",
     [](Net& n) {
       return n.op("aten.add.Tensor", {n.input({1, 8}, -12), n.input({1, 8}, -3)});
     }},
    {"constant", "'c' is a constant; the device takes constants only as weights and biases",
     [](Net& n) {
       const auto c =
           n.graph.add_constant("c", Tensor(DType::s8, {1, 8}), std::make_shared<const QParams>(qparams(0.25f)));
       return n.op("aten.add.Tensor", {n.input({1, 8}), c});
     }},
    {"rescale", "the scales of operand and result are too far apart",
     [](Net& n) {
       return n.op("quoin.requantize.default", {n.input({1, 8}, 0)}, {}, -15);
     }},
    // pools
    {"pool_window", "the window of its height is 129, the device takes 1 to 128",
     [](Net& n) {
       return n.same("aten.max_pool2d.default", {n.input({1, 1, 129, 129})}, window(129, 1, 0));
     }},
    {"uneven", "the image does not divide into windows of equal size",
     [](Net& n) {
       return n.op("aten.adaptive_avg_pool2d.default", {n.input({1, 8, 7, 7})}, {{"output_size", Ints{2, 2}}});
     }},
    {"divisors", "windows at the border divide by fewer pixels; the device has one divisor",
     [](Net& n) {
       return n.op("aten.avg_pool2d.default", {n.input({1, 8, 6, 6})}, average(window(3, 2, 1), false));
     }},
    {"divisor", "divisor_override is 99999, the device takes 1 to 16384",
     [](Net& n) {
       Attrs attrs = average(window(2, 2, 0), true);
       attrs["divisor_override"] = int64_t{99999};
       return n.op("aten.avg_pool2d.default", {n.input({1, 8, 6, 6})}, attrs);
     }},
    {"mean_dims", "it averages other dims than height and width",
     [](Net& n) {
       return n.op("aten.mean.dim", {n.input({1, 8, 4, 4})}, {{"dim", Ints{1}}, {"keepdim", true}});
     }},
    // data movement
    {"flatten", "it would move data: the device keeps blocks of 16 channels together; pool to one pixel before",
     [](Net& n) {
       return n.same("aten.view.default", {n.input({1, 8, 2, 2})}, {{"size", Ints{1, -1}}});
     }},
    {"cat_dim", "it does not join along the channels",
     [](Net& n) {
       const auto x = n.input({1, 16, 2, 2});
       return n.same("aten.cat.default", {x, x}, {{"dim", int64_t{2}}});
     }},
    {"cat_blocks", "'x' has 8 channels; parts but the last must be multiples of 16",
     [](Net& n) {
       const auto x = n.input({1, 8, 2, 2});
       return n.same("aten.cat.default", {x, x}, {{"dim", int64_t{1}}});
     }},
    {"cat_parts", "it joins 9 tensors, the device at most 8",
     [](Net& n) {
       return n.same("aten.cat.default", std::vector<Net::V>(9, n.input({1, 16})), {{"dim", int64_t{1}}});
     }},
    {"crop", "the device pads height and width only, and does not crop",
     [](Net& n) {
       return n.pad(n.input({1, 8, 4, 4}), {1, -1, 0, 0});
     }},
    {"pad_channels", "the device pads height and width only, and does not crop",
     [](Net& n) {
       return n.pad(n.input({1, 8, 4, 4}), {0, 0, 0, 0, 1, 0});
     }},
    {"pad_value", "the device pads with zero only",
     [](Net& n) {
       return n.same("aten.pad.default", {n.input({1, 8, 4, 4})},
                     {{"pad", Ints{1, 1, 1, 1}}, {"mode", std::string("constant")}, {"value", 1.0}});
     }},
    // the border
    {"border", "the device has no floats: the host converts at the border",
     [](Net& n) {
       n.set_dtype(DType::f32);
       const auto x = n.input({1, 8});
       n.set_dtype(DType::s8);
       return n.op("quoin.quantize.default", {x});
     }},
    {"unknown", "no rule for aten.softmax.int",
     [](Net& n) {
       return n.op("aten.softmax.int", {n.input({1, 8})}, {{"dim", int64_t{1}}});
     }},
};

INSTANTIATE_TEST_SUITE_P(All, Constraint, ::testing::ValuesIn(kCases), [](const auto& row) { return row.param.name; });

// -- memories, which are options

Net::V large_conv(Net& n) { return n.conv2d(n.input({1, 64, 8, 300}), {.out = 16, .kernel = 3, .pad = 1}); }

TEST(Memory, OneRowThatDoesNotFitOnChipIsDeclined) {
  EXPECT_EQ(refusal(large_conv), "");
  EXPECT_EQ(refusal(large_conv, Settings().sram_kib(64)),
            "npu_ref: one row of its result needs 81472 bytes on chip, the device has 65536 (option sram_kib)");
}

TEST(Memory, TensorThatDoesNotFitIsDeclined) {
  const auto build = [](Net& n) { return n.same("aten.relu.default", {n.input({1, 17, 40, 40})}); };
  EXPECT_EQ(refusal(build, Settings().tensor_kib(50)), "");
  EXPECT_EQ(refusal(build, Settings().tensor_kib(49)),
            "npu_ref: 'x' takes 51200 bytes of device memory, the device holds 50176 (option tensor_kib)");
}

TEST(Memory, Int16TakesTwiceAsMuch) {
  const auto build = [](Net& n) { return n.same("aten.relu.default", {n.input({1, 16, 40, 40})}); };
  EXPECT_EQ(refusal(build, Settings().tensor_kib(25)), "");
  EXPECT_THAT(refusal(build, Settings().tensor_kib(25), DType::s16), HasSubstr("takes 51200 bytes"));
}

TEST(Memory, OptionsOutOfRangeAreErrors) {
  Net net(1);
  net.returns({net.same("aten.relu.default", {net.input({1, 8})})});
  const Device device;
  for (const auto& [settings, message] :
       {std::pair(Settings().sram_kib(7), "'sram_kib' is 7, but must be 8 to 4096"),
        std::pair(Settings().tensor_kib(16385), "'tensor_kib' is 16385, but must be 1 to 16384")}) {
    lower::Options options;
    options.order = {device.shared()};
    options.params = settings.list();
    const auto found = lower::partition(net.graph, options);
    ASSERT_FALSE(found);
    EXPECT_THAT(found.error().text(), HasSubstr(message));
  }
}

// Programs whose tensors together exceed the device: each of them may be large, so a few are enough.
TEST(Memory, TooManyLargeTensorsFailToCompile) {
  Net net(1, DType::s16);
  std::vector<Net::V> outputs;
  const auto x = net.input({1, 64, 256, 256});
  for (int i = 0; i < 40; ++i) outputs.push_back(net.same("aten.relu.default", {x}));
  net.returns(outputs);
  const Device device;
  const Settings settings = Settings().tensor_kib(16384);
  EXPECT_THAT(device.reasons(net.graph, settings), Each(IsEmpty()));
  try {
    device.compile(net.graph, settings);
    FAIL() << "it compiles";
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("of device memory, npu_ref has 268435456"));
  }
}

// -- quantizing

class Quantizer : public ::testing::Test {
 protected:
  Device device;
  quantize::Annotations annotate(ir::Graph& graph, const std::string& preset, recipe::Params params = {}) {
    Diagnostics diagnostics;
    auto found = quantize::annotate(
        graph, {quantize::QuantizerConfig("npu_ref").set_global(preset, std::move(params)).assign(device.shared())},
        diagnostics);
    EXPECT_TRUE(found) << found.error().text();
    return std::move(*found);
  }
};

TEST_F(Quantizer, UsesSymmetricPowersOfTwo) {
  Net net(1, DType::f32);
  const auto y = net.clamp(net.conv2d(net.input({1, 8, 4, 4}), {.kernel = 3}));
  net.returns({y});
  const ir::NodeId conv = net.graph.order()[0], clamp = net.graph.order()[1];
  for (const auto& [preset, dtype, top] :
       {std::tuple("int8", DType::s8, 127), std::tuple("int16", DType::s16, 32767)}) {
    const auto found = annotate(net.graph, preset);
    const quantize::Spec &x = *found.find({conv, 0, false}), &w = *found.find({conv, 1, false}),
                         &b = *found.find({conv, 2, false}), &out = *found.find({clamp, 0, true});
    EXPECT_EQ(found.find({conv, 0, true}), nullptr) << "the result is quantized behind the clamp";
    for (const quantize::Spec& spec : {x, out}) {
      EXPECT_EQ(spec.dtype, dtype);
      EXPECT_EQ(spec.qmin, -top - 1);
      EXPECT_EQ(spec.qmax, top);
      EXPECT_TRUE(spec.symmetric && spec.pow2_scale);
      EXPECT_EQ(spec.scheme, Scheme::per_tensor);
    }
    EXPECT_EQ(w.dtype, DType::s8);
    EXPECT_EQ(w.scheme, Scheme::per_channel);
    EXPECT_TRUE(w.symmetric && w.pow2_scale);
    EXPECT_EQ(w.observer, "mse");
    EXPECT_EQ(b.dtype, DType::s32);
    EXPECT_EQ(b.kind, quantize::SpecKind::derived);
  }
}

TEST_F(Quantizer, TakesOneScalePerTensorOnRequest) {
  Net net(1, DType::f32);
  net.returns({net.linear(net.input({1, 8}), {})});
  const auto found = annotate(net.graph, "int8", {{"per_channel", false}, {"weight_observer", std::string("minmax")}});
  const quantize::Spec& w = *found.find({net.graph.order()[0], 1, false});
  EXPECT_EQ(w.scheme, Scheme::per_tensor);
  EXPECT_EQ(w.observer, "minmax");
}

TEST_F(Quantizer, LeavesInFloatWhatTheDeviceCannotTake) {
  Net net(1, DType::f32);
  const auto x = net.input({1, 8, 4, 4});
  net.returns({net.conv2d(x, {.groups = 2})});
  const auto found = annotate(net.graph, "int8");
  EXPECT_TRUE(found.all().empty());
  EXPECT_THAT(found.verdicts.at(net.graph.order()[0]).reason,
              HasSubstr("rule conv2d: its groups are neither 1 nor one per channel with one filter each"));
}

TEST_F(Quantizer, GivesAMeanItsOwnScale) {
  Net net(1, DType::f32);
  const auto x = net.clamp(net.conv2d(net.input({1, 8, 4, 4}), {}));
  net.returns({net.op("aten.mean.dim", {x}, {{"dim", Ints{2, 3}}, {"keepdim", false}})});
  const auto found = annotate(net.graph, "int8");
  EXPECT_EQ(found.find({net.graph.order()[2], 0, true})->kind, quantize::SpecKind::observed);
}

}  // namespace
}  // namespace quoin::npu::testing
