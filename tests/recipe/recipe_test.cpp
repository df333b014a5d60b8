#include "recipe/recipe.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "../temp_folder.hpp"
#include "base/file.hpp"
#include "recipe/schema.hpp"

namespace quoin::recipe {
namespace {

namespace fs = std::filesystem;

const fs::path kRoot = QUOIN_SOURCE_ROOT;

Result<Recipe> parse_text(const std::string& text, const std::vector<Override>& overrides = {}) {
  return parse(text, "r.yaml", overrides);
}

::testing::AssertionResult fails_with(const Result<Recipe>& result, const std::string& where, const std::string& part) {
  if (result) return ::testing::AssertionFailure() << "succeeded, expected an error with \"" << part << '"';
  const Error& error = result.error();
  if (error.code != Code::recipe) return ::testing::AssertionFailure() << code_name(error.code) << ": " << error.text();
  if (error.where != where)
    return ::testing::AssertionFailure() << "at " << error.where << ", expected " << where << ": " << error.text();
  if (error.text().find(part) == std::string::npos)
    return ::testing::AssertionFailure() << '"' << error.text() << "\" lacks \"" << part << '"';
  return ::testing::AssertionSuccess();
}

constexpr const char* kFull = R"(
model:
  path: /models/m.pt2
  dims: {batch: 1, tokens: 128}
  input:
    layout: nhwc
    preprocess: {resize: [96, 64], crop: 0.875, filter: bilinear, mean: [1, 2.5, 3], std: 128}
plugins: {search: [/opt/plugins], fallback: error}
quantize:
  quantizers:
    - plugin: cpu
      preset: int8-static
      params: {per_channel: true, bits: 8, eps: 0.5, mode: "8"}
      rules:
        - {module: "encoder.*", preset: int8-dynamic, params: {group: 32}}
        - {op: aten.softmax.int, preset: null}
        - {module_type: Conv2d, node: conv_1, preset: ~}
  calibrate: {data: /data, samples: 64, observer: histogram, observer_params: {bins: 2048}}
lower: {order: [cpu, other], isa: avx2, keep_original: false, params: {x: y}}
eval: {data: /eval, labels: /labels.csv, metric: top1}
run: {threads: 4}
)";

TEST(Recipe, every_key_reaches_its_field) {
  const auto r = parse_text(kFull);
  ASSERT_TRUE(r) << r.error().text();
  EXPECT_EQ(r->model.path, "/models/m.pt2");
  EXPECT_EQ(r->model.dims, (std::map<std::string, int64_t>{{"batch", 1}, {"tokens", 128}}));
  const data::Preprocess& p = r->quantize.calibrate.data.preprocess;
  EXPECT_EQ(p.layout, "nhwc");
  EXPECT_EQ(p.resize, (std::array<int64_t, 2>{96, 64}));
  EXPECT_EQ(p.crop, 0.875);
  EXPECT_EQ(p.filter, "bilinear");
  EXPECT_EQ(p.mean, (std::vector<double>{1, 2.5, 3}));
  EXPECT_EQ(p.std, (std::vector<double>{128, 128, 128}));
  EXPECT_EQ(r->plugins.search, std::vector<std::string>{"/opt/plugins"});
  EXPECT_EQ(r->plugins.fallback, "error");
  ASSERT_EQ(r->quantize.quantizers.size(), 1u);
  const Quantizer& q = r->quantize.quantizers[0];
  EXPECT_EQ(q.plugin, "cpu");
  EXPECT_EQ(q.preset, "int8-static");
  EXPECT_EQ(q.params, (Params{{"per_channel", true}, {"bits", int64_t{8}}, {"eps", 0.5}, {"mode", std::string("8")}}));
  EXPECT_EQ(q.place.text, "r.yaml:11:7");
  ASSERT_EQ(q.rules.size(), 3u);
  EXPECT_EQ(q.rules[0].module, "encoder.*");
  EXPECT_EQ(q.rules[0].preset, "int8-dynamic");
  EXPECT_EQ(q.rules[0].params, (Params{{"group", int64_t{32}}}));
  EXPECT_EQ(q.rules[1].op, "aten.softmax.int");
  EXPECT_FALSE(q.rules[1].preset);
  EXPECT_EQ(q.rules[2].module_type, "Conv2d");
  EXPECT_EQ(q.rules[2].node, "conv_1");
  EXPECT_EQ(q.rules[2].place.text, "r.yaml:17:11");
  EXPECT_EQ(r->quantize.calibrate.data.path, "/data");
  EXPECT_EQ(r->quantize.calibrate.data.limit, 64u);
  EXPECT_EQ(r->quantize.calibrate.observer, "histogram");
  EXPECT_EQ(r->quantize.calibrate.observer_params, (Params{{"bins", int64_t{2048}}}));
  EXPECT_EQ(r->lower.order, (std::vector<std::string>{"cpu", "other"}));
  EXPECT_EQ(r->lower.isa, "avx2");
  EXPECT_EQ(r->lower.keep_original, false);
  EXPECT_EQ(r->lower.params, (Params{{"x", std::string("y")}}));
  EXPECT_EQ(r->eval.data, "/eval");
  EXPECT_EQ(r->eval.labels, "/labels.csv");
  EXPECT_EQ(r->eval.metric, "top1");
  EXPECT_EQ(r->run.threads, 4);
}

TEST(Recipe, selection_reaches_its_fields_with_places) {
  const auto r = parse_text(R"(quantize:
  passes: [decompose-hardswish, mine]
  quantizers:
    - plugin: cpu
      preset: null
      include:
        - {module: "re:encoder\\..*"}
        - {op: "aten.conv*"}
      exclude:
        - {module_type: Head, node: "re:fc[0-9]"}
      rules:
        - {node: fc1, preset: int8-static}
)");
  ASSERT_TRUE(r) << r.error().text();
  ASSERT_EQ(r->quantize.passes.size(), 2u);
  EXPECT_EQ(r->quantize.passes[0].name, "decompose-hardswish");
  EXPECT_EQ(r->quantize.passes[1].place.text, "r.yaml:2:33");
  const Quantizer& q = r->quantize.quantizers[0];
  EXPECT_FALSE(q.preset);
  ASSERT_EQ(q.include.size(), 2u);
  EXPECT_EQ(q.include[0].module, "re:encoder\\..*");
  EXPECT_EQ(q.include[1].op, "aten.conv*");
  EXPECT_EQ(q.include[1].place.text, "r.yaml:8:11");
  ASSERT_EQ(q.exclude.size(), 1u);
  EXPECT_EQ(q.exclude[0].module_type, "Head");
  EXPECT_EQ(q.exclude[0].node, "re:fc[0-9]");
  EXPECT_EQ(q.rules[0].preset, "int8-static");
  const auto again = parse_text(r->resolved);
  ASSERT_TRUE(again) << again.error().text() << "\n" << r->resolved;
  EXPECT_FALSE(again->quantize.quantizers[0].preset);
  EXPECT_EQ(again->quantize.quantizers[0].include[0].module, q.include[0].module);
  EXPECT_EQ(again->resolved, r->resolved);
}

TEST(Recipe, policy_and_options_of_plugins_are_read) {
  const std::string digits(64, '7'), upper = "ABCDEF" + std::string(58, '0');
  const auto r = parse_text("plugins:\n  policy: listed\n  sha256: [" + digits + ", " + upper +
                            "]\n  options:\n    npu: {device: 1,\n          fast: true}\n    cpu: {}\n");
  ASSERT_TRUE(r) << r.error().text();
  EXPECT_EQ(r->plugins.policy, "listed");
  EXPECT_EQ(r->plugins.sha256, (std::vector<std::string>{digits, "abcdef" + std::string(58, '0')}));
  ASSERT_EQ(r->plugins.options.size(), 2u);
  const PluginOptions& npu = r->plugins.options.at("npu");
  EXPECT_EQ(npu.values, (Params{{"device", int64_t{1}}, {"fast", true}}));
  EXPECT_EQ(npu.places.at("fast").text, "r.yaml:6:17");
  EXPECT_EQ(npu.place.text, "r.yaml:5:5");
  const auto again = parse_text(r->resolved);
  ASSERT_TRUE(again) << again.error().text();
  EXPECT_EQ(again->plugins.sha256, r->plugins.sha256);
  EXPECT_EQ(again->plugins.options.at("npu").values, npu.values);
}

TEST(Recipe, nothing_given_means_the_defaults) {
  for (const char* text : {"", "# only a comment\n", "{}", "model:\nquantize:\n"}) {
    const auto r = parse_text(text);
    ASSERT_TRUE(r) << r.error().text();
    EXPECT_TRUE(r->quantize.quantizers.empty());
    EXPECT_EQ(r->lower.keep_original, std::nullopt);
    EXPECT_EQ(r->run.threads, 1);
  }
}

TEST(Recipe, documented_defaults_are_those_of_the_structure) {
  const Recipe built;
  const auto written = parse_text(parse_text("")->resolved);
  ASSERT_TRUE(written) << written.error().text();
  EXPECT_EQ(written->model.preprocess.layout, built.model.preprocess.layout);
  EXPECT_EQ(written->model.preprocess.resize, built.model.preprocess.resize);
  EXPECT_EQ(written->model.preprocess.crop, built.model.preprocess.crop);
  EXPECT_EQ(written->model.preprocess.filter, built.model.preprocess.filter);
  EXPECT_EQ(written->model.preprocess.mean, built.model.preprocess.mean);
  EXPECT_EQ(written->model.preprocess.std, built.model.preprocess.std);
  EXPECT_EQ(written->plugins.fallback, built.plugins.fallback);
  EXPECT_EQ(written->quantize.calibrate.data.limit, built.quantize.calibrate.data.limit);
  EXPECT_EQ(written->lower.isa, built.lower.isa);
  EXPECT_EQ(written->lower.keep_original, built.lower.keep_original);
  EXPECT_EQ(written->run.threads, built.run.threads);
}

TEST(Recipe, resolved_text_is_canonical_and_means_the_same) {
  const auto first = parse_text(kFull);
  ASSERT_TRUE(first);
  const auto again = parse_text(first->resolved);
  ASSERT_TRUE(again) << again.error().text() << "\n" << first->resolved;
  EXPECT_EQ(again->resolved, first->resolved);
  EXPECT_EQ(again->quantize.quantizers[0].params, first->quantize.quantizers[0].params);
  EXPECT_FALSE(again->quantize.quantizers[0].rules[1].preset);
  const auto other_order = parse_text("run: {threads: 2}   # comment\nlower: {isa: avx2}");
  const auto one_order = parse_text("lower:\n  isa: avx2\nrun:\n  threads: 2\n");
  EXPECT_EQ(other_order->resolved, one_order->resolved);
}

struct Fault {
  const char* name;
  const char* text;
  const char* where;
  const char* part;
};
void PrintTo(const Fault& fault, std::ostream* out) { *out << fault.name; }

class BadRecipe : public ::testing::TestWithParam<Fault> {};

TEST_P(BadRecipe, is_refused_with_place_and_reason) {
  EXPECT_TRUE(fails_with(parse_text(GetParam().text), GetParam().where, GetParam().part));
}

INSTANTIATE_TEST_SUITE_P(
    Recipe, BadRecipe,
    ::testing::Values(
        Fault{"unknown_key", "quantize:\n  calibrate:\n    sampels: 5\n", "r.yaml:3:5", "did you mean \"samples\""},
        Fault{"unknown_section", "quantise: {}\n", "r.yaml:1:1", "did you mean \"quantize\""},
        Fault{"key_of_another_section", "model:\n  threads: 2\n", "r.yaml:2:3", "did you mean \"run.threads\""},
        Fault{"nothing_near", "run:\n  zzzzzzzzzz: 2\n", "r.yaml:2:3", "known keys here are threads"},
        Fault{"unknown_key_in_list", "quantize:\n  quantizers:\n    - {plugin: cpu, presset: x}\n", "r.yaml:3:21",
              "did you mean \"preset\""},
        Fault{"text_for_number", "run: {threads: many}\n", "r.yaml:1:16",
              "expected a whole number from 0 to 256, found the text many"},
        Fault{"fraction_for_integer", "run: {threads: 1.5}\n", "r.yaml:1:16", "found the number 1.5"},
        Fault{"quoted_number", "run: {threads: \"2\"}\n", "r.yaml:1:16", "found the text \"2\""},
        Fault{"out_of_range", "run:\n  threads: 257\n", "r.yaml:2:12", "from 0 to 256"},
        Fault{"nan", "model: {input: {preprocess: {crop: .nan}}}\n", "r.yaml:1:36", "expected a number"},
        Fault{"number_for_text", "lower: {isa: 5}\n", "r.yaml:1:14", "expected a text, found the whole number 5"},
        Fault{"yes_for_boolean", "lower: {keep_original: yes}\n", "r.yaml:1:24", "expected true or false"},
        Fault{"null_value", "lower:\n  isa:\n", "r.yaml:2:3", "found null"},
        Fault{"not_allowed", "model: {input: {layout: nchv}}\n", "r.yaml:1:25", "did you mean \"nchw\""},
        Fault{"map_for_list", "quantize: {quantizers: {plugin: cpu}}\n", "r.yaml:1:24",
              "expected a list of maps, found a map"},
        Fault{"scalar_for_section", "quantize: cpu\n", "r.yaml:1:11", "expected a map of keys"},
        Fault{"scalar_recipe", "hello\n", "r.yaml:1:1", "expected a map of keys"},
        Fault{"nested_param", "quantize:\n  quantizers:\n    - plugin: cpu\n      params: {a: [1]}\n", "r.yaml:4:19",
              "params.a"},
        Fault{"two_means", "model: {input: {preprocess: {mean: [1, 2]}}}\n", "r.yaml:1:36", "1 or 3"},
        Fault{"zero_std", "model: {input: {preprocess: {std: 0}}}\n", "r.yaml:1:35", "at least"},
        Fault{"zero_dim", "model: {dims: {n: 0}}\n", "r.yaml:1:19", "model.dims.n"},
        Fault{"missing_plugin", "quantize:\n  quantizers:\n    - preset: int8\n", "r.yaml:3:7",
              "quantizers[].plugin is missing"},
        Fault{"rule_without_preset", "quantize:\n  quantizers:\n    - plugin: cpu\n      rules:\n        - {op: x}\n",
              "r.yaml:5:11", "rules[].preset is missing"},
        Fault{"bad_expression",
              "quantize:\n  quantizers:\n    - plugin: cpu\n      rules:\n        - {op: \"re:a(\", preset: null}\n",
              "r.yaml:5:16", "rules[].op: the regular expression \"a(\" is not valid: missing )"},
        Fault{"bad_filter_expression", "quantize:\n  quantizers:\n    - {plugin: cpu, exclude: [{node: 're:*'}]}\n",
              "r.yaml:3:38", "exclude[].node: the regular expression"},
        Fault{"empty_pattern", "quantize:\n  quantizers:\n    - {plugin: cpu, include: [{module: ''}]}\n",
              "r.yaml:3:40", "a name, a glob or re:EXPRESSION"},
        Fault{"preset_in_a_filter", "quantize:\n  quantizers:\n    - {plugin: cpu, include: [{op: x, preset: y}]}\n",
              "r.yaml:3:39", "unknown key \"quantize.quantizers[].include[].preset\""},
        Fault{"one_pass_for_a_list", "quantize: {passes: decompose-silu}\n", "r.yaml:1:20", "write [decompose-silu]"},
        Fault{"short_digest", "plugins: {policy: listed, sha256: [abc]}\n", "r.yaml:1:36",
              "expected a SHA-256 digest of 64 hex digits, found the text abc"},
        Fault{"digest_of_other_letters",
              "plugins: {policy: listed, sha256: [gggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggg]}\n",
              "r.yaml:1:36", "64 hex digits"},
        Fault{"digest_without_list",
              "plugins: {policy: listed, sha256: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}\n",
              "r.yaml:1:35", "expected a list of SHA-256 digests"},
        Fault{"digests_that_nothing_reads",
              "plugins: {sha256: [aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]}\n", "r.yaml:1:19",
              "plugins.policy is any; set plugins.policy: listed"},
        Fault{"unknown_policy", "plugins: {policy: list}\n", "r.yaml:1:19", "did you mean \"listed\""},
        Fault{"options_without_plugin", "plugins: {options: {device: 1}}\n", "r.yaml:1:29", "plugins.options.device"},
        Fault{"list_as_plugin_option", "plugins: {options: {npu: {device: [1]}}}\n", "r.yaml:1:35",
              "plugins.options.npu.device"},
        Fault{"duplicate_key", "run: {threads: 1}\nrun: {threads: 2}\n", "r.yaml:2:1", "twice"},
        Fault{"merge_key", "a: &a {x: 1}\nb: {<<: *a}\n", "r.yaml:2:5", "merge keys"},
        Fault{"list_as_key", "[a]: 1\n", "r.yaml:1:1", "plain word"},
        Fault{"tag", "run: {threads: !!int 1}\n", "r.yaml:1:16", "tag"},
        Fault{"self_alias", "a: &a [*a]\n", "r.yaml:1:8", "alias"},
        Fault{"control_character", "run:\n  \x04threads: 1\n", "r.yaml:2:3", "0x04"},
        Fault{"carriage_return_inside_of_a_line", "run:\r\n  threads: 1\r \r\n", "r.yaml:2:13", "0x0d"},
        Fault{"two_documents", "run: {threads: 1}\n---\nrun: {}\n", "r.yaml", "second YAML document"},
        Fault{"syntax", "run: [1, 2\n", "r.yaml:2:1", "YAML"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(Recipe, aliases_are_expanded_under_a_limit) {
  const auto plain =
      parse_text("quantize:\n  quantizers:\n    - {plugin: cpu, params: &p {a: 1}}\n    - {plugin: dsp, params: *p}\n");
  ASSERT_TRUE(plain) << plain.error().text();
  EXPECT_EQ(plain->quantize.quantizers[1].params, (Params{{"a", int64_t{1}}}));
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    const std::string last = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 9; ++j) bomb += last + ", ";
    bomb += last + "]\n";
  }
  const auto refused = parse_text(bomb);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().what.find("100000"), std::string::npos) << refused.error().text();
}

TEST(Recipe, depth_and_size_are_limited) {
  for (const std::string& open : {std::string("["), std::string("{a: ")}) {
    std::string deep;
    for (int i = 0; i < 20000; ++i) deep += open;
    const auto result = parse_text(deep);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Code::recipe);
  }
  EXPECT_FALSE(parse_text(std::string((1u << 20) + 1, ' ')));
}

