"""Exported models in ONNX Runtime: they load, and agree with what Quoin computes on every evaluation sample.

Needs a Python with onnxruntime and numpy: the one that QUOIN_PYTHON_PEERS names, else python3. Without it, or without
the shared models, the tests are skipped.
"""

import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "cli")]
import tap
from command import *

RECIPES = os.path.join(ROOT, "configs", "recipes")
REFERENCE = os.environ["QUOIN_EXPORT_REFERENCE"]
PEER = os.environ.get("QUOIN_PYTHON_PEERS") or shutil.which("python3") or sys.executable


def why_not() -> str:
    """Why ONNX Runtime cannot be used; empty: it can."""
    if not os.path.isdir(os.path.join(SHARED, "models")):
        return "the shared models are not there (set QUOIN_SHARED)"
    done = subprocess.run([PEER, "-c", "import numpy, onnxruntime"], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"{PEER}: {(done.stderr.strip().splitlines() or ['failed'])[-1]} (set QUOIN_PYTHON_PEERS)"


WHY_NOT = why_not()


def integer_dot_products() -> bool:
    """Whether ONNX Runtime's u8 kernels are exact here: older instructions saturate sums of two products at 16 bits."""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            flags = file.read()
    except OSError:
        return False
    return any(flag in flags for flag in ("avx512_vnni", "avx_vnni", "asimddp"))


class OnnxRuntime(CommandTest):
    def setUp(self) -> None:
        super().setUp()
        if WHY_NOT:
            self.skipTest(WHY_NOT)

    def recipe(self, name: str, plugin: str = "cpu") -> str:
        """The shipped recipe, with another quantizer if need be."""
        path = os.path.join(RECIPES, name + ".yaml")
        if plugin == "cpu":
            return path
        with open(path, encoding="utf-8") as file:
            text = file.read()
        text = text.replace("plugin: cpu", "plugin: xnnpack").replace(
            "preset: int8-static", "preset: int8-static\n      params: {per_channel: true}")
        return self.write("recipe.yaml", text.replace("../shared", SHARED).encode())

    def exported(self, recipe: str, *options: str) -> str:
        path = self.path("model.onnx")
        self.succeeds("export", "-c", recipe, "-o", path, *options, timeout=900)
        return path

    def program(self, recipe: str) -> str:
        path = self.path("model.quoin")
        self.succeeds("quantize", "-c", recipe, "-o", path, timeout=900)
        return path

    def compared(self, model: str, recipe: str, reference: str, optimized: bool) -> Dict[str, Any]:
        """`model` in ONNX Runtime against `reference`, a model file (portable kernels) or a program, sample by sample."""
        folder = self.path("samples")
        os.makedirs(folder, exist_ok=True)
        plugins = [os.environ["QUOIN_PLUGIN_FOLDER"]] if reference.endswith(".quoin") else []
        subprocess.run([REFERENCE, reference, recipe, folder, *plugins], check=True, timeout=1800)
        done = subprocess.run([PEER, os.path.join(HERE, "compare.py"), model, folder, "all" if optimized else "none"],
                              capture_output=True, text=True, check=False, timeout=1800)
        self.assertEqual(done.returncode, 0, done.stderr)
        found = json.loads(done.stdout)
        print(f"# {os.path.basename(recipe)}, {os.path.basename(reference)}, optimizations {'on' if optimized else 'off'}: {found}",
              flush=True)
        return found

    def agrees(self, name: str, samples: int) -> None:
        """The model's QDQ graph with the portable kernels, all samples, with and without graph optimizations."""
        recipe = self.recipe(name)
        model = self.exported(recipe)
        for optimized in (False, True):
            found = self.compared(model, recipe, model, optimized)
            self.assertEqual(found["samples"], samples)
            self.assertEqual(found["same_top1"], samples)
            self.assertGreater(found["least_cosine"], 0.9999)

    def test_dscnn_agrees_on_all_400_clips(self):
        self.agrees("kws_dscnn", 400)

    def test_dscnn_as_a_program_agrees_on_all_400_clips(self):
        recipe = self.recipe("kws_dscnn")
        found = self.compared(self.exported(recipe, "--activations", "u8"), recipe, self.program(recipe), True)
        self.assertEqual((found["samples"], found["same_top1"]), (400, 400))
        if integer_dot_products():
            self.assertLess(found["largest_difference"], 1e-6, "softmax apart, the integers are the same")

    def test_resnet8_agrees(self):
        self.agrees("resnet8", 8)

    def test_visual_wake_words_agree(self):
        self.agrees("vww_mobilenetv1_025", 8)

    def test_autoencoder_agrees(self):
        self.agrees("ad_autoencoder", 8)

    def test_effnet_agrees_on_all_250_images(self):
        recipe = self.recipe("effnet_lite0")
        program = self.program(recipe)
        # u8: every layer becomes an integer kernel in ONNX Runtime, as in the program.
        found = self.compared(self.exported(recipe, "--activations", "u8"), recipe, program, True)
        self.assertEqual(found["samples"], 250)
        self.assertGreaterEqual(found["same_top1"], 250 if integer_dot_products() else 245)
        # As it is, without optimizations: float sums in another order move some integers by one step, and images whose
        # best two classes are that close may swap them.
        found = self.compared(self.exported(recipe), recipe, program, False)
        self.assertGreaterEqual(found["same_top1"], 243)

    def test_effnet_by_xnnpack_rules_agrees(self):
        recipe = self.recipe("effnet_lite0", "xnnpack")
        model = self.exported(recipe, "--activations", "u8")
        found = self.compared(model, recipe, self.program(recipe), True)
        self.assertEqual(found["samples"], 250)
        self.assertGreaterEqual(found["same_top1"], 245)

    def test_minilm_dynamic_agrees(self):
        recipe = self.recipe("minilm_l6")
        model = self.exported(recipe)
        # Softmax, gelu and layer norm in between differ in the last bits, which moves ranges and integers behind them.
        found = self.compared(model, recipe, self.program(recipe), False)
        self.assertEqual(found["samples"], 200)
        self.assertGreater(found["least_cosine"], 0.998)


tap.run(OnnxRuntime)
