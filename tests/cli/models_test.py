"""The real models beside the repository: import is right, int8 keeps the accuracy, files are small."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import tap
from command import *

RECIPES = os.path.join(ROOT, "configs", "recipes")


class Models(CommandTest):
    def setUp(self) -> None:
        super().setUp()
        if not os.path.isdir(os.path.join(SHARED, "models")):
            self.skipTest("the shared models are not there (set QUOIN_SHARED)")

    def quantized(self, name: str, model: str):
        program = self.path(name + ".quoin")
        recipe = os.path.join(RECIPES, name + ".yaml")
        result = self.json_of("quantize", os.path.join(SHARED, model), "-c", recipe, "-o", program, timeout=900)
        return program, recipe, result

    def test_effnet_lite0_int8_on_the_evaluation_images(self):
        model = "models/effnet_lite0/effnet_lite0.pt2"
        program, recipe, result = self.quantized("effnet_lite0", model)
        self.assertLessEqual(result["sizes"]["program_bytes"], 5.3e6)
        self.assertLess(result["peak_rss_mb"], 400)
        images = os.path.join(SHARED, "data/imagenet/eval")
        score = self.json_of("eval", program, "--data", images, "--labels", os.path.join(images, "labels.csv"), "-c", recipe,
                             "--against", os.path.join(SHARED, model), timeout=900)
        self.assertGreaterEqual(score["top1"], 0.876)
        self.assertGreaterEqual(score["agreement"], 0.97)
        self.assertGreaterEqual(score["sqnr_db"], 18)

    def test_effnet_lite0_float_on_the_evaluation_images(self):
        images = os.path.join(SHARED, "data/imagenet/eval")
        score = self.json_of("eval", os.path.join(SHARED, "models/effnet_lite0/effnet_lite0.onnx"), "--data", images, "--labels",
                             os.path.join(images, "labels.csv"), "-c", os.path.join(RECIPES, "effnet_lite0.yaml"), timeout=900)
        self.assertAlmostEqual(score["top1"], 0.892, delta=0.008)

    def test_keyword_spotting_int8_is_within_a_point_of_float(self):
        model = os.path.join(SHARED, "models/tiny/kws_dscnn.pt2")
        program, recipe, _ = self.quantized("kws_dscnn", "models/tiny/kws_dscnn.pt2")
        data = os.path.join(SHARED, "data/kws/eval.safetensors")
        real = self.json_of("eval", model, "--data", data, "-c", recipe)["top1"]
        self.assertAlmostEqual(real, 0.8925, delta=0.003)
        self.assertGreaterEqual(self.json_of("eval", program, "--data", data)["top1"], real - 0.01)

    def test_minilm_dynamic_int8_keeps_the_embeddings(self):
        program, recipe, _ = self.quantized("minilm_l6", "models/minilm_l6/minilm_l6.pt2")
        data = os.path.join(SHARED, "models/minilm_l6/eval.safetensors")
        self.assertGreater(self.json_of("eval", program, "--data", data, "-c", recipe, timeout=900)["cosine"], 0.99)

    def test_other_recipes_quantize_and_stay_close_to_float(self):
        for name in ("resnet8", "vww_mobilenetv1_025", "ad_autoencoder"):
            model = f"models/tiny/{name}.pt2"
            program, recipe, _ = self.quantized(name, model)
            data = os.path.join(SHARED, f"models/tiny/{name}_reference.safetensors")
            score = self.json_of("eval", program, "--data", data, "-c", recipe, "--metric", "cosine")
            self.assertGreater(score["cosine"], 0.98, name)


tap.run(Models)
