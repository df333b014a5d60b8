// Which specs a plugin may set where, asked through the ABI, and what becomes of the legal ones.
#include <cmath>

#include "fake_plugin.hpp"

namespace quoin::quantize {
namespace {

using test::abi_spec;
using test::FakePlugin;
using test::ok;

constexpr quoin_place kData{0, 0, 0, 0}, kWeight{0, 1, 0, 0}, kBias{0, 2, 0, 0}, kResult{0, 0, 1, 0};

// linear(x[2, 8], w[4, 8], b[4]); one spec at a time is set on one of its places.
class Specs : public testing::Test {
 protected:
  Specs() {
    const auto x = model_.input({2, 8});
    const auto w = model_.constant(weights_), b = model_.constant(test::floats({4}, {0.1f, -0.2f, 0.3f, 0}), "b");
    linear_ = model_.add("aten.linear.default", {x, w, b}, {}, "linear");
    model_.graph.set_outputs({model_.value(linear_)});
  }
  // Sets the specs in order; the words of the refusals, or "" when all were taken.
  std::string set(const std::vector<std::pair<quoin_place, quoin_qspec>>& specs) {
    plugins_.push_back(std::make_unique<FakePlugin>(
        [&specs](const quoin_quant_request&, const quoin_annotator& annotator, quoin_error&) {
          for (const auto& [place, spec] : specs) annotator.set(annotator.self, place, &spec);
          return quoin_status{QUOIN_OK};
        }));
    Diagnostics diagnostics;
    model_.annotations = ok(annotate(model_.graph, {plugins_.back()->assign()}, diagnostics));
    std::string out;
    for (const Note& note : diagnostics.notes()) out += note.text();
    return out;
  }
  std::string set(quoin_place place, const quoin_qspec& spec) { return set({{place, spec}}); }
  void refused(quoin_place place, const quoin_qspec& spec, std::string_view why) {
    const std::string words = set(place, spec);
    EXPECT_NE(words.find(why), std::string::npos) << "expected \"" << why << "\", found \"" << words << '"';
    EXPECT_TRUE(model_.annotations.all().empty());
  }

