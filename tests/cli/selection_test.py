"""Selection in recipes: patterns, filters, null presets and graph passes, as explain and its errors show them."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import tap
from command import *


class Selection(CommandTest):
    def recipe(self, quantizer: str, passes: str = "[]") -> str:
        """A recipe for the shipped model; `quantizer` holds the lines below the plugin's, without indentation."""
        lines = "".join(f"      {line}\n" for line in quantizer.splitlines())
        text = f"quantize:\n  passes: {passes}\n  quantizers:\n    - plugin: cpu\n{lines}"
        return self.write("r.yaml", text.encode())

    def explain(self, quantizer: str, passes: str = "[]") -> List[Dict[str, Any]]:
        rows = self.json_of("explain", DIGITS, "-c", self.recipe(quantizer, passes))
        self.matches_schema(rows, "explain")
        return rows

    def modules(self) -> List[str]:
        """Outermost modules of the quantized convolutions and linears, in order."""
        return [row["module"] for row in self.explain("preset: int8-static") if row["verdict"] == "quantized" and
                row["op"] in ("aten.conv2d.default", "aten.linear.default")]

    def by_recipe(self, rows: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
        return [row for row in rows if row["verdict"] == "float (recipe)"]

    def test_a_regular_expression_selects_operators(self):
        rows = self.explain(r"rules: [{op: 're:aten\.(conv2d|linear)\.default', preset: null}]")
        left = {row["op"] for row in self.by_recipe(rows)}
        self.assertEqual(left, {"aten.conv2d.default", "aten.linear.default"})
        for row in self.by_recipe(rows):
            self.assertIn("r.yaml:5:15", row["reason"])
            self.assertEqual(row["reason"].count("cpu"), 1, row["reason"])

    def test_include_and_exclude_say_which_filter_it_was(self):
        module = self.modules()[0]
        rows = self.explain(f"include:\n- {{module: '{module}'}}")
        self.assertTrue(any(row["verdict"] == "quantized" for row in rows))
        for row in rows:
            self.assertTrue(row["module"] == module or "include does not select it" in row["reason"], row)
        rows = self.explain(f"exclude:\n- {{module: '{module}'}}")
        left = self.by_recipe(rows)
        self.assertTrue(left)
        for row in left:
            self.assertEqual(row["module"], module)
            self.assertIn(f"exclude (module {module}) at ", row["reason"])
            self.assertIn("r.yaml:6:9", row["reason"])

    def test_null_for_the_whole_quantizes_only_what_rules_name(self):
        rows = self.explain("preset: null")
        self.assertTrue(all(row["verdict"] == "float (recipe)" for row in rows), rows)
        rows = self.explain("preset: null\nrules: [{op: 'aten.linear*', preset: int8-static}]")
        self.assertEqual({row["op"] for row in rows if row["verdict"] == "quantized"}, {"aten.linear.default"})

    def test_the_same_selection_works_on_onnx(self):
        recipe = self.recipe(r"rules: [{op: 're:.*conv2d.*', preset: null}]")
        rows = self.json_of("explain", os.path.join(QUICKSTART, "digits.onnx"), "-c", recipe)
        self.assertEqual({row["op"] for row in self.by_recipe(rows)}, {"aten.conv2d.default"})

    def test_a_partly_float_program_runs(self):
        program = self.path("d.quoin")
        data = os.path.join(QUICKSTART, "calibration.safetensors")
        recipe = self.recipe("preset: null\nrules: [{op: 'aten.linear*', preset: int8-static}]")
        self.succeeds("quantize", DIGITS, "-c", recipe, "-o", program, "--set", f"quantize.calibrate.data={data}")
        test = os.path.join(QUICKSTART, "test.safetensors")
        self.assertGreater(self.json_of("eval", program, "--data", test)["top1"], 0.95)

    def test_wrong_expressions_name_line_and_reason(self):
        recipe = self.recipe("rules: [{op: 're:aten.(relu', preset: null}]")
        self.fails(RECIPE_ERROR, ["r.yaml:5:20", "missing )"], "explain", DIGITS, "-c", recipe)

    def test_what_matches_nothing_is_an_error(self):
        module = self.modules()[0]
        wrong = module[:-1] + ("x" if module[-1] != "x" else "y") if len(module) > 2 else module + "x"
        for lines in ("rules: [{module: '%s', preset: null}]", "include: [{module: '%s'}]", "exclude: [{module: '%s'}]"):
            self.fails(RECIPE_ERROR, ["r.yaml:5:", "matches no node", wrong], "explain", DIGITS, "-c", self.recipe(lines % wrong))
        recipe = self.recipe("rules: [{op: 're:relu', preset: null}]")
        self.fails(RECIPE_ERROR, ["must match a whole operator"], "explain", DIGITS, "-c", recipe)

    def test_filters_without_selectors_are_refused(self):
        self.fails(RECIPE_ERROR, ["without selectors"], "explain", DIGITS, "-c", self.recipe("exclude: [{}]"))

    def test_unknown_passes_name_the_nearest(self):
        recipe = self.recipe("preset: int8-static", "[decompose-hardswich]")
        self.fails(RECIPE_ERROR, ["r.yaml:2:12", "decompose-hardswich", "decompose-hardswish"], "explain", DIGITS, "-c", recipe)

    def test_known_passes_run(self):
        self.assertTrue(self.explain("preset: int8-static", "[decompose-silu, matmul-to-linear]"))


tap.run(Selection)
