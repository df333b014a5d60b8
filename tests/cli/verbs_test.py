"""The verbs of the command on the shipped model: results, JSON contracts, files."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import tap
from command import *


def first_image(path: str) -> bytes:
    """The bytes of the first 8 x 8 image of the tensor "input"."""
    with open(path, "rb") as file:
        size, = struct.unpack("<Q", file.read(8))
        begin = json.loads(file.read(size))["input"]["data_offsets"][0]
        file.seek(8 + size + begin)
        return file.read(4 * 64)


class Verbs(CommandTest):
    def program(self) -> str:
        path = self.path("digits.quoin")
        if not os.path.exists(path):
            self.succeeds("quantize", DIGITS, "-c", RECIPE, "-o", path)
        return path

    def test_quantize_reports_placement_sizes_and_times(self):
        result = self.json_of("quantize", DIGITS, "-c", RECIPE, "-o", self.path("d.quoin"))
        self.matches_schema(result, "quantize")
        self.assertEqual(result["sizes"]["program_bytes"], os.path.getsize(self.path("d.quoin")))
        self.assertGreater(result["samples"], 0)
        on_plugin = [row for row in result["placement"] if row["backend"] == "cpu"]
        self.assertGreater(len(on_plugin), 0)
        self.assertTrue(any(row["integer"] for row in on_plugin))

    def test_quantize_is_deterministic(self):
        for name in ("a", "b"):
            self.succeeds("quantize", DIGITS, "-c", RECIPE, "-o", self.path(name))
        with open(self.path("a"), "rb") as a, open(self.path("b"), "rb") as b:
            self.assertEqual(a.read(), b.read())

    def test_dry_run_writes_nothing(self):
        self.succeeds("quantize", DIGITS, "-c", RECIPE, "-o", self.path("d.quoin"), "--dry-run")
        self.assertEqual(os.listdir(self._folder.name), [])

    def test_report_is_one_self_contained_page(self):
        self.succeeds("quantize", DIGITS, "-c", RECIPE, "-o", self.path("d.quoin"), "--report", self.path("r.html"))
        with open(self.path("r.html"), encoding="utf-8") as file:
            page = file.read()
        self.assertIn("Verdict per node", page)
        self.assertNotIn("http://", page)
        self.assertNotIn("<script", page)

    def test_int8_is_as_accurate_as_float(self):
        program = self.program()
        data = os.path.join(QUICKSTART, "test.safetensors")
        quantized = self.json_of("eval", program, "--data", data, "--against", DIGITS)
        self.matches_schema(quantized, "eval")
        real = self.json_of("eval", DIGITS, "--data", data, "-c", RECIPE)
        self.assertGreater(real["top1"], 0.95)
        self.assertGreater(quantized["top1"], real["top1"] - 0.01)
        self.assertGreater(quantized["agreement"], 0.98)
        self.assertGreater(quantized["sqnr_db"], 18)

    def test_pt2_and_onnx_give_the_same_outputs(self):
        data = os.path.join(QUICKSTART, "test.safetensors")
        result = self.json_of("eval", DIGITS, "--data", data, "-c", RECIPE, "--against", os.path.join(QUICKSTART, "digits.onnx"))
        self.assertEqual(result["agreement"], 1.0)
        self.assertTrue(result["sqnr_db"] is None or result["sqnr_db"] > 90, result)

    def test_bench_times_programs_side_by_side(self):
        result = self.json_of("bench", self.program(), DIGITS, "--runs", "5", "--threads", "1")
        self.matches_schema(result, "bench")
        self.assertEqual(result["threads"], 1)
        self.assertEqual([row["name"] for row in result["programs"]], [self.program(), DIGITS])
        for row in result["programs"]:
            self.assertGreater(row["ms_min"], 0)
            self.assertLessEqual(row["ms_min"], row["ms_median"])
            self.assertGreater(row["peak_rss_mb"], 1)

    def test_bench_says_where_the_time_goes(self):
        result = self.json_of("bench", self.program(), DIGITS, "--runs", "20", "--threads", "1", "--no-memory", "--pin")
        for row, quantized in zip(result["programs"], (True, False)):
            self.assertEqual(row["quantized"], quantized)
            profile = row["profile"]
            shares = [op["share"] for op in profile["ops"]]
            self.assertEqual(shares, sorted(shares, reverse=True))
            self.assertLessEqual(sum(shares), 1.0)
            self.assertTrue(any((op["gops"] or 0) > 0 for op in profile["ops"]), profile)
        self.assertGreater(result["programs"][0]["profile"]["conversion_share"], 0)
        self.assertEqual(result["programs"][1]["profile"]["conversion_share"], 0)
        for part in (self.program() + " (quantized)", DIGITS + " (float)", "(minimum)", "(median)"):
            self.assertIn(part, result["verdict"])
        text = self.succeeds("bench", self.program(), "--runs", "2", "--no-memory", "--profile")
        for part in ("GOPS", "GB/s", "share", "conversions between float and integer", "longest steps"):
            self.assertIn(part, text)

    def test_bench_says_why_a_quantized_program_loses(self):
        kernels = self.path("kernels.quoin")
        self.succeeds("quantize", DIGITS, "-c", RECIPE, "-o", kernels, "--set", "lower.order=[xnnpack]")
        result = self.json_of("bench", kernels, DIGITS, "--runs", "20", "--threads", "1", "--no-memory")
        self.matches_schema(result, "bench")
        self.assertIn("is slower than", result["verdict"])
        self.assertIn("portable kernels", result["cause"])
        self.assertIsNone(self.json_of("bench", DIGITS, "--runs", "2", "--no-memory")["verdict"])

    def test_calibration_is_the_same_on_any_number_of_threads(self):
        found = []
        for threads in ("1", "2", "5"):
            path = self.path(f"ranges{threads}.safetensors")
            self.succeeds("calibrate", DIGITS, "-c", RECIPE, "-o", path, "--threads", threads)
            with open(path, "rb") as file:
                found.append(file.read())
        self.assertEqual(found[0], found[1])
        self.assertEqual(found[0], found[2])

    def test_explain_gives_every_node_a_verdict_and_reason(self):
        rows = self.json_of("explain", DIGITS, "-c", RECIPE)
        self.matches_schema(rows, "explain")
        self.assertTrue(all(row["verdict"] and row["reason"] for row in rows), rows)

    def test_a_rule_leaves_a_module_in_float(self):
        rows = self.json_of("explain", DIGITS, "-c", RECIPE)
        module = next(row["module"] for row in rows if row["op"] == "aten.linear.default")
        rules = f'quantize.quantizers[0].rules=[{{module: "{module}", preset: null}}]'
        rows = self.json_of("explain", DIGITS, "-c", RECIPE, "--set", rules)
        verdict = {row["op"]: row["verdict"] for row in rows}
        self.assertEqual(verdict["aten.linear.default"], "float (recipe)")

    def test_inspect_shows_the_delegate_and_the_recipe(self):
        result = self.json_of("inspect", self.program())
        self.matches_schema(result, "inspect")
        self.assertEqual(result["delegates"][0]["plugin"], "cpu")
        self.assertIn("int8-static", self.succeeds("inspect", self.program(), "--recipe-only"))

    def test_inspect_shows_the_graph_of_a_model(self):
        result = self.json_of("inspect", DIGITS)
        self.matches_schema(result, "inspect")
        self.assertIn("aten.conv2d.default", result["graph"])

    def test_every_metric_matches_the_schema(self):
        data, logits = os.path.join(QUICKSTART, "test.safetensors"), self.path("reference.safetensors")
        self.json_of("run", DIGITS, "--input", data, "--output", self.path("out"))
        with open(os.path.join(self.path("out"), os.listdir(self.path("out"))[0]), "rb") as file:
            values = file.read()[-40:]
        self.matches_schema(self.json_of("eval", DIGITS, "--data", data, "--metric", "top1"), "eval")
        safetensors(logits, {"input": ("F32", [1, 1, 8, 8], first_image(data)), "logits": ("F32", [1, 10], values)})
        for metric, best in (("cosine", 1.0), ("relative_error", 0.0)):
            result = self.json_of("eval", DIGITS, "--data", logits, "--metric", metric)
            self.matches_schema(result, "eval")
            self.assertAlmostEqual(result[metric], best, places=5)

    def test_run_prints_and_writes_the_outputs(self):
        data = os.path.join(QUICKSTART, "test.safetensors")
        result = self.json_of("run", self.program(), "--input", data, "--output", self.path("out"))
        self.matches_schema(result, "run")
        self.assertEqual(result["outputs"][0]["shape"], [1, 10])
        self.assertEqual(len(os.listdir(self.path("out"))), 1)

    def test_plugins_are_listed_and_described(self):
        rows = self.json_of("plugin", "list")
        self.matches_schema(rows, "plugin_list")
        self.assertIn("cpu", [row["name"] for row in rows])
        for row in rows:
            self.matches_schema(self.json_of("plugin", "describe", row["name"]), "plugin_describe")
        described = self.json_of("plugin", "describe", "cpu")
        self.assertEqual({p["name"] for p in described["presets"]} & {"int8-static", "int8-dynamic"}, {"int8-static", "int8-dynamic"})
        self.assertGreater(len(described["rules"]), 5)

    def test_every_verb_has_help(self):
        text = self.succeeds("--help")
        for verb in ("quantize", "run", "eval", "bench", "explain", "inspect", "plugin", "completion"):
            self.assertIn(verb, text)
            self.assertIn("usage: quoin " + verb, self.succeeds(verb, "--help"))

    def test_completion_is_a_valid_script(self):
        import subprocess
        done = subprocess.run(["bash", "-n"], input=self.succeeds("completion", "bash"), text=True, capture_output=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_completion_knows_verbs_options_and_actions(self):
        import subprocess
        script = self.succeeds("completion", "bash")
        for words, expected in ((["quoin", "qu"], ["quantize"]), (["quoin", "plugin", "d"], ["describe"]),
                                (["quoin", "quantize", "--re"], ["--report", "--recipe"])):
            ask = f'COMP_WORDS=({" ".join(repr(word) for word in words)}); COMP_CWORD={len(words) - 1}; _quoin; printf "%s\\n" "${{COMPREPLY[@]}}"'
            done = subprocess.run(["bash"], input=script + ask, text=True, capture_output=True, check=False)
            self.assertEqual(done.stdout.split(), expected, done.stderr)

    def test_zero_threads_are_all_cores(self):
        result = self.json_of("bench", self.program(), "--runs", "1", "--no-memory", "--threads", "0")
        self.assertEqual(result["threads"], min(os.cpu_count() or 1, 256))
        for threads in ("-1", "257"):
            self.assertIn("from 0 to 256", self.fails(RECIPE_ERROR, [], "explain", DIGITS, "--threads", threads))

    def test_float_nodes_inside_the_plugin_are_one_line(self):
        text = self.succeeds("quantize", DIGITS, "-c", RECIPE, "--dry-run", "--set", "quantize.quantizers[0].preset=int8-dynamic")
        self.assertIn("run in float inside a plugin", text)
        self.assertNotIn("leaves it in float", text)

    def test_a_surplus_argument_is_named_as_such(self):
        self.fails(USAGE, ["too many positional"], "inspect", DIGITS, DIGITS)

    def test_the_delegate_computes_what_the_portable_kernels_define(self):
        kernels = self.path("kernels.quoin")
        self.succeeds("quantize", DIGITS, "-c", RECIPE, "-o", kernels, "--set", "lower.order=[xnnpack]")
        self.assertEqual(self.json_of("inspect", kernels)["delegates"], [])
        data = os.path.join(QUICKSTART, "test.safetensors")
        result = self.json_of("eval", kernels, "--data", data, "--against", self.program(), "--set", "lower.order=[cpu]")
        self.assertIsNone(result["sqnr_db"], "not one output differs")

    def test_every_tier_gives_the_same_integers(self):
        program, outputs = self.program(), set()
        data = os.path.join(QUICKSTART, "test.safetensors")
        for tier in ("scalar", "avx2", "avx512", "avx512vnni"):
            os.environ["QUOIN_ISA_MAX"] = tier
            try:
                self.succeeds("run", program, "--input", data, "--output", self.path(tier))
            finally:
                del os.environ["QUOIN_ISA_MAX"]
            name = os.listdir(self.path(tier))[0]
            with open(os.path.join(self.path(tier), name), "rb") as file:
                outputs.add(file.read())
        self.assertEqual(len(outputs), 1)


tap.run(Verbs)
