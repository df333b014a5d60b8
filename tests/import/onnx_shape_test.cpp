// Shape arithmetic is evaluated while importing; moves and resizes land on core operators.
#include "support.hpp"

namespace quoin::import::test {
namespace {

TEST(OnnxShapes, ArithmeticOverSizesFolds) {
  // reshape(x, [shape(x)[0], -1]) the way exporters write it.
  Onnx file;
  file.input("x", {"2", "3", "4"}).ints("zero", {}, {0}).ints("axes", {1}, {0}).ints("rest", {1}, {-1});
  file.node("Shape", {"x"}, {"s"}).node("Gather", {"s", "zero"}, {"n"}).attr("axis", int64_t{0});
  file.node("Unsqueeze", {"n", "axes"}, {"n1"}).node("Concat", {"n1", "rest"}, {"to"}).attr("axis", int64_t{0});
  file.node("Reshape", {"x", "to"}, {"y"}).output("y");
  const ir::Graph graph = imported(file.bytes());
  EXPECT_EQ(ops(graph), "aten.reshape.default");
  EXPECT_EQ(graph.value(graph.outputs()[0]).type.shape, (Shape{2, 12}));
}

// Result of one folded node over integer constants.
std::vector<int64_t> folded(Onnx& file, const std::vector<std::string>& operands, const std::string& op) {
  file.node(op, operands, {"r"}).output("r");
  const ir::Graph graph = imported(file.bytes());
  if (graph.outputs().empty()) return {};
  const auto& constant = graph.value(graph.outputs()[0]).constant;
  EXPECT_TRUE(constant.has_value()) << op << " was not folded";
  if (!constant) return {};
  if (constant->dtype() == DType::boolean) {
    const auto bits = constant->as<uint8_t>();
    return {bits.begin(), bits.end()};
  }
  const auto elements = constant->as<int64_t>();
  return {elements.begin(), elements.end()};
}

std::vector<int64_t> binary(const std::string& op, std::vector<int64_t> a, std::vector<int64_t> b) {
  Onnx file;
  file.ints("a", {static_cast<int64_t>(a.size())}, a).ints("b", {static_cast<int64_t>(b.size())}, b);
  return folded(file, {"a", "b"}, op);
}

TEST(OnnxShapes, BinaryOperatorsFollowOnnx) {
  using List = std::vector<int64_t>;
  EXPECT_EQ(binary("Add", {1, 2}, {10}), (List{11, 12}));
  EXPECT_EQ(binary("Sub", {1}, {1, 2}), (List{0, -1}));
  EXPECT_EQ(binary("Mul", {3, 4}, {5, 6}), (List{15, 24}));
  EXPECT_EQ(binary("Div", {-7, 7}, {2}), (List{-3, 3})) << "integers divide towards zero";
  EXPECT_EQ(binary("Mod", {-7, 7}, {4}), (List{1, 3})) << "the sign follows the divisor";
  EXPECT_EQ(binary("Equal", {1, 2}, {2}), (List{0, 1}));
  EXPECT_EQ(binary("Min", {1, 5}, {3}), (List{1, 3}));
}

TEST(OnnxShapes, RangesAndSlicesFold) {
  using List = std::vector<int64_t>;
  Onnx range;
  range.ints("a", {}, {5}).ints("b", {}, {-1}).ints("c", {}, {-2});
  EXPECT_EQ(folded(range, {"a", "b", "c"}, "Range"), (List{5, 3, 1}));
  Onnx slice;
  slice.ints("x", {4}, {1, 2, 3, 4})
      .ints("s", {1}, {-1})
      .ints("e", {1}, {INT64_MIN})
      .ints("a", {1}, {0})
      .ints("d", {1}, {-2});
  EXPECT_EQ(folded(slice, {"x", "s", "e", "a", "d"}, "Slice"), (List{4, 2}));
  Onnx open;
  open.ints("x", {4}, {1, 2, 3, 4}).ints("s", {1}, {1}).ints("e", {1}, {INT64_MAX});
  EXPECT_EQ(folded(open, {"x", "s", "e"}, "Slice"), (List{2, 3, 4}));
}

TEST(OnnxShapes, SizesKnownOnlyAtRunTimeAreRefused) {
  Onnx file;
  file.input("x", {"4"}).input("to", {"2"}, onnx::TensorProto::INT64).node("Reshape", {"x", "to"}, {"y"}).output("y");
  EXPECT_EQ(refusal(file.bytes()).code, Code::unsupported);
}

TEST(OnnxReshape, ZeroKeepsADimUnlessToldOtherwise) {
  const auto reshaped = [](std::vector<int64_t> to, int64_t allow) {
    Onnx file;
    file.input("x", {"2", "3", "4"}).ints("to", {static_cast<int64_t>(to.size())}, to);
    file.node("Reshape", {"x", "to"}, {"y"}).attr("allowzero", allow).output("y");
    return import_bytes(file.bytes());
  };
  const auto kept = reshaped({0, -1}, 0);
  ASSERT_TRUE(kept.has_value());
  EXPECT_EQ(kept->value(kept->outputs()[0]).type.shape, (Shape{2, 12}));
  EXPECT_EQ(reshaped({0, 12}, 1).error().code, Code::model);
  EXPECT_EQ(reshaped({5, -1}, 0).error().code, Code::model);
  EXPECT_EQ(reshaped({24, 1, 1, 0}, 0).error().code, Code::model) << "there is no dim 3 to keep";
}

TEST(OnnxGather, PicksTheNearestOperator) {
  const auto gathered = [](Shape index, bool table) {
    Onnx file;
    std::vector<int64_t> picks(static_cast<size_t>(numel(index)), 1);
    file.ints("i", index, picks);
    if (table) file.floats("t", {3, 2}, {1, 2, 3, 4, 5, 6}).input("j", {"4"}, onnx::TensorProto::INT64);
    if (!table) file.input("t", {"3", "2", "2"});
    file.node("Gather", {"t", table ? "j" : "i"}, {"y"}).output("y");
    return ops(imported(file.bytes()));
  };
  EXPECT_EQ(gathered({}, true), "aten.embedding.default");
  EXPECT_EQ(gathered({}, false), "aten.select.int");
  EXPECT_EQ(gathered({2}, false), "aten.index_select.default");
  EXPECT_EQ(gathered({2, 2}, false), "aten.reshape.default aten.index_select.default aten.reshape.default");
}

TEST(OnnxSplit, PartsAreGivenOrEqual) {
  Onnx file;
  file.input("x", {"5"}).ints("sizes", {2}, {1, 4});
  file.node("Split", {"x", "sizes"}, {"a", "b"}).output("b");
  file.node("Split", {"x"}, {"c", "d"}).attr("num_outputs", int64_t{2}).output("d");
  const auto out = run(imported(file.bytes()), {floats({5}, {1, 2, 3, 4, 5})});
  EXPECT_EQ(values(out[0]), (std::vector<float>{2, 3, 4, 5}));
  EXPECT_EQ(values(out[1]), (std::vector<float>{4, 5}));
}

TEST(OnnxMoves, ReproduceTheirDefinition) {
  Onnx file;
  file.input("x", {"1", "4", "1", "2"})
      .ints("pads", {4}, {0, 1, 0, 0})
      .ints("axes", {2}, {2, 3})
      .floats("fill", {}, {9});
  file.node("Pad", {"x", "pads", "fill", "axes"}, {"p"}).output("p");
  file.node("DepthToSpace", {"x"}, {"dcr"}).attr("blocksize", int64_t{2}).output("dcr");
  file.node("DepthToSpace", {"x"}, {"crd"}).attr("blocksize", int64_t{2}).attr("mode", "CRD").output("crd");
  file.node("Transpose", {"x"}, {"t"}).output("t");
  const auto out = run(imported(file.bytes()), {floats({1, 4, 1, 2}, {0, 1, 2, 3, 4, 5, 6, 7})});
  EXPECT_EQ(values(out[0]), (std::vector<float>{9, 0, 1, 9, 2, 3, 9, 4, 5, 9, 6, 7}));
  EXPECT_EQ(values(out[1]), (std::vector<float>{0, 2, 1, 3, 4, 6, 5, 7}));
  EXPECT_EQ(values(out[2]), values(out[1])) << "one channel: both orders agree";
  EXPECT_EQ(values(out[3]), (std::vector<float>{0, 2, 4, 6, 1, 3, 5, 7}));
}

TEST(OnnxResize, ModesThatTorchHasImport) {
  const auto resized = [](const char* mode, const char* coordinates, const char* rounding, float factor) {
    Onnx file;
    file.input("x", {"1", "1", "2", "2"}).floats("scales", {4}, {1, 1, factor, factor});
    file.node("Resize", {"x", "", "scales"}, {"y"})
        .attr("mode", mode)
        .attr("coordinate_transformation_mode", coordinates)
        .attr("nearest_mode", rounding)
        .output("y");
    return import_bytes(file.bytes());
  };
  const auto nearest = resized("nearest", "half_pixel", "round_prefer_floor", 2);
  ASSERT_TRUE(nearest.has_value()) << nearest.error().text();
  EXPECT_EQ(values(run(*nearest, {floats({1, 1, 2, 2}, {1, 2, 3, 4})})[0]),
            (std::vector<float>{1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4}));
  EXPECT_TRUE(resized("nearest", "asymmetric", "floor", 1.5F).has_value());
  EXPECT_TRUE(resized("linear", "half_pixel", "floor", 1.5F).has_value());
  EXPECT_TRUE(resized("linear", "align_corners", "floor", 2).has_value());
  EXPECT_EQ(resized("nearest", "half_pixel", "round_prefer_floor", 1.5F).error().code, Code::unsupported);
  EXPECT_EQ(resized("cubic", "half_pixel", "floor", 2).error().code, Code::unsupported);
}

}  // namespace
}  // namespace quoin::import::test