  std::vector<std::unique_ptr<FakePlugin>> plugins_;  // derived specs hold on to theirs
  const Tensor weights_ = test::random_tensor({4, 8}, 7);
  test::Model model_;
  ir::NodeId linear_;
};

struct Type {
  quoin_dtype dtype;
  int32_t qmin, qmax;
};
constexpr Type kTypes[] = {
    {QUOIN_S2, -2, 1},  {QUOIN_S4, -8, 7},          {QUOIN_U4, 0, 15},     {QUOIN_S8, -128, 127},
    {QUOIN_U8, 0, 255}, {QUOIN_S16, -32768, 32767}, {QUOIN_U16, 0, 65535}, {QUOIN_S32, -1073741824, 1073741823}};

quoin_qspec layout(quoin_qspec spec, uint32_t scheme) {
  static constexpr int64_t block[] = {2, 4};
  spec.scheme = scheme;
  spec.axis = scheme == QUOIN_PER_CHANNEL ? 0 : -1;
  spec.group = scheme == QUOIN_PER_GROUP ? 4 : 0;
  if (scheme != QUOIN_PER_BLOCK) return spec;
  spec.block = block;
  spec.block_rank = 2;
  return spec;
}

TEST_F(Specs, WeightsTakeEveryTypeSchemeAndSymmetry) {
  for (const Type& type : kTypes) {
    for (const uint32_t scheme : {QUOIN_PER_TENSOR, QUOIN_PER_CHANNEL, QUOIN_PER_GROUP, QUOIN_PER_BLOCK}) {
      for (const uint32_t flags :
           {0, int{QUOIN_SYMMETRIC}, int{QUOIN_POW2_SCALE}, QUOIN_SYMMETRIC | QUOIN_POW2_SCALE}) {
        quoin_qspec spec = layout(abi_spec(type.dtype, type.qmin, type.qmax), scheme);
        spec.flags = flags;
        ASSERT_EQ(set(kWeight, spec), "") << "dtype " << type.dtype << " scheme " << scheme << " flags " << flags;
        const Spec& kept = *model_.annotations.find({linear_, 1, false});
        EXPECT_EQ(static_cast<uint32_t>(kept.dtype), type.dtype);
        EXPECT_EQ(static_cast<uint32_t>(kept.scheme), scheme);
        EXPECT_EQ(kept.symmetric, (flags & QUOIN_SYMMETRIC) != 0);
        EXPECT_EQ(kept.pow2_scale, (flags & QUOIN_POW2_SCALE) != 0);
      }
    }
  }
}
TEST_F(Specs, EveryLegalWeightConvertsToWithinAStep) {
  for (const Type& type : kTypes) {
    if (type.dtype == QUOIN_S32) continue;  // finer than binary32
    for (const uint32_t scheme : {QUOIN_PER_TENSOR, QUOIN_PER_CHANNEL, QUOIN_PER_GROUP, QUOIN_PER_BLOCK}) {
      for (const uint32_t flags : {0, int{QUOIN_SYMMETRIC}, int{QUOIN_POW2_SCALE}}) {
        quoin_qspec spec = layout(abi_spec(type.dtype, type.qmin, type.qmax), scheme);
        spec.flags = flags;
        ASSERT_EQ(set(kWeight, spec), "");
        const ir::Graph qdq = model_.qdq({});
        ir::Graph probe = qdq;  // gives the dequantized weight
        const ir::NodeId linear = test::find(probe, "linear.default");
        probe.set_outputs({probe.input(linear, 1)});
        const Tensor seen = test::run(probe, {Tensor(DType::f32, {2, 8})})[0];
        const float widest =
            2.1f / static_cast<float>(type.qmax - type.qmin) * (flags & QUOIN_POW2_SCALE ? 2.0f : 1.0f);
        for (size_t i = 0; i < 32; ++i)
          ASSERT_NEAR(seen.as<float>()[i], weights_.as<float>()[i], widest)
              << "dtype " << type.dtype << " scheme " << scheme << " flags " << flags;
      }
    }
  }
}
TEST_F(Specs, ActivationsTakeEveryTypePerTensorAndPerChannelOfAnyAxis) {
  for (const Type& type : kTypes) {
    const quoin_qspec tensor = abi_spec(type.dtype, type.qmin, type.qmax);
    EXPECT_EQ(set(kData, tensor), "") << type.dtype;
    EXPECT_EQ(set(kResult, tensor), "") << type.dtype;
    for (const int32_t axis : {0, 1}) {
      quoin_qspec channel = tensor;
      channel.scheme = QUOIN_PER_CHANNEL;
      channel.axis = axis;
      EXPECT_EQ(set(kData, channel), "") << type.dtype << " axis " << axis;
    }
  }
  quoin_qspec apart = abi_spec();
  apart.flags = QUOIN_NO_IMPLICIT_SHARING;
  ASSERT_EQ(set(kData, apart), "");
  EXPECT_FALSE(model_.annotations.find({linear_, 0, false})->implicit_sharing);
}
TEST_F(Specs, AnOmittedRangeIsThatOfTheType) {
  for (const Type& type : {Type{QUOIN_S2, -2, 1}, {QUOIN_U4, 0, 15}, {QUOIN_U16, 0, 65535}}) {
    ASSERT_EQ(set(kWeight, abi_spec(type.dtype, 0, 0)), "");
    const Spec& kept = *model_.annotations.find({linear_, 1, false});
    EXPECT_TRUE(kept.default_range);
    EXPECT_EQ(std::pair(kept.qmin, kept.qmax), std::pair(type.qmin, type.qmax));
  }
}
TEST_F(Specs, LayoutsThatDoNotFitAreRefused) {
  quoin_qspec spec = abi_spec();
  spec.scheme = 9;
  refused(kWeight, spec, "scheme 9 is not known");
  spec = layout(abi_spec(), QUOIN_PER_CHANNEL);
  for (const int32_t axis : {-1, 2}) {
    spec.axis = axis;
    refused(kWeight, spec, "axis");
  }
  spec = layout(abi_spec(), QUOIN_PER_GROUP);
  refused(kData, spec, "only weights");
  for (const uint32_t group : {0u, 3u, 16u}) {
    spec.group = group;
    refused(kWeight, spec, "group");
  }
  spec = layout(abi_spec(), QUOIN_PER_BLOCK);
  refused(kData, spec, "only weights");
  const int64_t uneven[] = {2, 3}, negative[] = {2, -4}, none[] = {0, 4};
  for (const int64_t* block : {uneven, negative, none}) {
    spec.block = block;
    refused(kWeight, spec, "block");
  }
  spec = layout(abi_spec(), QUOIN_PER_BLOCK);
  spec.block_rank = 1;
  refused(kWeight, spec, "block");
  spec.block_rank = 1u << 30;
  refused(kWeight, spec, "axes");
  spec.block_rank = 2;
  spec.block = nullptr;
  refused(kWeight, spec, "axes");
}
TEST_F(Specs, PartsOfAnotherSchemeAreRefused) {
  quoin_qspec spec = layout(abi_spec(), QUOIN_PER_CHANNEL);
  spec.group = 4;
  refused(kWeight, spec, "per group scheme only");
  spec = layout(abi_spec(), QUOIN_PER_BLOCK);
  spec.scheme = QUOIN_PER_TENSOR;
  refused(kWeight, spec, "per block scheme only");
}
TEST_F(Specs, DynamicSpecsBelongToInputs) {
  for (const uint32_t scheme : {QUOIN_PER_TENSOR, QUOIN_PER_TOKEN}) {
    quoin_qspec spec = layout(abi_spec(), scheme);
    spec.flags = QUOIN_DYNAMIC;
    EXPECT_EQ(set(kData, spec), "");
    refused(kResult, spec, "belong to inputs");
    refused(kWeight, spec, "constant");
    spec.flags |= QUOIN_POW2_SCALE;
    refused(kData, spec, "powers of two");
  }
  for (const uint32_t scheme : {QUOIN_PER_CHANNEL, QUOIN_PER_GROUP, QUOIN_PER_BLOCK}) {
    quoin_qspec spec = layout(abi_spec(), scheme);
    spec.flags = QUOIN_DYNAMIC;
    refused(kData, spec, "per tensor or per token");
  }
  refused(kData, layout(abi_spec(), QUOIN_PER_TOKEN), "must be dynamic");
}
TEST_F(Specs, WideRangesOfS32AreNamed) {
  quoin_qspec spec = abi_spec(QUOIN_S32, 0, 0);
  refused(kWeight, spec, "2^31 steps");
  spec.flags = QUOIN_SYMMETRIC;
  EXPECT_EQ(set(kWeight, spec), "");
  refused(kData, spec, "2147483520");
}
TEST_F(Specs, FixedSpecsAreCheckedWhole) {
  quoin_qspec spec = abi_spec();
  spec.kind = QUOIN_FIXED;
  spec.scale = 1.0 / 256;
  spec.zero_point = -128;
  EXPECT_EQ(set(kResult, spec), "");
  const auto with = [&](auto change) {
    quoin_qspec changed = spec;
    change(changed);
    return changed;
  };
  refused(kResult, with([](quoin_qspec& s) { s.scale = -1; }), "must be positive");
  refused(kResult, with([](quoin_qspec& s) { s.scale = HUGE_VAL; }), "must be positive");
  refused(kResult, with([](quoin_qspec& s) { s.zero_point = 128; }), "outside -128..127");
  refused(kResult, with([](quoin_qspec& s) { s.zero_point = int64_t{1} << 40; }), "does not fit s32");
  refused(kResult, with([](quoin_qspec& s) { s.flags = QUOIN_SYMMETRIC; }), "zero point 0");
  refused(kResult, with([](quoin_qspec& s) { s.scheme = QUOIN_PER_CHANNEL, s.axis = 0; }), "per tensor");
  refused(kResult, with([](quoin_qspec& s) { s.flags = QUOIN_POW2_SCALE, s.scale = 0.3; }), "power of two");
  EXPECT_EQ(set(kResult, with([](quoin_qspec& s) { s.flags = QUOIN_POW2_SCALE; })), "");
}
TEST_F(Specs, SharedSpecsNameOneOtherPlace) {
  quoin_qspec spec = abi_spec();
  spec.kind = QUOIN_SHARED;
  const quoin_place both[] = {kData, kWeight}, unknown{7, 0, 0, 0};
  spec.sources = both;
  spec.num_sources = 1;
  EXPECT_EQ(set(kResult, spec), "");
  spec.num_sources = 2;
  refused(kResult, spec, "expected 1");
  spec.num_sources = 1;
  refused(kData, spec, "refers to itself");
  spec.sources = &unknown;
  refused(kResult, spec, "does not exist");
  spec.sources = nullptr;
  refused(kResult, spec, "source places");
  spec.num_sources = 1u << 20;
  refused(kResult, spec, "source places");
}
TEST_F(Specs, DerivedSpecsNeedAKnownRule) {
  const quoin_place sources[] = {kData, kWeight};
  quoin_qspec spec = abi_spec(QUOIN_S32, INT32_MIN, INT32_MAX);
  spec.kind = QUOIN_DERIVED;
  spec.flags = QUOIN_SYMMETRIC;
  spec.sources = sources;
  spec.num_sources = 2;
  for (const uint32_t rule : {int{QUOIN_RULE_PRODUCT}, int{QUOIN_RULE_PLUGIN}, QUOIN_RULE_PLUGIN + 77}) {
    spec.rule = rule;
    EXPECT_EQ(set(kBias, spec), "") << rule;
  }
  for (const uint32_t rule : {0u, 2u, 1023u}) {
    spec.rule = rule;
    refused(kBias, spec, "is not known");
  }
  spec.rule = QUOIN_RULE_PRODUCT;
  spec.scheme = QUOIN_PER_GROUP;
  spec.group = 4;
  refused(kBias, spec, "per tensor or per channel");
  spec = abi_spec(QUOIN_S32, 0, 0);
  spec.kind = QUOIN_DERIVED;
  spec.rule = QUOIN_RULE_PRODUCT;
  refused(kBias, spec, "no source places");
}

// A rule of the plugin's own from annotate to integers: the result gets twice the scale of the data operand.
TEST_F(Specs, PluginsDeriveByTheirOwnRulesEndToEnd) {
  static float scale = 0;
  static int32_t zero = 0;
  plugins_.push_back(std::make_unique<FakePlugin>([](const auto&, const auto& annotator, auto&) {
    quoin_qspec data = abi_spec();
    data.observer = test::str("minmax");
    quoin_qspec result = abi_spec();
    result.kind = QUOIN_DERIVED;
    result.rule = QUOIN_RULE_PLUGIN + 5;
    const quoin_place source = kData;
    result.sources = &source;
    result.num_sources = 1;
    EXPECT_EQ(annotator.set(annotator.self, kData, &data), QUOIN_OK);
    EXPECT_EQ(annotator.set(annotator.self, kResult, &result), QUOIN_OK);
    return quoin_status{QUOIN_OK};
  }));
  FakePlugin& plugin = *plugins_.back();
  plugin.on_derive_do([](uint32_t rule, const quoin_qparams* const* sources, uint32_t count, quoin_qparams* out) {
    EXPECT_EQ(rule, uint32_t{QUOIN_RULE_PLUGIN + 5});
    EXPECT_EQ(count, 1u);
    scale = sources[0]->scale[0] * 2;
    zero = 3;
    out->dtype = QUOIN_S8;
    out->qmin = -128;
    out->qmax = 127;
    out->count = 1;
    out->scale = &scale;
    out->zero_point = &zero;
    return quoin_status{QUOIN_OK};
  });
  model_.annotations = ok(annotate(model_.graph, {plugin.assign()}, model_.diagnostics));
  const ir::Graph qdq = model_.qdq({{test::random_tensor({2, 8}, 3)}});
  std::vector<std::pair<double, int64_t>> found;
  for (const ir::NodeId id : qdq.order())
    if (qdq.node(id).op() == "quantized_decomposed.quantize_per_tensor.default")
      found.emplace_back(get_number(qdq.node(id).attrs, "scale"), get_int(qdq.node(id).attrs, "zero_point"));
  ASSERT_EQ(found.size(), 2u);
  EXPECT_FLOAT_EQ(static_cast<float>(found[1].first), static_cast<float>(found[0].first) * 2);
  EXPECT_EQ(found[1].second, 3);
}

}  // namespace
}  // namespace quoin::quantize
