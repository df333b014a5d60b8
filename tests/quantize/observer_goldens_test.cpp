// Every observer case of the reference implementation: equal scales and zero points, bit for bit.
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "data/files.hpp"
#include "quantize/observer.hpp"
#include "support.hpp"

namespace quoin::quantize {
namespace {

std::string shared_folder() {
  const char* given = std::getenv("QUOIN_SHARED");
  return given ? given : QUOIN_SOURCE_ROOT "/../shared";
}

Spec spec_of(const nlohmann::json& item) {
  Spec spec;
  const std::string observer = item.at("observer"), scheme = item.at("qscheme");
  spec.dtype = item.at("dtype") == "torch.uint8" ? DType::u8 : DType::s8;
  spec.qmin = std::stoi(item.at("quant_min").get<std::string>());
  spec.qmax = std::stoi(item.at("quant_max").get<std::string>());
  spec.symmetric = scheme.ends_with("symmetric");
  spec.eps = item.at("eps");
  spec.observer = observer.starts_with("Histogram") ? "histogram"
                  : observer.starts_with("Moving")  ? "moving_average"
                                                    : "minmax";
  if (observer.find("PerChannel") != std::string::npos) {
    spec.scheme = Scheme::per_channel;
    spec.axis = std::stoi(item.at("ch_axis").get<std::string>());
  }
  if (item.contains("bins")) spec.observer_params["bins"] = int64_t{std::stoi(item.at("bins").get<std::string>())};
  if (item.contains("averaging_constant"))
    spec.observer_params["averaging_constant"] = std::stod(item.at("averaging_constant").get<std::string>());
  return spec;
}

TEST(ObserverGoldens, AllCasesAreEqual) {
  const std::string base = shared_folder() + "/goldens/numerics/observers";
  std::ifstream file(base + ".json");
  if (!file) GTEST_SKIP() << base << ".json is missing";
  const auto cases = nlohmann::json::parse(file);
  const data::TensorMap tensors = test::ok(data::read_safetensors(base + ".safetensors"));
  size_t compared = 0;
  for (const auto& item : cases) {
    const std::string id = item.at("id");
    auto observer = test::ok(make_observer(spec_of(item)));
    for (int batch = 0; batch < 3; ++batch)
      test::ok(observer->observe(tensors.at(fmt::format("obs.{}.{}", item.at("data").get<std::string>(), batch))));
    const QParams found = test::ok(observer->qparams());
    const auto scale = tensors.at(id + ".scale").as<float>();
    const auto zero_point = tensors.at(id + ".zero_point").as<int32_t>();
    EXPECT_EQ(found.scale, std::vector<float>(scale.begin(), scale.end())) << id;
    EXPECT_EQ(found.zero_point, std::vector<int32_t>(zero_point.begin(), zero_point.end())) << id;
    ++compared;
  }
  EXPECT_GE(compared, 420u);
}

}  // namespace
}  // namespace quoin::quantize
