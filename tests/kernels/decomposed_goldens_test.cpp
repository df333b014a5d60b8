// quantized_decomposed operators, bit for bit against the reference (goldens/numerics/ops).
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "../goldens.hpp"
#include "data/files.hpp"
#include "op_runner.hpp"

namespace quoin::test {
namespace {

std::string dtype_name(const std::string& torch) {
  static const std::map<std::string, std::string> names{{"torch.int8", "s8"},   {"torch.uint8", "u8"},
                                                        {"torch.int16", "s16"}, {"torch.uint16", "u16"},
                                                        {"torch.int32", "s32"}, {"torch.float32", "f32"}};
  return names.at(torch);
}

// The operator's attributes that follow the tensors, in the order of the reference's arguments.
std::vector<std::string> attribute_order(const std::string& op) {
  const std::vector<std::string> range{"quant_min", "quant_max", "dtype"};
  std::vector<std::string> names;
  if (op.find("per_tensor") != std::string::npos) names = {"scale", "zero_point"};
  if (op.find("choose_qparams_per_token") == 0) return {"dtype"};
  if (op.find("choose_qparams") == 0) return {"quant_min", "quant_max", "eps", "dtype"};
  if (op == "quantize_per_channel" || op == "dequantize_per_channel") names = {"axis"};
  names.insert(names.end(), range.begin(), range.end());
  if (op.find("channel_group") != std::string::npos) names.push_back("group_size");
  names.push_back("output_dtype");
  return names;
}

Attr to_attr(const nlohmann::json& value) {
  if (value.is_string()) return dtype_name(value.get<std::string>());
  if (value.is_number_integer()) return value.get<int64_t>();
  return value.get<double>();
}

Op build(const nlohmann::json& test, const data::TensorMap& tensors) {
  const std::string name = test["op"];
  const bool tensor_overload = name == "choose_qparams" || name == "choose_qparams_symmetric";
  Op op("quantized_decomposed." + name + (tensor_overload ? ".tensor" : ".default"));
  const auto order = attribute_order(name);
  size_t next = 0, slot = 0;
  for (const auto& arg : test["args"]) {
    if (arg == "tensor")
      op.in(tensors.at(test["id"].get<std::string>() + ".in." + std::to_string(slot++)));
    else
      op.attr(order.at(next++), to_attr(arg));
  }
  return op;
}

bool is_bit_equal(const Tensor& found, const Tensor& expected) {
  return found.dtype() == expected.dtype() && found.shape() == expected.shape() &&
         std::memcmp(found.data(), expected.data(), expected.bytes()) == 0;
}

TEST(DecomposedGoldens, EveryCaseIsBitExact) {
  const std::string base = goldens_folder() + "/numerics/ops";
  if (!std::filesystem::exists(base + ".json")) GTEST_SKIP() << base << ".json is not there";
  const auto cases = nlohmann::json::parse(std::ifstream(base + ".json"));
  const auto tensors = data::read_safetensors(base + ".safetensors");
  ASSERT_TRUE(tensors) << tensors.error().text();
  Tally tally;
  for (const auto& test : cases) {
    const std::string id = test["id"];
    const auto results = build(test, *tensors).run_all();
    bool equal = results.size() == test["n_out"].get<size_t>();
    for (size_t k = 0; equal && k < results.size(); ++k)
      equal = is_bit_equal(results[k], tensors->at(id + ".out." + std::to_string(k)));
    EXPECT_TRUE(equal) << test.dump();
    tally.add(id + " " + test["op"].get<std::string>(), equal);
  }
  if (default_goldens()) {
    EXPECT_EQ(tally.passed(), 34u);
  }
}

// From the reference's own documentation of its operators: rounding before or after adding the zero point.
TEST(Decomposed, AddsTheZeroPointWhereTheReferenceDoes) {
  const Tensor x = tensor<float>({1, 5}, {0.5f, 1.5f, 2.5f, -0.5f, -1.5f});
  const auto range = [](Op op) {
    return op.attr("quant_min", int64_t{-128}).attr("quant_max", int64_t{127}).attr("dtype", std::string("s8")).run();
  };
  EXPECT_EQ(elements<int8_t>(range(Op("quantized_decomposed.quantize_per_tensor.default")
                                       .in(x)
                                       .attr("scale", 1.0)
                                       .attr("zero_point", int64_t{1}))),
            (std::vector<int8_t>{1, 3, 3, 1, -1}));
  EXPECT_EQ(elements<int8_t>(range(Op("quantized_decomposed.quantize_per_token.default")
                                       .in(x)
                                       .in(tensor<float>({1, 1}, {1}))
                                       .in(tensor<int64_t>({1, 1}, {1})))),
            (std::vector<int8_t>{2, 2, 4, 0, 0}));
  EXPECT_EQ(elements<int8_t>(range(Op("quantized_decomposed.quantize_per_tensor.tensor")
                                       .in(x)
                                       .in(tensor<float>({1}, {1}))
                                       .in(tensor<int64_t>({1}, {0})))),
            (std::vector<int8_t>{0, 2, 2, 0, -2}));
}

}  // namespace
}  // namespace quoin::test