TEST(Override, sets_values_of_every_kind) {
  const auto r = parse_text(kFull, {{"run.threads", "8"},
                                    {"quantize.quantizers[0].preset", "int8-dynamic"},
                                    {"quantize.quantizers.0.params.bits", "4"},
                                    {"quantize.quantizers[0].rules[0].preset", "null"},
                                    {"quantize.quantizers[1].plugin", "dsp"},
                                    {"lower.order", "[dsp, cpu]"},
                                    {"model.input.preprocess", "{crop: 0.5}"}});
  ASSERT_TRUE(r) << r.error().text();
  EXPECT_EQ(r->run.threads, 8);
  ASSERT_EQ(r->quantize.quantizers.size(), 2u);
  EXPECT_EQ(r->quantize.quantizers[0].preset, "int8-dynamic");
  EXPECT_EQ(r->quantize.quantizers[0].params.at("bits"), Scalar(int64_t{4}));
  EXPECT_FALSE(r->quantize.quantizers[0].rules[0].preset);
  EXPECT_EQ(r->quantize.quantizers[1].plugin, "dsp");
  EXPECT_EQ(r->lower.order, (std::vector<std::string>{"dsp", "cpu"}));
  EXPECT_EQ(r->model.preprocess.crop, 0.5);
  EXPECT_EQ(r->model.preprocess.filter, "bicubic");
  EXPECT_NE(r->resolved.find("threads: 8"), std::string::npos);
}

