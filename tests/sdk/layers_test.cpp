// Ready-made specs, and int8 layers: what is taken, the numbers read from a graph, and blobs that lie.
#include <gtest/gtest.h>
#include <quoin/layers.hpp>
#include <quoin/specs.hpp>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace quoin::sdk {
namespace {

// A convolution [2,4,5,5] -> [2,6,3,3] in two groups (or a linear layer) with the hardtanh behind it, typed; tests
// change what they are about before they ask for the graph.
struct OneLayer {
  bool linear = false, with_clamp = true, with_bias = true;
  std::vector<int64_t> x_dims{2, 4, 5, 5}, w_dims{6, 2, 3, 3}, b_dims{6}, y_dims{2, 6, 3, 3};
  std::vector<int8_t> weight = std::vector<int8_t>(108, 2);
  std::vector<int32_t> bias{1, 2, 3, 4, 5, 6};
  std::vector<float> x_scale{0.5f}, w_scale{1, 2, 3, 4, 5, 6}, y_scale{0.25f}, clamp_scale{0.25f};
  int32_t x_zero = 3, y_zero = -8;
  std::vector<int32_t> w_zeros;
  uint32_t w_scheme = QUOIN_PER_CHANNEL;
  bool typed = true;
  std::vector<int64_t> stride{1, 1}, padding{0, 0}, dilation{1, 1};
  int64_t groups = 2;
  double min_val = -1, max_val = 2;
  std::function<void(OneLayer&)> touch;  // the finished values, before the graph is handed out

  std::vector<quoin_value> values;

  static OneLayer make_linear() {
    OneLayer l;
    l.linear = true;
    l.with_clamp = false;
    l.x_dims = {2, 3, 4};
    l.w_dims = {6, 4};
    l.y_dims = {2, 3, 6};
    l.weight.assign(24, 1);
    return l;
  }

  const quoin_graph* graph() {
    const auto q = [&](quoin_dtype dtype, const std::vector<float>& scale, const int32_t* zero) {
      return quoin_qparams{
          sizeof(quoin_qparams), dtype, QUOIN_PER_TENSOR, -1, 0, static_cast<uint32_t>(scale.size()), -128, 127,
          scale.data(),          zero,  nullptr,          0};
    };
    qparams_ = {q(QUOIN_S8, x_scale, &x_zero), q(QUOIN_S8, w_scale, w_zeros.empty() ? nullptr : w_zeros.data()),
                q(QUOIN_S8, y_scale, &y_zero), q(QUOIN_S8, clamp_scale, &y_zero)};
    qparams_[1].scheme = w_scheme;
    qparams_[1].axis = w_scheme == QUOIN_PER_CHANNEL ? 0 : -1;
    const quoin_dtype data = typed ? QUOIN_S8 : QUOIN_F32;
    values = {value(x_dims, data, typed ? &qparams_[0] : nullptr), value(w_dims, data, typed ? &qparams_[1] : nullptr),
              value(b_dims, typed ? QUOIN_S32 : QUOIN_F32, nullptr),
              value(y_dims, data, typed ? &qparams_[2] : nullptr), value(y_dims, data, typed ? &qparams_[3] : nullptr)};
    values[1].constant = {weight.data(), weight.size()};
    values[2].constant = {bias.data(), bias.size() * sizeof(int32_t)};
    values[3].producer = 0;
    values[4].producer = 1;
    if (with_clamp) {
      values[3].users = &clamp_place_;
      values[3].num_users = 1;
    }
    if (touch) touch(*this);
    attrs_ = {param("dilation", dilation), param("groups", groups), param("padding", padding), param("stride", stride)};
    limits_ = {{str("max_val"), QUOIN_PARAM_FLOAT, 1, &max_val}, {str("min_val"), QUOIN_PARAM_FLOAT, 1, &min_val}};
    nodes_.assign(with_clamp ? 2 : 1, {});
    nodes_[0].op = str(linear ? "aten.linear.default" : "aten.conv2d.default");
    nodes_[0].inputs = with_bias ? kInputs : kInputsWithoutBias;
    nodes_[0].num_inputs = 3;
    nodes_[0].outputs = kInputs + 3;
    nodes_[0].num_outputs = 1;
    nodes_[0].debug_id = 77;
    if (!linear) nodes_[0].attrs = Array<quoin_param>::of(attrs_);
    if (with_clamp) {
      nodes_[1].op = str("aten.hardtanh.default");
      nodes_[1].inputs = kInputs + 3;
      nodes_[1].outputs = kInputs + 4;
      nodes_[1].num_inputs = nodes_[1].num_outputs = 1;
      nodes_[1].attrs = Array<quoin_param>::of(limits_);
    }
    graph_ = {sizeof(quoin_graph),
              1,
              1,
              0,
              Array<quoin_value>::of(values),
              Array<quoin_node>::of(nodes_),
              kInputs,
              kInputs + (with_clamp ? 4 : 3),
              nullptr};
    return &graph_;
  }

