"""The real models beside the repository on npu_ref: everything runs on the device but its border, and stays accurate."""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "cli")]
import tap  # noqa: E402
from command import ROOT, SHARED, CommandTest  # noqa: E402

RECIPES = os.path.join(ROOT, "configs", "recipes")
BORDER = "npu_ref: rule border: the device has no floats: the host converts at the border"
HOST = {"quoin.quantize.default": BORDER, "quoin.dequantize.default": BORDER,
        "aten.softmax.int": "npu_ref: no rule for aten.softmax.int"}


class Models(CommandTest):
    def setUp(self) -> None:
        super().setUp()
        if not os.path.isdir(os.path.join(SHARED, "models")):
            self.skipTest("the shared models are not there (set QUOIN_SHARED)")

    def on_the_device(self, model: str, recipe: str, *more: str, host: str = "kernels") -> str:
        """Quantizes; every node is on the device, or on the host: on kernels for a reason that is its own, or on `host`."""
        program = self.path("model.quoin")
        result = self.json_of("quantize", os.path.join(SHARED, model), "-c", os.path.join(RECIPES, recipe), "-o", program,
                              *more, timeout=900)
        self.assertGreater(len(result["placement"]), 10)
        for node in result["placement"]:
            if node["op"] in HOST:
                self.assertEqual(node["backend"], host)
                self.assertIn(HOST[node["op"]] if host == "kernels" else "", node["reason"])
            else:
                self.assertEqual((node["backend"], node["integer"]), ("npu_ref", True), node)
        return program

    def tiny(self, name: str, preset: str = "int8", *more: str) -> str:
        return self.on_the_device(f"models/tiny/{name}.pt2", f"{name}.yaml", "--set",
                                  f"quantize.quantizers=[{{plugin: npu_ref, preset: {preset}}}]", "--set",
                                  "lower.order=[npu_ref]", "--set", "quantize.calibrate.observer=mse", *more)

    def score(self, program: str, data: str, *more: str):
        return self.json_of("eval", program, "--data", os.path.join(SHARED, data), *more, timeout=900)

    def effnet_lite0(self, program: str, *more: str):
        images = "data/imagenet/eval"
        return self.score(program, images, "--labels", os.path.join(SHARED, images, "labels.csv"), "-c",
                          os.path.join(RECIPES, "effnet_lite0_npu_ref.yaml"), *more)

    def test_effnet_lite0_int8_on_the_evaluation_images(self):
        program = self.on_the_device("models/effnet_lite0/effnet_lite0.pt2", "effnet_lite0_npu_ref.yaml", host="cpu")
        self.assertGreaterEqual(self.effnet_lite0(program)["top1"], 0.884)

    def test_effnet_lite0_int16_is_closer_to_float(self):
        model = "models/effnet_lite0/effnet_lite0.pt2"
        program = self.on_the_device(model, "effnet_lite0_npu_ref.yaml", "--set", "quantize.quantizers[0].preset=int16",
                                     "--set", "quantize.calibrate.samples=32")  # cpu converts 8 bits only
        score = self.effnet_lite0(program, "--against", os.path.join(SHARED, model), "--limit", "25")
        self.assertGreaterEqual(score["sqnr_db"], 15.5)
        self.assertGreaterEqual(score["agreement"], 0.96)

    def test_keyword_spotting_is_within_a_point_of_float(self):
        for preset in ("int8", "int16"):
            score = self.score(self.tiny("kws_dscnn", preset), "data/kws/eval.safetensors")
            self.assertGreaterEqual(score["top1"], 0.8925 - 0.01, preset)

    def test_other_models_stay_close_to_float(self):
        for name in ("resnet8", "vww_mobilenetv1_025"):
            data = f"models/tiny/{name}_reference.safetensors"
            self.assertGreaterEqual(self.score(self.tiny(name), data, "--metric", "cosine")["cosine"], 0.99, name)

    def test_a_smaller_device_gives_the_same_results(self):
        data = "models/tiny/resnet8_reference.safetensors"
        large = self.score(self.tiny("resnet8"), data, "--metric", "cosine")
        small = self.score(self.tiny("resnet8", "int8", "--set", "lower.params={sram_kib: 24, fuse: false}"), data,
                           "--metric", "cosine")
        self.assertEqual(large["cosine"], small["cosine"])

    def test_a_device_that_is_too_small_says_so(self):
        done = self.json_of("quantize", os.path.join(SHARED, "models/tiny/resnet8.pt2"), "-c",
                            os.path.join(RECIPES, "resnet8.yaml"), "-o", self.path("small.quoin"), "--set",
                            "quantize.quantizers=[{plugin: npu_ref}]", "--set", "lower.order=[npu_ref]", "--set",
                            "lower.params={sram_kib: 16}")
        reasons = [node["reason"] for node in done["placement"] if node["op"] == "aten.conv2d.default"]
        self.assertTrue(any("bytes on chip, the device has 16384 (option sram_kib)" in reason for reason in reasons), reasons)


tap.run(Models)
