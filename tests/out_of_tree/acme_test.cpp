// Opens the template's plugin, built outside the tree, and takes one linear layer through all its roles by the plain C ABI.
// QUOIN_ACME_FOLDER names the folder with the plugin.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <quoin/numerics.hpp>

#include <array>
#include <cstdlib>
#include <cstring>

#include "host/registry.hpp"

namespace quoin::host {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr size_t kMaxBlob = 1024;  // of the layer here

quoin_str str(std::string_view text) { return {text.data(), text.size()}; }
std::string text(quoin_str s) { return {s.data, static_cast<size_t>(s.size)}; }

// y = linear(x[2,3], w[2,3], b[2]); float as imported, or typed.
class LinearGraph {
 public:
  explicit LinearGraph(bool typed) {
    const quoin_bytes weights = typed ? bytes(kWeights) : bytes(kFloatWeights);
    const quoin_bytes biases = typed ? bytes(kBiases) : bytes(kFloatBiases);
    values_ = {value("x", 2, kXDims, {}), value("w", 2, kWDims, weights), value("b", 1, kBDims, biases),
               value("y", 2, kYDims, {})};
    values_[3].producer = 0;
    if (typed) {
      const quoin_dtype dtypes[] = {QUOIN_S8, QUOIN_S8, QUOIN_S32, QUOIN_S8};
      for (size_t i = 0; i < 4; ++i) values_[i].dtype = dtypes[i];
      values_[0].qparams = &kX;
      values_[1].qparams = &kW;
      values_[3].qparams = &kY;
    }
    node_.op = str("aten.linear.default");
    node_.op_version = 1;
    node_.num_inputs = 3;
    node_.num_outputs = 1;
    node_.inputs = kInputs.data();
    node_.outputs = kOutput.data();
    graph_.struct_size = sizeof graph_;
    graph_.num_inputs = graph_.num_outputs = 1;
    graph_.values = {values_.data(), 4, sizeof(quoin_value)};
    graph_.nodes = {&node_, 1, sizeof(quoin_node)};
    graph_.inputs = kInputs.data();
    graph_.outputs = kOutput.data();
  }
  LinearGraph(const LinearGraph&) = delete;
  LinearGraph& operator=(const LinearGraph&) = delete;
  const quoin_graph* get() const { return &graph_; }

  static constexpr std::array<int8_t, 6> kWeights = {1, -2, 3, 100, -100, 50};
  static constexpr std::array<int32_t, 2> kBiases = {10, -500};
  static constexpr std::array<float, 2> kWScales = {0.5f, 0.25f};
  static constexpr float kXScale = 0.1f, kYScale = 0.2f;
  static constexpr int32_t kXZero = -3, kYZero = 5;

