// Programs whose weights are in a second file, through the C interface: beside the program, in memory, from a hook.
#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "../lower/fixture.hpp"
#include "flash.hpp"
#include "program/view/external.hpp"
#include "support.hpp"

namespace quoin::embed {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

std::string bytes_at(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
quoin_bytes view(const std::string& bytes) { return {bytes.data(), bytes.size()}; }

class Split : public lower::Lowering {
 protected:
  void SetUp() override {
    Lowering::SetUp();
    folder = fs::temp_directory_path() / ("quoin_split_" + std::to_string(::getpid()));
    fs::create_directories(folder);
    auto lowered = run({});
    ASSERT_TRUE(lowered) << text(lowered);
    const auto written = program::write((folder / "model.quoin").string(), lowered->model, {true, {}});
    ASSERT_TRUE(written) << written.error().text();
    weights = folder / written->weights_name;
    engine = quoin::testing::engine_with({});
  }
  void TearDown() override { fs::remove_all(folder); }
  std::string program_path() const { return (folder / "model.quoin").string(); }
  // "" or why the program does not open from its file.
  std::string refusal(quoin_program_options given = {}) {
    return engine.open(program_path().c_str(), given, error) ? "" : std::string(error.message());
  }
  void expect_runs(const rt::Program& program) {
    ASSERT_TRUE(program) << error.message();
    rt::Instance instance = program.instance({}, error);
    ASSERT_TRUE(instance && instance.plan({}, error)) << error.message();
    std::array<float, 6> given{1, 2, 3, -9, 0.5f, 0.25f};
    std::array<float, 8> found{};
    std::array<int64_t, 2> dims{2, 3};
    const std::array<quoin_tensor, 1> inputs{{{QUOIN_F32, 2, dims.data(), given.data(), sizeof given, nullptr}}};
    std::array<quoin_tensor, 1> outputs{{{0, 0, nullptr, found.data(), sizeof found, nullptr}}};
    ASSERT_TRUE(instance.run(inputs, outputs, {}, error)) << error.message();
    EXPECT_NEAR(found[0], 4 + std::exp(4.0f), 1e-4f) << "0.5 * (1 + 2 + 3) + 1, and its exponential";
  }

  fs::path folder, weights;
  rt::Engine engine;
  rt::Error error;
};

TEST_F(Split, WeightsLieBesideTheProgram) { expect_runs(engine.open(program_path().c_str(), {}, error)); }

TEST_F(Split, WeightsMayBeInMemory) {
  const std::string program = bytes_at(program_path()), content = bytes_at(weights);
  fs::remove(weights);
  quoin_program_options how{};
  how.weights = view(content);
  expect_runs(engine.view(view(program), how, error));
  expect_runs(engine.open(program_path().c_str(), how, error));
  const std::string shifted = "x" + content;  // not aligned: copied
  how.weights = {shifted.data() + 1, content.size()};
  expect_runs(engine.view(view(program), how, error));
}

TEST_F(Split, WithoutTheirBytesAProgramInMemoryNamesThem) {
  EXPECT_FALSE(engine.view(view(bytes_at(program_path())), {}, error));
  EXPECT_EQ(error.status(), QUOIN_NOT_FOUND);
  for (const std::string& part : {weights.filename().string(), std::string("weights of quoin_program_options")})
    EXPECT_THAT(std::string(error.message()), HasSubstr(part));
}

TEST_F(Split, SizeAndDigestAreChecked) {
  std::string content = bytes_at(weights);
  content[5] ^= 1;
  quoin_program_options how{};
  how.weights = view(content);
  EXPECT_THAT(refusal(how), HasSubstr("the digest does not match"));
  EXPECT_EQ(error.status(), QUOIN_CORRUPT);
  how.trust_weights = 1;
  EXPECT_EQ(refusal(how), "");
  how.weights.size -= 1;
  EXPECT_THAT(refusal(how), HasSubstr("the program needs"));
  std::ofstream(weights, std::ios::binary) << content;
  EXPECT_THAT(refusal(), HasSubstr("the digest does not match"));
  fs::remove(weights);
  EXPECT_THAT(refusal(), HasSubstr(weights.filename().string()));
  EXPECT_EQ(error.status(), QUOIN_NOT_FOUND);
}

TEST_F(Split, LinksAreNotFollowed) {
  fs::rename(weights, folder / "elsewhere");
  fs::create_symlink(folder / "elsewhere", weights);
  EXPECT_THAT(refusal(), HasSubstr("symbolic link"));
}

// A name that leads out of the folder, in a file whose checksums are right, never reaches the system or a hook.
TEST_F(Split, NamesThatAreNotPlainAreRefused) {
  const std::string good = weights.filename().string();
  program::ExternalWeights reference{good, bytes_at(weights).size(), {1, 2}};
  for (const std::string bad : {"../x.weights", "/etc/passwd", ".hidden", "a b", "c:d"}) {
    reference.name = bad;
    program::view::ExternalWeights read{};
    Fault fault;
    EXPECT_FALSE(program::view::read_reference(program::encode_reference(reference), read, fault)) << bad;
  }
}

TEST_F(Split, HooksGetTheNameBesideTheProgram) {
  const std::string program = bytes_at(program_path()), content = bytes_at(weights);
  const std::string beside = "flash:models/" + weights.filename().string();
  quoin::testing::Flash flash{{{"flash:models/a.quoin", view(program)}, {beside, view(content)}}, {}};
  const quoin_files files = flash.files();
  quoin_engine_options given{};
  given.files = &files;
  engine = rt::Engine::create(given, error);
  ASSERT_TRUE(engine) << error.message();
  expect_runs(engine.open("flash:models/a.quoin", {}, error));
  EXPECT_EQ(flash.asked, (std::vector<std::string>{"flash:models/a.quoin", beside}));
  EXPECT_EQ(flash.open, 0) << "each file is closed once";
}

}  // namespace
}  // namespace quoin::embed
