#include <cmath>
#include <nlohmann/json.hpp>

#include "support.hpp"

namespace quoin::data::test {
namespace {

TEST(Image, png_gives_back_every_pixel) {
  const TempFolder folder;
  const Tensor image = pattern(7, 11);
  const auto read = read_image(folder.write("a.png", png_of(image)));
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(read->shape(), image.shape());
  EXPECT_TRUE(std::ranges::equal(read->as<uint8_t>(), image.as<uint8_t>()));
}

TEST(Image, jpeg_comes_close_to_the_pixels_in_rgb_order) {
  const TempFolder folder;
  const Tensor image = pattern(33, 47);
  const auto read = read_image(folder.write("a.jpg", jpeg_of(image, 98)));
  ASSERT_TRUE(read) << read.error().text();
  ASSERT_EQ(read->shape(), image.shape());
  for (size_t i = 0; i < image.bytes(); ++i) ASSERT_NEAR(read->as<uint8_t>()[i], image.as<uint8_t>()[i], 12) << i;
}

TEST(Image, greyscale_jpeg_becomes_rgb) {
  const TempFolder folder;
  const auto read = read_image(folder.write("g.jpg", gray_jpeg(8, 9, 77)));
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(read->shape(), (Shape{8, 9, 3}));
  for (const uint8_t value : std::as_const(*read).as<uint8_t>()) EXPECT_NEAR(value, 77, 1);
}

TEST(Image, refusals_name_the_file) {
  const TempFolder folder;
  EXPECT_TRUE(fails_with(read_image(folder.write("a.png", "GIF89a")), Code::data, "a.png: neither a JPEG nor a PNG"));
  EXPECT_TRUE(fails_with(read_image(folder.write("e.png", "")), Code::data, "e.png"));
  EXPECT_TRUE(fails_with(read_image(folder.write("c.jpg", cmyk_jpeg(8, 8))), Code::data, "CMYK"));
  const std::string whole = jpeg_of(pattern(64, 64));
  EXPECT_TRUE(
      fails_with(read_image(folder.write("t.jpg", whole.substr(0, whole.size() / 2))), Code::data, "t.jpg: JPEG: "));
}

TEST(Image, a_claim_of_too_many_pixels_is_refused_before_memory_is_taken) {
  const TempFolder folder;
  std::string jpeg = jpeg_of(pattern(8, 8));
  const size_t frame = jpeg.find("\xff\xc0");
  ASSERT_NE(frame, std::string::npos);
  for (size_t i = 5; i < 9; ++i) jpeg[frame + i] = '\xfe';  // height and width
  EXPECT_TRUE(fails_with(read_image(folder.write("big.jpg", jpeg)), Code::data, "limit"));
}

Preprocess plain() { return Preprocess{.crop = 0}; }

TEST(PreprocessImage, leaves_pixels_alone_when_sizes_agree) {
  const Tensor image = pattern(6, 5);
  const auto out = preprocess(image, plain(), {1, 3, 6, 5});
  ASSERT_TRUE(out) << out.error().text();
  for (size_t c = 0; c < 3; ++c)
    for (size_t i = 0; i < 30; ++i) EXPECT_EQ(out->as<float>()[c * 30 + i], image.as<uint8_t>()[i * 3 + c]);
}

TEST(PreprocessImage, channels_last_has_the_same_numbers_in_another_order) {
  const Tensor image = pattern(40, 30);
  Preprocess options{.mean = {1, 2, 3}, .std = {4, 5, 6}};
  const auto first = preprocess(image, options, {1, 3, 8, 8});
  options.layout = "nhwc";
  const auto last = preprocess(image, options, {1, 8, 8, 3});
  ASSERT_TRUE(first && last);
  for (size_t c = 0; c < 3; ++c)
    for (size_t i = 0; i < 64; ++i) EXPECT_EQ(first->as<float>()[c * 64 + i], last->as<float>()[i * 3 + c]);
}

TEST(PreprocessImage, keeps_a_constant_image_constant_at_any_size) {
  Tensor image(DType::u8, {37, 53, 3});
  std::ranges::fill(image.as<uint8_t>(), uint8_t{201});
  for (const char* filter : {"bicubic", "bilinear"})
    for (const int64_t side : {int64_t{1}, int64_t{7}, int64_t{37}, int64_t{200}}) {
      Preprocess options = plain();
      options.filter = filter;
      const auto out = preprocess(image, options, {1, 3, side, side});
      ASSERT_TRUE(out) << out.error().text();
      for (const float value : std::as_const(*out).as<float>()) ASSERT_EQ(value, 201.0f) << filter << side;
    }
}

TEST(PreprocessImage, halves_with_the_antialiased_filter) {
  // One row 0 0 0 0 255 255 255 255 to four pixels. Bilinear stretched by 2 has weights 1/8 3/8 3/8 1/8, renormalized
  // where it leaves the image.
  Tensor image(DType::u8, {1, 8, 3});
  std::fill_n(image.as<uint8_t>().data() + 12, 12, uint8_t{255});
  Preprocess options = plain();
  options.filter = "bilinear";
  const auto out = preprocess(image, options, {1, 3, 1, 4});
  ASSERT_TRUE(out) << out.error().text();
  const float expected[] = {0, std::round(255 * 0.125f), std::round(255 * 0.875f), 255};
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(out->as<float>()[i], expected[i]) << i;
}

TEST(PreprocessImage, crops_the_centre_square) {
  Tensor image(DType::u8, {4, 9, 3});
  for (size_t y = 0; y < 4; ++y)
    for (size_t x = 0; x < 9; ++x) image.as<uint8_t>()[(y * 9 + x) * 3] = static_cast<uint8_t>(10 * y + x);
  const auto whole = preprocess(image, Preprocess{.crop = 1.0}, {1, 3, 4, 4});
  ASSERT_TRUE(whole);
  EXPECT_EQ(whole->as<float>()[0], 2.0f);  // (9 - 4) / 2
  const auto half = preprocess(image, Preprocess{.crop = 0.5}, {1, 3, 2, 2});
  ASSERT_TRUE(half);
  EXPECT_EQ(half->as<float>()[0], 13.0f);  // row (4 - 2) / 2, column (9 - 2) / 2
}

TEST(PreprocessImage, one_channel_is_luma) {
  Tensor image(DType::u8, {1, 1, 3});
  image.as<uint8_t>()[0] = 255;
  const auto out = preprocess(image, Preprocess{.mean = {6}, .std = {10}}, {1, 1, 1, 1});
  ASSERT_TRUE(out) << out.error().text();
  EXPECT_FLOAT_EQ(out->as<float>()[0], 7.0f);  // 0.299 * 255 is 76
}

TEST(PreprocessImage, says_what_does_not_fit) {
  const Tensor image = pattern(4, 4);
  EXPECT_TRUE(fails_with(preprocess(image, Preprocess{.resize = {5, 5}}, {1, 3, 4, 4}), Code::input, "5 x 5"));
  EXPECT_TRUE(fails_with(preprocess(image, {}, {1, 4, 4, 3}), Code::input, "layout"));
  EXPECT_TRUE(fails_with(preprocess(image, {}, {3, 4, 4}), Code::input, "four dimensions"));
  EXPECT_TRUE(fails_with(preprocess(image, {}, {1, 3, 0, 4}), Code::data, "0 pixels"));
  EXPECT_TRUE(fails_with(preprocess(image, Preprocess{.filter = "lanczos"}, {1, 3, 4, 4}), Code::recipe, "lanczos"));
  EXPECT_TRUE(fails_with(preprocess(image, Preprocess{.std = {0, 0, 0}}, {1, 3, 4, 4}), Code::recipe, "std"));
  EXPECT_TRUE(fails_with(preprocess(image, Preprocess{.mean = {1}}, {1, 3, 4, 4}), Code::recipe, "1 means"));
  EXPECT_TRUE(fails_with(preprocess(image, Preprocess{.crop = std::nan("")}, {1, 3, 4, 4}), Code::recipe, "crop"));
  EXPECT_TRUE(fails_with(preprocess(counting({4, 4, 3}), {}, {1, 3, 4, 4}), Code::input, "u8"));
}

// The stored tensors were made with Pillow.
TEST(PreprocessImage, equals_pillow_on_photographs) {
  const fs::path model = shared_folder() / "models" / "effnet_lite0";
  if (!fs::exists(model)) GTEST_SKIP() << "reference images are not at " << model;
  const auto stored = read_safetensors((model / "reference.safetensors").string());
  ASSERT_TRUE(stored) << stored.error().text();
  const auto files = nlohmann::json::parse(read_bytes((model / "reference.json").string()))["reference_files"];
  const auto expected = stored->at("input").as<float>();
  const Preprocess options{.crop = 224.0 / 256.0, .mean = {127, 127, 127}, .std = {128, 128, 128}};
  ASSERT_EQ(files.size(), static_cast<size_t>(stored->at("input").shape()[0]));
  size_t at = 0;
  for (const std::string file : files) {
    const auto image = read_image((shared_folder() / "data" / "imagenet" / "eval" / file).string());
    ASSERT_TRUE(image) << image.error().text();
    const auto out = preprocess(*image, options, {1, 3, 224, 224});
    ASSERT_TRUE(out) << out.error().text();
    float worst = 0;
    for (const float value : std::as_const(*out).as<float>()) worst = std::max(worst, std::abs(value - expected[at++]));
    EXPECT_EQ(worst, 0.0f) << file << ", in steps of 1/128: " << worst * 128;
  }
}

}  // namespace
}  // namespace quoin::data::test