 private:
  template <class T, size_t N>
  static quoin_bytes bytes(const std::array<T, N>& items) {
    return {items.data(), sizeof items};
  }
  static quoin_value value(const char* name, uint32_t rank, const std::array<int64_t, 2>& dims, quoin_bytes constant) {
    quoin_value v{};
    v.name = str(name);
    v.dtype = QUOIN_F32;
    v.rank = rank;
    v.dims = dims.data();
    v.producer = QUOIN_NONE;
    v.constant = constant;
    return v;
  }
  static constexpr std::array<float, 6> kFloatWeights = {};
  static constexpr std::array<float, 2> kFloatBiases = {};
  static constexpr std::array<int64_t, 2> kXDims = {2, 3}, kWDims = {2, 3}, kBDims = {2, 0}, kYDims = {2, 2};
  static constexpr std::array<uint32_t, 3> kInputs = {0, 1, 2};
  static constexpr std::array<uint32_t, 1> kOutput = {3};
  static constexpr quoin_qparams kX = {
      sizeof(quoin_qparams), QUOIN_S8, QUOIN_PER_TENSOR, -1, 0, 1, -128, 127, &kXScale, &kXZero, nullptr, 0};
  static constexpr quoin_qparams kY = {
      sizeof(quoin_qparams), QUOIN_S8, QUOIN_PER_TENSOR, -1, 0, 1, -128, 127, &kYScale, &kYZero, nullptr, 0};
  static constexpr quoin_qparams kW = {sizeof(quoin_qparams), QUOIN_S8, QUOIN_PER_CHANNEL, 0, 0, 2, -128, 127,
                                       kWScales.data(),       nullptr,  nullptr,           0};
  std::array<quoin_value, 4> values_{};
  quoin_node node_{};
  quoin_graph graph_{};
};

class Acme : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* folder = std::getenv("QUOIN_ACME_FOLDER");
    if (folder == nullptr)
      GTEST_SKIP() << "QUOIN_ACME_FOLDER is not set; tests/out_of_tree/out_of_tree_test.py builds it";
    registry_ = Registry::discover({{folder}, false, false}, services_);
    auto backend = registry_.open("acme");
    ASSERT_TRUE(backend.has_value()) << backend.error().text();
    backend_ = *backend;
    error_.struct_size = sizeof error_;
  }
  std::string message() const { return {error_.message, error_.message_size}; }

  // The blob of the typed layer.
  std::string compile() {
    const LinearGraph graph(true);
    quoin_lower_request request{};
    request.struct_size = sizeof request;
    request.graph = graph.get();
    std::string blob;
    quoin_blob_writer writer{};
    writer.struct_size = sizeof writer;
    writer.self = &blob;
    writer.write = [](void* self, quoin_bytes chunk) {
      static_cast<std::string*>(self)->append(static_cast<const char*>(chunk.data), chunk.size);
      return quoin_status{QUOIN_OK};
    };
    EXPECT_EQ(backend_->table().compiler->compile(backend_->handle(), &request, &writer, &error_), QUOIN_OK)
        << message();
    return blob;
  }
  quoin_status init(const void* blob, uint64_t size, quoin_delegate** out) {
    quoin_load_request request{};
    request.struct_size = sizeof request;
    request.blob_format = 1;
    request.blob = {blob, size};
    return backend_->table().executor->init(backend_->handle(), &request, out, &error_);
  }

  Services services_{{2, 0, {}}};
  Registry registry_;
  std::shared_ptr<Backend> backend_;
  quoin_error error_{};
};

TEST_F(Acme, ManifestTellsItsRoles) {
  ASSERT_EQ(registry_.candidates().size(), 1u);
  const Manifest& m = registry_.candidates()[0].manifest;
  EXPECT_EQ(m.version, "0.1.0");
  EXPECT_EQ(m.vendor, "Acme");
  EXPECT_THAT(m.roles, ElementsAre("quantizer", "compiler", "executor"));
}

TEST_F(Acme, AnnotatesALinearLayer) {
  struct Record {
    std::vector<std::string> places, rules;
  } record;
  quoin_annotator annotator{};
  annotator.struct_size = sizeof annotator;
  annotator.self = &record;
  annotator.set = [](void* self, quoin_place p, const quoin_qspec* spec) {
    const char* side = p.is_output != 0 ? "out" : "in";
    static_cast<Record*>(self)->places.push_back(
        fmt::format("{}{} dtype {} scheme {}", side, p.slot, spec->dtype, spec->scheme));
    return quoin_status{QUOIN_OK};
  };
  annotator.match = [](void* self, const uint32_t*, uint32_t count, quoin_str rule) {
    static_cast<Record*>(self)->rules.push_back(fmt::format("{} x{}", text(rule), count));
  };
  annotator.skip = [](void*, uint32_t node, quoin_str reason) { ADD_FAILURE() << node << ": " << text(reason); };
  const LinearGraph graph(false);
  const quoin_quant_config config = {str("int8"), {}};
  const uint32_t node_config = 0;
  quoin_quant_request request{};
  request.struct_size = sizeof request;
  request.graph = graph.get();
  request.configs = {&config, 1, sizeof config};
  request.node_config = &node_config;
  ASSERT_EQ(backend_->table().quantizer->annotate(backend_->handle(), &request, &annotator, &error_), QUOIN_OK)
      << message();
  EXPECT_THAT(record.places, ElementsAre("in0 dtype 5 scheme 0", "in1 dtype 5 scheme 1", "out0 dtype 5 scheme 0"));
  EXPECT_THAT(record.rules, ElementsAre("layer x1"));
}

