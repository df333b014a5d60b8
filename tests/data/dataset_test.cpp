#include "data/dataset.hpp"

#include <cmath>
#include <limits>

#include "support.hpp"

namespace quoin::data::test {
namespace {

const InputSpec kPicture{"x", DType::f32, {1, 3, 4, 4}};
const InputSpec kVector{"x", DType::f32, {1, 2}};

class DatasetTest : public ::testing::Test {
 protected:
  // A folder with three images and a stray text file.
  std::string images(const std::string& labels = {}) {
    fs::create_directory(folder / "images");
    for (const char* name : {"b.png", "a.png", "c.PNG"})
      folder.write(std::string("images/") + name, png_of(pattern(6, 6)));
    folder.write("images/notes.txt", "not an image");
    if (!labels.empty()) folder.write("labels.csv", labels);
    return folder / "images";
  }
  std::string tensors(const TensorMap& map) {
    EXPECT_TRUE(write_safetensors(folder / "d.safetensors", map));
    return folder / "d.safetensors";
  }
  TempFolder folder;
};

TEST_F(DatasetTest, folder_is_sorted_labelled_and_says_what_it_ignores) {
  const std::string path = images("file,label\na.png,5\r\nb.png, 6\n\nc.PNG,7\n");
  const auto data = open_dataset({path, folder / "labels.csv", 0, {}}, {kPicture});
  ASSERT_TRUE(data) << data.error().text();
  ASSERT_EQ((*data)->size(), 3u);
  EXPECT_NE((*data)->describe().find("1 that are no JPEG"), std::string::npos);
  const auto second = (*data)->sample(1);
  ASSERT_TRUE(second) << second.error().text();
  EXPECT_EQ(second->name, "b.png");
  EXPECT_EQ(second->label, 6);
  EXPECT_EQ(second->inputs.at(0).shape(), kPicture.shape);
  EXPECT_TRUE(fails_with((*data)->sample(3), Code::input, "sample 3 of 3"));
}

TEST_F(DatasetTest, one_image_is_one_sample) {
  const std::string file = images() + "/b.png";
  const auto data = open_dataset({file, "", 0, {}}, {kPicture});
  ASSERT_TRUE(data) << data.error().text();
  ASSERT_EQ((*data)->size(), 1u);
  const auto sample = (*data)->sample(0);
  ASSERT_TRUE(sample) << sample.error().text();
  EXPECT_EQ(sample->inputs[0].shape(), kPicture.shape);
}

TEST_F(DatasetTest, limit_takes_the_first_samples_and_may_exceed_them) {
  const std::string path = images();
  EXPECT_EQ((*open_dataset({path, "", 2, {}}, {kPicture}))->size(), 2u);
  EXPECT_EQ((*open_dataset({path, "", 9, {}}, {kPicture}))->size(), 3u);
}

TEST_F(DatasetTest, labels_must_match_the_files_both_ways) {
  const std::string path = images("a.png,1\nb.png,2\nz.png,3\n");
  EXPECT_TRUE(fails_with(open_dataset({path, folder / "labels.csv", 0, {}}, {kPicture}), Code::data, "z.png"));
  folder.write("labels.csv", "a.png,1\nb.png,2\n");
  EXPECT_TRUE(
      fails_with(open_dataset({path, folder / "labels.csv", 0, {}}, {kPicture}), Code::data, "no label for c.PNG"));
  folder.write("labels.csv", "a.png,1\na.png,2\n");
  EXPECT_TRUE(fails_with(open_dataset({path, folder / "labels.csv", 0, {}}, {kPicture}), Code::data, "labels.csv:2"));
  folder.write("labels.csv", "a.png,cat\n");
  EXPECT_TRUE(fails_with(open_dataset({path, folder / "labels.csv", 0, {}}, {kPicture}), Code::data, "labels.csv:1"));
  EXPECT_TRUE(fails_with(open_dataset({path, folder / "none.csv", 0, {}}, {kPicture}), Code::not_found, "none.csv"));
}

TEST_F(DatasetTest, damaged_image_is_an_error_of_its_sample) {
  const std::string path = images();
  folder.write("images/b.png", png_of(pattern(6, 6)).substr(0, 60));
  const auto data = open_dataset({path, "", 0, {}}, {kPicture});
  ASSERT_TRUE(data);
  EXPECT_TRUE((*data)->sample(0));
  EXPECT_TRUE(fails_with((*data)->sample(1), Code::data, "b.png: PNG: "));
}

TEST_F(DatasetTest, folder_of_arrays_with_or_without_the_batch_dimension) {
  fs::create_directory(folder / "arrays");
  ASSERT_TRUE(write_npy(folder / "arrays/0.npy", counting({1, 2})));
  ASSERT_TRUE(write_npy(folder / "arrays/1.npy", counting({2})));
  ASSERT_TRUE(write_npy(folder / "arrays/2.npy", counting({3})));
  const auto data = open_dataset({folder / "arrays", "", 0, {}}, {kVector});
  ASSERT_TRUE(data) << data.error().text();
  for (const size_t i : {0u, 1u}) {
    const auto sample = (*data)->sample(i);
    ASSERT_TRUE(sample) << sample.error().text();
    EXPECT_EQ(sample->inputs[0].shape(), kVector.shape);
    EXPECT_EQ(sample->inputs[0].as<float>()[1], 1.0f);
  }
  EXPECT_TRUE(fails_with((*data)->sample(2), Code::input, "[3]"));
}

TEST_F(DatasetTest, empty_folder_and_missing_path_are_errors) {
  EXPECT_TRUE(fails_with(open_dataset({folder.path(), "", 0, {}}, {kPicture}), Code::data, "no JPEG"));
  EXPECT_TRUE(fails_with(open_dataset({folder / "none", "", 0, {}}, {kPicture}), Code::not_found, "none"));
  EXPECT_TRUE(fails_with(open_dataset({folder.write("a.csv", "x"), "", 0, {}}, {kPicture}), Code::data, "a.csv"));
  EXPECT_TRUE(fails_with(open_dataset({folder.path(), "", 0, {}}, {kPicture, kVector}), Code::input, "2 inputs"));
  EXPECT_TRUE(fails_with(open_dataset({folder.path(), "", 0, {}}, {}), Code::input, "no inputs"));
}

TEST_F(DatasetTest, tensor_file_gives_inputs_labels_and_reference) {
  const std::string path =
      tensors({{"x", counting({3, 2})}, {"label", integers({7, 8, 9})}, {"logits", counting({3, 1, 4})}});
  const auto data = open_dataset({path, "", 0, {}}, {kVector});
  ASSERT_TRUE(data) << data.error().text();
  const auto sample = (*data)->sample(2);
  ASSERT_TRUE(sample) << sample.error().text();
  EXPECT_EQ(sample->name, "d.safetensors[2]");
  EXPECT_EQ(sample->inputs[0].shape(), kVector.shape);
  EXPECT_EQ(sample->inputs[0].as<float>()[0], 4.0f);
  EXPECT_EQ(sample->label, 9);
  ASSERT_TRUE(sample->reference);
  EXPECT_EQ(sample->reference->shape(), (Shape{1, 4}));
  EXPECT_EQ(sample->reference->as<float>()[0], 8.0f);
}

TEST_F(DatasetTest, sample_dimension_may_be_extra_or_the_first_or_absent) {
  for (const auto& [shape, count] :
       {std::pair(Shape{5, 1, 2}, 5u), std::pair(Shape{5, 2}, 5u), std::pair(Shape{1, 2}, 1u)}) {
    const auto data = open_dataset({tensors({{"x", counting(shape)}}), "", 0, {}}, {kVector});
    ASSERT_TRUE(data) << data.error().text();
    EXPECT_EQ((*data)->size(), count);
  }
  EXPECT_TRUE(
      fails_with(open_dataset({tensors({{"x", counting({5, 3})}}), "", 0, {}}, {kVector}), Code::input, "[5, 3]"));
  EXPECT_TRUE(
      fails_with(open_dataset({tensors({{"x", counting({0, 2})}}), "", 0, {}}, {kVector}), Code::data, "no samples"));
}

TEST_F(DatasetTest, single_input_takes_input_or_the_only_float_tensor) {
  const Tensor labels = integers({1, 2});
  EXPECT_TRUE(
      open_dataset({tensors({{"input", counting({2, 2})}, {"other", counting({2, 2})}}), "", 0, {}}, {kVector}));
  const auto only = open_dataset(
      {tensors({{"pixels", counting({2, 2})}, {"label", labels}, {"output", counting({2, 2})}}), "", 0, {}}, {kVector});
  ASSERT_TRUE(only) << only.error().text();
  EXPECT_NE((*only)->describe().find("pixels feeds input x"), std::string::npos);
  EXPECT_TRUE(
      fails_with(open_dataset({tensors({{"xx", counting({2, 2})}, {"other", counting({2, 2})}}), "", 0, {}}, {kVector}),
                 Code::input, "did you mean \"xx\""));
}

TEST_F(DatasetTest, a_longer_name_that_ends_in_the_input_feeds_it_unless_two_do) {
  const std::vector<InputSpec> inputs = {{"ids", DType::s64, {1, 2}}, {"mask", DType::s64, {1, 2}}};
  const Tensor two = integers({1, 2}).reshaped({1, 2}), other = integers({3, 4}).reshaped({1, 2});
  const auto data = open_dataset({tensors({{"input_ids", two}, {"attention_mask", other}}), "", 0, {}}, inputs);
  ASSERT_TRUE(data) << data.error().text();
  EXPECT_EQ((*data)->sample(0)->inputs[1].as<int64_t>()[0], 3);
  const auto unclear = tensors({{"input_ids", two}, {"token_ids", two}, {"mask", other}});
  EXPECT_TRUE(fails_with(open_dataset({unclear, "", 0, {}}, inputs), Code::input, "\"ids\""));
  EXPECT_TRUE(
      fails_with(open_dataset({tensors({{"ids", two}, {"bitmask", other}}), "", 0, {}}, inputs), Code::input, "mask"));
}

TEST_F(DatasetTest, several_inputs_are_matched_by_name_and_must_agree_in_number) {
  const std::vector<InputSpec> inputs = {{"ids", DType::s64, {1, 2}}, {"mask", DType::s64, {1, 2}}};
  const Tensor four = integers({1, 2, 3, 4}).reshaped({2, 2});
  const auto data =
      open_dataset({tensors({{"mask", integers({5, 6, 7, 8}).reshaped({2, 2})}, {"ids", four}}), "", 0, {}}, inputs);
  ASSERT_TRUE(data) << data.error().text();
  const auto sample = (*data)->sample(1);
  ASSERT_TRUE(sample);
  EXPECT_EQ(sample->inputs[0].as<int64_t>()[0], 3);
  EXPECT_EQ(sample->inputs[1].as<int64_t>()[0], 7);
  EXPECT_TRUE(fails_with(open_dataset({tensors({{"ids", four}}), "", 0, {}}, inputs), Code::input, "mask"));
  EXPECT_TRUE(fails_with(
      open_dataset({tensors({{"ids", four}, {"mask", integers({1, 2}).reshaped({1, 2})}}), "", 0, {}}, inputs),
      Code::data, "1 samples"));
}

TEST_F(DatasetTest, converts_double_to_float_and_refuses_other_mismatches) {
  const std::string doubles =
      npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1, 2), }", raw<double>({0.1, 1e300}));
  const auto data = open_dataset({folder.write("d.npy", doubles), "", 0, {}}, {kVector});
  ASSERT_TRUE(data) << data.error().text();
  EXPECT_TRUE(fails_with((*data)->sample(0), Code::data, "Inf at element 1"));
  const InputSpec narrow{"x", DType::s32, {1}};
  const auto wide = open_dataset({tensors({{"x", integers({1, int64_t{1} << 40})}}), "", 0, {}}, {narrow});
  ASSERT_TRUE(wide) << wide.error().text();
  EXPECT_TRUE((*wide)->sample(0));
  EXPECT_TRUE(fails_with((*wide)->sample(1), Code::data, "does not fit s32"));
  EXPECT_TRUE(fails_with(open_dataset({tensors({{"x", integers({1, 2}).reshaped({1, 2})}}), "", 0, {}}, {kVector}),
                         Code::input, "is s64"));
}

