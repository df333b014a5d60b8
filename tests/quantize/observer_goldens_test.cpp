// Every observer case of the reference implementation: scales within 1e-6, equal zero points.
#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "../goldens.hpp"
#include "data/files.hpp"
#include "quantize/observer.hpp"
#include "support.hpp"

namespace quoin::quantize {
namespace {

// Numbers are written as numbers or as text.
double number(const nlohmann::json& item, const char* key) {
  const auto& value = item.at(key);
  return value.is_string() ? std::stod(value.get<std::string>()) : value.get<double>();
}
int32_t integer(const nlohmann::json& item, const char* key) { return static_cast<int32_t>(number(item, key)); }

Spec spec_of(const nlohmann::json& item) {
  static const std::map<std::string, DType> dtypes{{"torch.int8", DType::s8},
                                                   {"torch.uint8", DType::u8},
                                                   {"torch.int16", DType::s16},
                                                   {"torch.uint16", DType::u16},
                                                   {"torch.int32", DType::s32}};
  Spec spec;
  const std::string observer = item.at("observer"), scheme = item.at("qscheme");
  spec.dtype = dtypes.at(item.at("dtype"));
  spec.default_range = !item.contains("quant_min");
  std::tie(spec.qmin, spec.qmax) = spec.default_range
                                       ? storage_range(spec.dtype)
                                       : std::pair(integer(item, "quant_min"), integer(item, "quant_max"));
  spec.symmetric = scheme.ends_with("symmetric");
  if (item.contains("eps")) spec.eps = number(item, "eps");
  spec.observer = observer.starts_with("Histogram") ? "histogram"
                  : observer.starts_with("Moving")  ? "moving_average"
                                                    : "minmax";
  if (observer.find("PerChannel") != std::string::npos) {
    spec.scheme = Scheme::per_channel;
    spec.axis = item.contains("ch_axis") ? integer(item, "ch_axis") : 0;
  }
  if (item.contains("bins")) spec.observer_params["bins"] = int64_t{integer(item, "bins")};
  if (item.contains("averaging_constant"))
    spec.observer_params["averaging_constant"] = number(item, "averaging_constant");
  return spec;
}

bool same_numbers(const nlohmann::json& item, const data::TensorMap& tensors) {
  const std::string id = item.at("id"), base = "obs." + item.at("data").get<std::string>() + ".";
  auto observer = test::ok(make_observer(spec_of(item)));
  for (int batch = 0; tensors.contains(base + std::to_string(batch)); ++batch)
    test::ok(observer->observe(tensors.at(base + std::to_string(batch))));
  const QParams found = test::ok(observer->qparams());
  const auto scale = tensors.at(id + ".scale").as<float>();
  const auto zero_point = tensors.at(id + ".zero_point").as<int32_t>();
  return std::ranges::equal(found.scale, scale, [](float a, float b) { return std::fabs(a - b) <= 1e-6f * b; }) &&
         std::ranges::equal(found.zero_point, zero_point);
}

TEST(ObserverGoldens, AllCasesAreEqual) {
  const std::string base = quoin::test::goldens_folder() + "/numerics/observers";
  std::ifstream file(base + ".json");
  if (!file) GTEST_SKIP() << base << ".json is missing";
  const auto cases = nlohmann::json::parse(file);
  const data::TensorMap tensors = test::ok(data::read_safetensors(base + ".safetensors"));
  quoin::test::Tally tally;
  for (const auto& item : cases) {
    const bool equal = same_numbers(item, tensors);
    EXPECT_TRUE(equal) << item.dump();
    tally.add(item.at("id"), equal);
  }
  if (quoin::test::default_goldens()) {
    EXPECT_GE(tally.passed(), 420u);
  }
}

}  // namespace
}  // namespace quoin::quantize