  std::string check() {
    const Graph g(graph());
    Match m{g, {}};
    for (uint32_t i = 0; i < g.num_nodes(); ++i) m.nodes.push_back(g.node(i));
    return check_layer(m);
  }
  Layer read() { return read_layer(Graph(graph())); }

 private:
  static quoin_value value(const std::vector<int64_t>& dims, quoin_dtype dtype, const quoin_qparams* qparams) {
    quoin_value v{};
    v.name = str("v");
    v.dtype = dtype;
    v.rank = static_cast<uint32_t>(dims.size());
    v.dims = dims.data();
    v.producer = QUOIN_NONE;
    v.qparams = qparams;
    return v;
  }
  static quoin_param param(std::string_view name, const std::vector<int64_t>& items) {
    return {str(name), QUOIN_PARAM_INT, static_cast<uint32_t>(items.size()), items.data()};
  }
  static quoin_param param(std::string_view name, const int64_t& item) {
    return {str(name), QUOIN_PARAM_INT, 1, &item};
  }
  static constexpr uint32_t kInputs[] = {0, 1, 2, 3, 4}, kInputsWithoutBias[] = {0, 1, QUOIN_NONE};
  static constexpr quoin_place clamp_place_{1, 0, 0, 0};
  std::vector<quoin_qparams> qparams_;
  std::vector<quoin_param> attrs_, limits_;
  std::vector<quoin_node> nodes_;
  quoin_graph graph_{};
};

// -- specs

TEST(Specs, AreObservedWithTheRangeOfTheirName) {
  OneLayer l;
  const Graph g(l.graph());
  const Match m{g, {g.node(0)}};
  const Params none{{}};
  struct Expected {
    MakeSpec make;
    quoin_dtype dtype;
    uint32_t scheme;
    int32_t axis, qmin, qmax;
    uint32_t flags;
  };
  const Expected all[] = {
      {int8_activation, QUOIN_S8, QUOIN_PER_TENSOR, -1, -128, 127, 0},
      {uint8_activation, QUOIN_U8, QUOIN_PER_TENSOR, -1, 0, 255, 0},
      {int8_symmetric_activation, QUOIN_S8, QUOIN_PER_TENSOR, -1, -127, 127, QUOIN_SYMMETRIC},
      {int16_activation, QUOIN_S16, QUOIN_PER_TENSOR, -1, -32767, 32767, QUOIN_SYMMETRIC},
      {int8_weight_per_channel, QUOIN_S8, QUOIN_PER_CHANNEL, 0, -127, 127, QUOIN_SYMMETRIC},
      {int8_weight_per_tensor, QUOIN_S8, QUOIN_PER_TENSOR, -1, -127, 127, QUOIN_SYMMETRIC},
  };
  for (const Expected& e : all) {
    const quoin_qspec s = e.make(m, none);
    EXPECT_EQ(s.struct_size, sizeof s);
    EXPECT_EQ(s.kind, uint32_t{QUOIN_OBSERVED});
    EXPECT_EQ(std::tuple(s.dtype, s.scheme, s.axis, s.qmin, s.qmax, s.flags),
              std::tuple(e.dtype, e.scheme, e.axis, e.qmin, e.qmax, e.flags));
  }
}

// -- what is taken

TEST(CheckLayer, TakesTypedAndFloatLayers) {
  for (const bool typed : {true, false}) {
    OneLayer conv, linear = OneLayer::make_linear();
    conv.typed = linear.typed = typed;
    EXPECT_EQ(conv.check(), "") << typed;
    EXPECT_EQ(linear.check(), "") << typed;
    conv.with_bias = conv.with_clamp = false;
    EXPECT_EQ(conv.check(), "") << typed;
  }
}

TEST(CheckLayer, SaysWhatItDoesNotTake) {
  struct Refusal {
    const char* reason;
    std::function<void(OneLayer&)> change;
  };
  const Refusal all[] = {
      {"the weight is not a constant", [](OneLayer& l) { l.values[1].constant = {}; }},
      {"the bias is not a constant", [](OneLayer& l) { l.values[2].constant = {}; }},
      {"the shape is not static", [](OneLayer& l) { l.x_dims[0] = -1; }},
      {"the weight is not [O, C, H, W]", [](OneLayer& l) { l.values[1].rank = 3; }},
      {"the operand is not [N, C, H, W]", [](OneLayer& l) { l.values[0].rank = 3; }},
      {"a size of the layer is zero or above 2^24", [](OneLayer& l) { l.x_dims[0] = 0; }},
      {"a tensor of the layer has more than 2^40 elements", [](OneLayer& l) { l.x_dims[0] = l.x_dims[2] = 1 << 24; }},
      {"the groups do not divide the channels", [](OneLayer& l) { l.x_dims[1] = 3; }},
      {"operand, weight and result are not all int8", [](OneLayer& l) { l.values[4].qparams = nullptr; }},
      {"the weight is not int8", [](OneLayer& l) { l.values[1].dtype = QUOIN_S4; }},
      {"operand and result are not int8 with one scale", [](OneLayer& l) { l.values[0].dtype = QUOIN_S16; }},
      {"the bias is not int32", [](OneLayer& l) { l.values[2].dtype = QUOIN_F32; }},
      {"weight and bias have other sizes than the layer", [](OneLayer& l) { l.values[1].constant.size -= 1; }},
      {"weight and bias have other sizes than the layer", [](OneLayer& l) { l.values[2].constant.size -= 4; }},
  };
  for (const Refusal& r : all) {
    OneLayer l;
    l.touch = r.change;
    EXPECT_EQ(l.check(), r.reason);
    EXPECT_THROW(l.read(), Failure) << r.reason;
  }
}

TEST(CheckLayer, WeightsAreSymmetricWithOneScaleOrOnePerChannel) {
  OneLayer l;
  l.w_zeros = {0, 0, 0, 0, 0, 1};
  EXPECT_EQ(l.check(), "the weight is not symmetric");
  l.w_zeros = std::vector<int32_t>(6, 0);
  EXPECT_EQ(l.check(), "");
  l.w_scale = {1, 2};
  EXPECT_EQ(l.check(), "the weight has neither one scale nor one per output channel");
  l.w_scheme = QUOIN_PER_TENSOR;
  l.w_scale = {1};
  EXPECT_EQ(l.check(), "");
}

TEST(CheckLayer, ASumThatSomeInputOverflowsIsRefused) {
  OneLayer l;
  l.bias[5] = INT32_MAX - 131 * 2 * 18;  // the worst input lies 131 steps from zero point 3
  EXPECT_EQ(l.check(), "");
  l.bias[5] += 1;
  EXPECT_EQ(l.check(), "some input makes a sum overflow int32");
  l.bias[5] = INT32_MIN;
  EXPECT_EQ(l.check(), "some input makes a sum overflow int32");
}

TEST(CheckLayer, FloatLayersAreF32) {
  OneLayer l;
  l.typed = false;
  l.touch = [](OneLayer& o) { o.values[0].dtype = QUOIN_F16; };
  EXPECT_EQ(l.check(), "operand and weight are not f32");
  EXPECT_THROW(l.read(), Failure);
}

// -- the numbers

TEST(ReadLayer, GivesGeometryAndRequantization) {
  OneLayer l;
  l.stride = {2, 1};
  l.padding = {1, 0};
  l.dilation = {1, 2};
  const Layer layer = l.read();
  EXPECT_EQ(std::tuple(layer.batch, layer.in_channels, layer.in_h, layer.in_w), std::tuple(2, 4, 5, 5));
  EXPECT_EQ(std::tuple(layer.out_channels, layer.out_h, layer.out_w, layer.groups), std::tuple(6, 3, 3, 2));
  EXPECT_EQ(std::tuple(layer.kernel_h, layer.kernel_w, layer.stride_h, layer.stride_w), std::tuple(3, 3, 2, 1));
  EXPECT_EQ(std::tuple(layer.pad_h, layer.pad_w, layer.dilation_h, layer.dilation_w), std::tuple(1, 0, 1, 2));
  EXPECT_EQ(std::tuple(layer.zero_x, layer.zero_y, layer.debug_id), std::tuple(3, -8, 77u));
  EXPECT_EQ(std::tuple(layer.low, layer.high), std::tuple(-12, 0));  // -1 and 2 in steps of 1/4 from -8
  EXPECT_EQ(layer.multiplier, (std::vector<float>{2, 4, 6, 8, 10, 12}));
  EXPECT_EQ(layer.bias, l.bias);
  EXPECT_EQ(layer.weight.data(), l.weight.data());
  EXPECT_EQ(std::tuple(layer.input_size(), layer.output_size(), layer.filter_size()), std::tuple(200, 108, 18));
}

TEST(ReadLayer, ALinearLayerIsOneTapOnImagesOfOnePixel) {
  OneLayer l = OneLayer::make_linear();
  l.with_bias = false;
  const Layer layer = l.read();
  EXPECT_EQ(std::tuple(layer.batch, layer.in_channels, layer.out_channels), std::tuple(6, 4, 6));
  EXPECT_EQ(std::tuple(layer.out_h, layer.out_w, layer.filter_size()), std::tuple(1, 1, 4));
  EXPECT_EQ(layer.bias, std::vector<int32_t>(6, 0));
  EXPECT_EQ(std::tuple(layer.low, layer.high), std::tuple(-128, 127));
}

TEST(ReadLayer, RefusesAClaimThatIsNotOneLayer) {
  OneLayer l;
  quoin_graph empty = *l.graph();
  empty.nodes.count = 0;
  EXPECT_THROW(read_layer(Graph(&empty)), Failure);
  l.typed = false;
  EXPECT_THROW(l.read(), Failure);
}

// -- claims

constexpr PresetSpecs kPresets[] = {{"int8", kInt8Layer}};
constexpr Rule kRules[] = {
    {.name = "layer", .pattern = kLayerPattern, .presets = kPresets, .forms = kInteger, .check = check_layer}};

std::vector<std::string> claims_of(OneLayer& layer) {
  static const RuleTable table("toy", kRules);
  std::vector<std::string> lines;
  quoin_claims raw{sizeof raw, 0, &lines, nullptr, nullptr};
  raw.claim = [](void* self, const uint32_t*, uint32_t count, quoin_str tag) {
    static_cast<std::vector<std::string>*>(self)->push_back(std::string(view(tag)) + " x" + std::to_string(count));
    return quoin_status{QUOIN_OK};
  };
  raw.decline = [](void* self, uint32_t node, quoin_str reason) {
    static_cast<std::vector<std::string>*>(self)->push_back(std::to_string(node) + ": " + std::string(view(reason)));
  };
  const quoin_lower_request request{sizeof request, 0, layer.graph(), {}, 0};
  Claims claims(&raw);
  claim_layers(table, LowerRequest(&request), claims);
  return lines;
}
using Lines = std::vector<std::string>;

TEST(ClaimLayers, TakesTheClampAlong) {
  OneLayer l;
  EXPECT_EQ(claims_of(l), Lines{"layer.0 x2"});
  l.with_clamp = false;
  EXPECT_EQ(claims_of(l), Lines{"layer.0 x1"});
}

TEST(ClaimLayers, LeavesAClampThatChangesTheScale) {
  OneLayer l;
  l.clamp_scale = {0.5f};
  EXPECT_EQ(claims_of(l), (Lines{"layer.0 x1", "1: no rule for aten.hardtanh.default"}));
}

TEST(ClaimLayers, DeclinesFloatLayersWithTheReason) {
  OneLayer l;
  l.typed = l.with_clamp = false;
  EXPECT_EQ(claims_of(l), Lines{"0: rule layer: is not computed on floats"});
}

// -- blobs

// Bytes at an address like the loader's.
struct Bytes {
  explicit Bytes(std::string text) : size(text.size()), room(text.size() / 64 + 1) {
    std::memcpy(room.data(), text.data(), size);
  }
  quoin_bytes get() const { return {room.data(), size}; }
  struct alignas(64) Line {
    char bytes[64];
  };
  size_t size;
  std::vector<Line> room;
};

std::string blob_of(const Layer& layer) {
  std::string out;
  quoin_blob_writer raw{sizeof raw, 0, &out, nullptr, nullptr, nullptr};
  raw.write = [](void* self, quoin_bytes chunk) {
    static_cast<std::string*>(self)->append(static_cast<const char*>(chunk.data), chunk.size);
    return quoin_status{QUOIN_OK};
  };
  Blob blob(&raw);
  write_layer(layer, blob);
  return out;
}

quoin_status code_of(const std::string& blob) {
  try {
    load_layer(Bytes(blob).get());
    return QUOIN_OK;
  } catch (const Failure& failure) {
    return failure.code;
  }
}

TEST(LoadLayer, GivesWhatWasWritten) {
  OneLayer l;
  const Layer before = l.read();
  const Bytes blob(blob_of(before));
  const Layer after = load_layer(blob.get());
  EXPECT_EQ(
      std::memcmp(static_cast<const LayerShape*>(&before), static_cast<const LayerShape*>(&after), sizeof(LayerShape)),
      0);
  EXPECT_EQ(after.multiplier, before.multiplier);
  EXPECT_EQ(after.bias, before.bias);
  EXPECT_TRUE(std::ranges::equal(after.weight, before.weight));
}

TEST(LoadLayer, RefusesEveryTruncationAndAByteTooMany) {
  OneLayer l;
  const std::string blob = blob_of(l.read());
  for (size_t size = 0; size < blob.size(); ++size) EXPECT_EQ(code_of(blob.substr(0, size)), QUOIN_CORRUPT) << size;
  EXPECT_EQ(code_of(blob + '\0'), QUOIN_CORRUPT);
  EXPECT_EQ(code_of(blob), QUOIN_OK);
}

TEST(LoadLayer, RefusesNonsenseInEveryField) {
  OneLayer l;
  const Layer good = l.read();
  int64_t LayerShape::*const sizes[] = {
      &LayerShape::batch,    &LayerShape::in_channels,  &LayerShape::in_h,       &LayerShape::in_w,
      &LayerShape::out_h,    &LayerShape::out_channels, &LayerShape::out_w,      &LayerShape::groups,
      &LayerShape::kernel_h, &LayerShape::kernel_w,     &LayerShape::stride_h,   &LayerShape::stride_w,
      &LayerShape::pad_h,    &LayerShape::pad_w,        &LayerShape::dilation_h, &LayerShape::dilation_w};
  for (const auto field : sizes)
    for (const int64_t value : {int64_t{-1}, INT64_MIN, INT64_MAX, int64_t{1} << 32}) {
      Layer bad = good;
      bad.*field = value;
      EXPECT_EQ(code_of(blob_of(bad)), QUOIN_CORRUPT) << value;
    }
  int32_t LayerShape::*const bytes[] = {&LayerShape::zero_x, &LayerShape::zero_y, &LayerShape::low, &LayerShape::high};
  for (const auto field : bytes)
    for (const int32_t value : {-129, 128, INT32_MIN, INT32_MAX}) {
      Layer bad = good;
      bad.*field = value;
      EXPECT_EQ(code_of(blob_of(bad)), QUOIN_CORRUPT) << value;
    }
  Layer bad = good;
  bad.bias[2] = INT32_MAX;
  EXPECT_EQ(code_of(blob_of(bad)), QUOIN_CORRUPT) << "sums overflow";
}

TEST(LoadLayer, EveryFlippedBitGivesACleanAnswer) {
  OneLayer l;
  std::string blob = blob_of(l.read());
  size_t refused = 0;
  for (size_t bit = 0; bit < blob.size() * 8; ++bit) {
    blob[bit / 8] = static_cast<char>(blob[bit / 8] ^ (1 << bit % 8));
    const quoin_status code = code_of(blob);
    EXPECT_TRUE(code == QUOIN_OK || code == QUOIN_CORRUPT) << bit;
    refused += code == QUOIN_CORRUPT;
    blob[bit / 8] = static_cast<char>(blob[bit / 8] ^ (1 << bit % 8));
  }
  EXPECT_GT(refused, sizeof(LayerShape) * 4);  // of its 8 bits a byte, most
}

}  // namespace
}  // namespace quoin::sdk