TEST_F(Acme, ClaimsTypedLayersAndDeclinesFloatOnes) {
  for (const bool typed : {true, false}) {
    std::vector<std::string> decisions;
    quoin_claims claims{};
    claims.struct_size = sizeof claims;
    claims.self = &decisions;
    claims.claim = [](void* self, const uint32_t* nodes, uint32_t count, quoin_str tag) {
      static_cast<std::vector<std::string>*>(self)->push_back(
          fmt::format("claim {} x{} {}", nodes[0], count, text(tag)));
      return quoin_status{QUOIN_OK};
    };
    claims.decline = [](void* self, uint32_t node, quoin_str reason) {
      static_cast<std::vector<std::string>*>(self)->push_back(fmt::format("decline {}: {}", node, text(reason)));
    };
    const LinearGraph graph(typed);
    quoin_lower_request request{};
    request.struct_size = sizeof request;
    request.graph = graph.get();
    ASSERT_EQ(backend_->table().compiler->partition(backend_->handle(), &request, &claims, &error_), QUOIN_OK)
        << message();
    EXPECT_THAT(decisions,
                ElementsAre(typed ? "claim 0 x1 layer.0" : "decline 0: rule layer: is not computed on floats"));
  }
}

TEST_F(Acme, RunsWhatItCompiled) {
  const std::string blob = compile();
  alignas(64) std::array<char, kMaxBlob> aligned{};
  ASSERT_LE(blob.size(), aligned.size());
  std::memcpy(aligned.data(), blob.data(), blob.size());
  quoin_delegate* delegate = nullptr;
  ASSERT_EQ(init(aligned.data(), blob.size(), &delegate), QUOIN_OK) << message();

  std::array<int8_t, 6> x = {0, 1, -2, 127, -128, 4};
  std::array<int8_t, 4> y{};
  std::array<int64_t, 2> x_dims = {2, 3}, y_dims = {2, 2};
  const quoin_tensor in = {QUOIN_S8, 2, x_dims.data(), x.data(), x.size(), nullptr};
  const quoin_tensor out = {QUOIN_S8, 2, y_dims.data(), y.data(), y.size(), nullptr};
  quoin_run run{};
  run.struct_size = sizeof run;
  run.inputs = {&in, 1, sizeof in};
  run.outputs = {&out, 1, sizeof out};
  EXPECT_EQ(backend_->table().executor->run(delegate, &run, &error_), QUOIN_OK) << message();
  backend_->table().executor->destroy(delegate);

  using L = LinearGraph;
  for (size_t row = 0; row < 2; ++row) {
    for (size_t o = 0; o < 2; ++o) {
      int32_t sum = L::kBiases[o];
      for (size_t i = 0; i < 3; ++i) sum += (x[row * 3 + i] - L::kXZero) * L::kWeights[o * 3 + i];
      const float multiplier = numerics::requantize_multiplier(L::kXScale, L::kWScales[o], L::kYScale);
      EXPECT_EQ(y[row * 2 + o], numerics::requantize(sum, multiplier, L::kYZero, -128, 127)) << row << ", " << o;
    }
  }
}

TEST_F(Acme, RefusesEveryTruncatedBlob) {
  const std::string blob = compile();
  alignas(64) std::array<char, kMaxBlob> aligned{};
  ASSERT_LE(blob.size(), aligned.size());
  std::memcpy(aligned.data(), blob.data(), blob.size());
  for (size_t size = 0; size < blob.size(); ++size) {
    quoin_delegate* delegate = nullptr;
    EXPECT_EQ(init(aligned.data(), size, &delegate), QUOIN_CORRUPT) << size;
    EXPECT_THAT(message(), HasSubstr("truncated"));
  }
}

}  // namespace
}  // namespace quoin::host
