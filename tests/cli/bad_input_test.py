"""Bad input is normal input: each fault gives its exit code, a sentence that names the culprit, and no output file."""

import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import tap
from command import *


def read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


class BadInput(CommandTest):
    def quantize_fails(self, code, words, model=DIGITS, recipe=RECIPE, extra=()):
        message = self.fails(code, words, "quantize", model, "-c", recipe, "-o", self.path("out.quoin"), *extra)
        left = [name for name in os.listdir(self._folder.name) if name.startswith("out.quoin")]
        self.assertEqual(left, [], "nothing half-written")
        return message

    def test_no_arguments(self):
        self.assertEqual(quoin().returncode, USAGE)

    def test_unknown_verb_names_the_nearest(self):
        self.fails(USAGE, ["quantise", "quantize"], "quantise")

    def test_unknown_option(self):
        self.fails(USAGE, ["--recipee"], "quantize", DIGITS, "--recipee", "x")

    def test_counts_out_of_range(self):
        for option, value in (("--runs", "0"), ("--runs", "-1"), ("--warmup", "-1"), ("--runs", "9" * 18)):
            self.fails(USAGE, [option], "bench", DIGITS, option, value)
        self.fails(USAGE, ["--limit"], "eval", DIGITS, "-c", RECIPE, "--limit", "-1")

    def test_full_standard_output(self):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([QUOIN, "inspect", DIGITS], stdout=full, stderr=subprocess.PIPE, check=False)
        self.assertEqual(done.returncode, IO)
        self.assertIn(b"standard output", done.stderr)

    def test_output_over_a_device_is_refused(self):
        os.mkfifo(self.path("pipe"))
        self.fails(IO, ["pipe"], "quantize", DIGITS, "-c", RECIPE, "-o", self.path("pipe"))

    def test_missing_files(self):
        self.quantize_fails(NOT_FOUND, ["none.pt2"], model=self.path("none.pt2"))
        self.quantize_fails(NOT_FOUND, ["none.yaml"], recipe=self.path("none.yaml"))

    def test_unknown_recipe_key_names_line_and_nearest(self):
        recipe = self.write("r.yaml", b"quantize:\n  quantisers: []\n")
        self.quantize_fails(RECIPE_ERROR, ["r.yaml:2", "quantisers", "quantizers"], recipe=recipe)

    def test_wrong_recipe_type(self):
        self.quantize_fails(RECIPE_ERROR, ["run.threads"], extra=["--set", "run.threads=many"])

    def test_broken_yaml(self):
        self.quantize_fails(RECIPE_ERROR, ["r.yaml"], recipe=self.write("r.yaml", b"quantize: [}\n"))

    def test_unknown_plugin_and_preset(self):
        self.quantize_fails(PLUGIN, ["cpuu", "cpu"], extra=["--set", "quantize.quantizers[0].plugin=cpuu"])
        self.quantize_fails(RECIPE_ERROR, ["int8-statik", "int8-static"], extra=["--set", "quantize.quantizers[0].preset=int8-statik"])

    def test_rule_that_matches_nothing(self):
        rules = 'quantize.quantizers[0].rules=[{op: "aten.conv9d.default", preset: null}]'
        self.quantize_fails(RECIPE_ERROR, ["aten.conv9d.default"], extra=["--set", rules])

    def test_truncated_and_garbled_models(self):
        for name in ("digits.pt2", "digits.onnx"):
            content = read(os.path.join(QUICKSTART, name))
            self.quantize_fails(MODEL, [name], model=self.write(name, content[: len(content) // 2]))
            self.quantize_fails(MODEL, [name], model=self.write(name, bytes(b ^ 0x5A for b in content)))
        self.quantize_fails(MODEL, ["empty.onnx"], model=self.write("empty.onnx", b""))

    def test_truncated_and_garbled_programs(self):
        good = self.path("good.quoin")
        self.succeeds("quantize", DIGITS, "-c", RECIPE, "-o", good)
        content = read(good)
        self.fails(PROGRAM, ["cut.quoin"], "inspect", self.write("cut.quoin", content[: len(content) - 100]))
        for at in (70, len(content) // 2, len(content) - 40):
            broken = bytearray(content)
            broken[at] ^= 0xFF
            self.fails(PROGRAM, ["bad.quoin"], "run", self.write("bad.quoin", bytes(broken)), "--input", "x.npy")

    def test_damaged_plugins_are_listed_with_reasons(self):
        os.mkdir(self.path("plugins"))
        plugin = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(QUOIN))), "plugins", "cpu", "libquoin_cpu.so")
        content = read(plugin)
        self.write("plugins/cut.so", content[:5000])
        self.write("plugins/text.so", b"not a library")
        rows = self.json_of("plugin", "list", "--all", "--plugin", self.path("plugins"))
        mine = {os.path.basename(row["path"]): row for row in rows if row["path"].startswith(self._folder.name)}
        self.assertEqual(set(mine), {"cut.so", "text.so"})
        for row in mine.values():
            self.assertFalse(row["usable"])
            self.assertTrue(row["reason"])

    def test_empty_calibration_folder(self):
        os.mkdir(self.path("empty"))
        self.quantize_fails(DATA, ["empty"], extra=["--set", f"quantize.calibrate.data={self.path('empty')}"])

    def test_nan_in_calibration_data_names_the_sample(self):
        values = [0.5] * 64 + [0.5] * 10 + [float("nan")] + [0.5] * 53
        safetensors(self.path("nan.safetensors"), {"input": ("F32", [2, 1, 8, 8], floats(values))})
        self.quantize_fails(DATA, ["nan.safetensors", "NaN"], extra=["--set", f"quantize.calibrate.data={self.path('nan.safetensors')}"])

    def test_calibration_data_of_the_wrong_shape(self):
        safetensors(self.path("small.safetensors"), {"input": ("F32", [2, 1, 7, 7], floats([0.5] * 98))})
        self.quantize_fails(INPUT, ["small.safetensors"], extra=["--set", f"quantize.calibrate.data={self.path('small.safetensors')}"])

    def test_truncated_jpeg(self):
        os.mkdir(self.path("images"))
        self.write("images/cut.jpg", b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00\xff\xdb\x00")
        self.quantize_fails(DATA, ["cut.jpg"], extra=["--set", f"quantize.calibrate.data={self.path('images')}"])

    def test_input_of_another_type(self):
        safetensors(self.path("ints.safetensors"), {"input": ("I64", [1, 1, 8, 8], bytes(8 * 64))})
        self.fails(INPUT, ["ints.safetensors"], "run", DIGITS, "--input", self.path("ints.safetensors"))

    def test_unwritable_output_leaves_nothing(self):
        self.fails(NOT_FOUND, ["no/such"], "quantize", DIGITS, "-c", RECIPE, "-o", self.path("no/such/out.quoin"))

    def test_strict_turns_a_warning_into_an_error(self):
        # xnnpack only quantizes, so that every node is left to single-operator kernels, with a warning.
        arguments = ["-c", RECIPE, "-o", self.path("out.quoin"), "--set", "lower.order=[xnnpack]"]
        self.fails(STRICT, ["run on kernels"], "quantize", DIGITS, *arguments, "--strict")
        self.assertFalse(os.path.exists(self.path("out.quoin")))
        self.succeeds("quantize", DIGITS, *arguments)

    def test_outputs_never_replace_inputs(self):
        model = self.write("m.pt2", read(DIGITS))
        self.fails(USAGE, ["one file", "m.pt2"], "quantize", model, "-c", RECIPE, "-o", model)
        self.fails(USAGE, ["one file"], "quantize", model, "-c", RECIPE, "-o", self.path("x"), "--report", self.path("./x"))
        self.assertEqual(read(model), read(DIGITS))

    def test_unknown_compile_parameter_and_isa(self):
        self.quantize_fails(RECIPE_ERROR, ["lower.params", "tile"], extra=["--set", "lower.params={tile: 4}"])
        self.quantize_fails(RECIPE_ERROR, ["lower.isa", "avx9"], extra=["--set", "lower.isa=avx9"])

    def test_input_of_another_name_lists_the_names(self):
        self.fails(INPUT, ["wrong", "its inputs are"], "run", DIGITS, "--input", "wrong=x.npy")

    def test_samples_beyond_the_first_are_not_dropped_in_silence(self):
        self.fails(STRICT, ["400 samples"], "run", DIGITS, "--input", os.path.join(QUICKSTART, "test.safetensors"), "--strict")

    def test_json_errors_are_json(self):
        done = quoin("quantize", self.path("none.pt2"), "-c", RECIPE, "-o", self.path("o"), "--json")
        document = json.loads(done.stdout)
        self.matches_schema(document, "error")
        self.assertEqual(document["error"]["exit_code"], NOT_FOUND)

    def test_unknown_isa_name(self):
        os.environ["QUOIN_ISA_MAX"] = "avx9"
        try:
            self.fails(USAGE, ["avx9"], "plugin", "list")
        finally:
            del os.environ["QUOIN_ISA_MAX"]


tap.run(BadInput)
