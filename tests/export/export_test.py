"""quoin export: the command, what it prints and how it fails; the ONNX checker's opinion where python has onnx."""

import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "cli")]
import tap
from command import *

PEER = os.environ.get("QUOIN_PYTHON_PEERS") or sys.executable


class Export(CommandTest):
    def export(self, *arguments: str) -> Any:
        return self.json_of("export", DIGITS, "-o", self.path("m.onnx"), *arguments)

    def content(self, name: str) -> bytes:
        with open(self.path(name), "rb") as file:
            return file.read()

    def top1(self, model: str) -> float:
        return self.json_of("eval", model, "--data", os.path.join(QUICKSTART, "test.safetensors"))["top1"]

    def test_summary_matches_the_schema(self):
        result = self.export("-c", RECIPE)
        self.matches_schema(result, "export")
        self.assertEqual(result["opset"], 13)
        self.assertEqual(result["bytes"], os.path.getsize(self.path("m.onnx")))

    def test_quantized_model_runs_like_the_program(self):
        self.export("-c", RECIPE)
        self.succeeds("quantize", DIGITS, "-c", RECIPE, "-o", self.path("m.quoin"))
        self.assertAlmostEqual(self.top1(self.path("m.onnx")), self.top1(self.path("m.quoin")), delta=0.005)
        self.assertIn(b"QuantizeLinear", self.content("m.onnx"))

    def test_without_a_recipe_the_model_stays_in_float(self):
        self.export()
        self.assertNotIn(b"QuantizeLinear", self.content("m.onnx"))
        self.assertEqual(self.top1(self.path("m.onnx")), self.top1(DIGITS))

    def test_an_exported_model_exports_again(self):
        self.export("-c", RECIPE, "--opset", "21")
        again = self.json_of("export", self.path("m.onnx"), "-o", self.path("again.onnx"))
        self.assertEqual(again["opset"], 13)
        self.assertEqual(self.top1(self.path("again.onnx")), self.top1(self.path("m.onnx")))

    def test_equal_jobs_give_equal_bytes(self):
        self.export("-c", RECIPE)
        first = self.content("m.onnx")
        self.export("-c", RECIPE)
        self.assertEqual(first, self.content("m.onnx"))

    def test_model_says_who_made_it(self):
        self.export("-c", RECIPE)
        for word in (b"quoin", b"quoin.recipe_digest", b"xxh3:"):
            self.assertIn(word, self.content("m.onnx"))

    def test_wrong_command_lines_are_refused(self):
        self.fails(USAGE, ["add -o"], "export", DIGITS)
        self.fails(USAGE, ["opset 15", "13 and 21"], "export", DIGITS, "-o", self.path("m.onnx"), "--opset", "15")
        self.fails(USAGE, ["s4"], "export", DIGITS, "-o", self.path("m.onnx"), "--activations", "s4")
        self.fails(NOT_FOUND, ["nowhere.pt2"], "export", "nowhere.pt2", "-o", self.path("m.onnx"))
        self.assertEqual(os.listdir(self._folder.name), [])

    def test_the_model_itself_is_never_overwritten(self):
        model = self.write("model.pt2", open(DIGITS, "rb").read())
        self.fails(USAGE, ["one file"], "export", model, "-o", model)

    def test_onnx_checker_accepts_what_is_written(self):
        code = "import onnx, sys\nfor f in sys.argv[1:]: onnx.checker.check_model(f, full_check=True)"
        if subprocess.run([PEER, "-c", "import onnx"], capture_output=True, check=False).returncode:
            self.skipTest(f"{PEER} has no onnx (set QUOIN_PYTHON_PEERS)")
        paths = []
        for opset in ("13", "21"):
            for kind in ([], ["-c", RECIPE], ["-c", RECIPE, "--activations", "u8"]):
                paths.append(self.path(f"{opset}_{len(paths)}.onnx"))
                self.succeeds("export", DIGITS, "-o", paths[-1], "--opset", opset, *kind)
        done = subprocess.run([PEER, "-c", code, *paths], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)


tap.run(Export)