TEST_F(DatasetTest, nan_names_sample_tensor_and_index) {
  Tensor values = counting({3, 1, 2});
  values.as<float>()[5] = std::numeric_limits<float>::quiet_NaN();
  const auto data = open_dataset({tensors({{"x", values}}), "", 0, {}}, {kVector});
  ASSERT_TRUE(data);
  EXPECT_TRUE((*data)->sample(1));
  EXPECT_TRUE(fails_with((*data)->sample(2), Code::data, "d.safetensors[2]: tensor x: NaN at element 1, index [0, 1]"));
}

TEST_F(DatasetTest, labels_of_a_tensor_file_may_be_an_array_and_must_fit) {
  const std::string path = tensors({{"x", counting({2, 2})}});
  ASSERT_TRUE(write_npy(folder / "labels.npy", integers({4, 5})));
  const auto data = open_dataset({path, folder / "labels.npy", 0, {}}, {kVector});
  ASSERT_TRUE(data) << data.error().text();
  EXPECT_EQ((*data)->sample(1)->label, 5);
  ASSERT_TRUE(write_npy(folder / "labels.npy", integers({4})));
  EXPECT_TRUE(fails_with(open_dataset({path, folder / "labels.npy", 0, {}}, {kVector}), Code::data, "1 labels for 2"));
  EXPECT_TRUE(fails_with(open_dataset({path, "labels.csv", 0, {}}, {kVector}), Code::data, ".npy"));
  const TensorMap floats{{"x", counting({2, 2})}, {"label", counting({2})}};
  EXPECT_TRUE(fails_with(open_dataset({tensors(floats), "", 0, {}}, {kVector}), Code::data, "expected integers"));
}