TEST(Override, makes_what_an_empty_recipe_lacks) {
  const auto r = parse("", "", {{"quantize.quantizers[0].plugin", "cpu"}, {"run.threads", "3"}});
  ASSERT_TRUE(r) << r.error().text();
  EXPECT_EQ(r->quantize.quantizers.at(0).plugin, "cpu");
  EXPECT_EQ(r->quantize.quantizers[0].place.text, "--set quantize.quantizers[0].plugin");
}

TEST(Override, later_ones_win) {
  EXPECT_EQ(parse_text("", {{"run.threads", "2"}, {"run.threads", "5"}})->run.threads, 5);
}

TEST(Override, errors_name_the_option) {
  const auto fails = [](const char* key, const char* value, const char* part) {
    return fails_with(parse_text(kFull, {{key, value}}), std::string("--set ") + key, part);
  };
  EXPECT_TRUE(fails("run.treads", "2", "did you mean \"threads\""));
  EXPECT_TRUE(fails("run.threads", "many", "expected a whole number"));
  EXPECT_TRUE(fails("run.threads.more", "1", "below the value"));
  EXPECT_TRUE(fails("quantize.quantizers[5].plugin", "x", "no index of a list of 1"));
  EXPECT_TRUE(fails("quantize.quantizers.cpu.plugin", "x", "no index"));
  EXPECT_TRUE(fails("", "1", "empty part"));
  EXPECT_TRUE(fails("run..threads", "1", "empty part"));
  EXPECT_TRUE(fails("a[x]", "1", "brackets"));
  EXPECT_TRUE(fails("a[0", "1", "brackets"));
  EXPECT_TRUE(fails("a[0]b", "1", "behind a bracket"));
  EXPECT_FALSE(parse_text("", {{"run", "{threads: "}}));
}