TEST_F(DatasetTest, digest_follows_content_and_not_the_place) {
  const auto digest = [](const Source& source, const InputSpec& input) {
    return (*open_dataset(source, {input}))->digest();
  };
  const std::string path = images();
  const uint64_t before = digest({path, "", 0, {}}, kPicture);
  EXPECT_EQ(before, digest({path, "", 0, {}}, kPicture));
  EXPECT_NE(before, digest({path, "", 2, {}}, kPicture));
  EXPECT_NE(before, digest({path, "", 0, Preprocess{.mean = {1, 1, 1}}}, kPicture));
  fs::rename(path, folder / "moved");
  EXPECT_EQ(before, digest({folder / "moved", "", 0, {}}, kPicture));
  folder.write("moved/a.png", png_of(pattern(6, 7)));
  EXPECT_NE(before, digest({folder / "moved", "", 0, {}}, kPicture));

  const uint64_t numbers = digest({tensors({{"x", counting({2, 2})}}), "", 0, {}}, kVector);
  EXPECT_NE(numbers, digest({tensors({{"x", counting({3, 2})}}), "", 0, {}}, kVector));
}

TEST_F(DatasetTest, reads_the_reference_data) {
  if (!fs::exists(shared_folder())) GTEST_SKIP() << "reference data are not at " << shared_folder();
  const std::string root = shared_folder().string();
  const auto clips =
      open_dataset({root + "/data/kws/eval.safetensors", "", 0, {}}, {{"x", DType::f32, {1, 1, 49, 10}}});
  ASSERT_TRUE(clips) << clips.error().text();
  EXPECT_EQ((*clips)->size(), 400u);
  EXPECT_TRUE((*clips)->sample(399)->label);
  const auto text = open_dataset({root + "/models/minilm_l6/eval.safetensors", "", 0, {}},
                                 {{"input_ids", DType::s64, {1, 128}}, {"attention_mask", DType::s64, {1, 128}}});
  ASSERT_TRUE(text) << text.error().text();
  EXPECT_EQ((*text)->sample(0)->reference->shape(), (Shape{384}));
  const std::string eval = root + "/data/imagenet/eval";
  const auto photos = open_dataset({eval, eval + "/labels.csv", 0, {}}, {{"x", DType::f32, {1, 3, 224, 224}}});
  ASSERT_TRUE(photos) << photos.error().text();
  EXPECT_EQ((*photos)->size(), 250u);
  for (size_t i = 0; i < (*photos)->size(); i += 25) EXPECT_TRUE((*photos)->sample(i)->label) << i;
}

}  // namespace
}  // namespace quoin::data::test