TEST(Paths, start_at_the_recipe_then_at_a_parent_with_a_readme) {
  const quoin::test::TempFolder folder;
  const fs::path root = folder.path();
  fs::create_directories(root / "repo" / "configs");
  fs::create_directories(root / "data");
  for (const char* file : {"repo/README.md", "repo/configs/near.npy", "repo/far.npy", "data/beside.npy"})
    std::ofstream(root / file) << "x";
  const auto data_of = [&](const std::string& path) {
    return parse("eval: {data: \"" + path + "\"}", (root / "repo/configs/r.yaml").string())->eval.data;
  };
  EXPECT_EQ(data_of("near.npy"), root / "repo/configs/near.npy");
  EXPECT_EQ(data_of("far.npy"), root / "repo/far.npy");
  EXPECT_EQ(data_of("../data/beside.npy"), root / "data/beside.npy");
  EXPECT_EQ(data_of("none.npy"), root / "repo/configs/none.npy");
  EXPECT_EQ(data_of("/absolute"), "/absolute");
}

TEST(Load, missing_file_is_not_found) {
  const auto result = load("/nonexistent/r.yaml");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::not_found);
}

TEST(Hostile, every_truncation_and_random_damage_is_an_error_or_a_recipe) {
  const std::string whole = kFull;
  for (size_t size = 0; size <= whole.size(); ++size) {
    const auto result = parse_text(whole.substr(0, size));
    if (!result) {
      EXPECT_EQ(result.error().code, Code::recipe) << result.error().text();
    }
  }
  std::mt19937 random(3);
  for (int i = 0; i < 3000; ++i) {
    std::string text = whole;
    for (uint32_t flips = 1 + random() % 4; flips > 0; --flips)
      text[random() % text.size()] = static_cast<char>(random());
    const auto result = parse_text(text);
    if (!result) {
      EXPECT_EQ(result.error().code, Code::recipe) << result.error().text();
    }
  }
}

std::vector<fs::path> shipped_recipes() {
  std::vector<fs::path> out;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(kRoot / "configs"))
    if (entry.path().extension() == ".yaml") out.push_back(entry.path());
  return out;
}

void expect_files(const Recipe& r) {
  for (const std::string& file :
       {r.model.path, r.quantize.calibrate.data.path, r.quantize.source.calibrate.data, r.eval.data, r.eval.labels})
    EXPECT_TRUE(file.empty() || fs::exists(file)) << r.path << ": " << file;
}

TEST(Shipped, every_recipe_loads_and_quantizes) {
  const std::vector<fs::path> recipes = shipped_recipes();
  ASSERT_GE(recipes.size(), 7u);
  for (const fs::path& path : recipes) {
    const auto r = load(path.string());
    ASSERT_TRUE(r) << r.error().text();
    EXPECT_FALSE(r->quantize.quantizers.empty() && r->quantize.source.rules.empty()) << path;
    if (path.parent_path().filename() == "quickstart") expect_files(*r);
  }
}

TEST(Shipped, reference_recipes_name_files_that_are_there) {
  if (!fs::exists(kRoot.parent_path() / "shared" / "models")) GTEST_SKIP() << "no ../shared with the reference models";
  for (const fs::path& path : shipped_recipes()) expect_files(*load(path.string()));
}

TEST(Shipped, quickstart_data_fit_its_model) {
  const auto r = load((kRoot / "configs/quickstart/digits.yaml").string());
  ASSERT_TRUE(r) << r.error().text();
  const data::InputSpec input{"x", DType::f32, {1, 1, 8, 8}};
  const auto calibration = data::open_dataset(r->quantize.calibrate.data, {input});
  ASSERT_TRUE(calibration) << calibration.error().text();
  EXPECT_EQ((*calibration)->size(), 100u);
  const auto test = data::open_dataset({r->eval.data, r->eval.labels, 0, {}}, {input});
  ASSERT_TRUE(test) << test.error().text();
  EXPECT_EQ((*test)->size(), 400u);
  EXPECT_TRUE((*test)->sample(0)->label);
}

}  // namespace
}  // namespace quoin::recipe
