"""Drawings of annotated graphs, and what --strict calls unintended."""

import os
import shutil
import sys
import xml.etree.ElementTree

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import tap
from command import *

WITHOUT_GRAPHVIZ = "" if shutil.which("dot") else "the program dot (package graphviz) is not installed"
ONE_MODULE_IN_FLOAT = 'quantize.quantizers[0].rules=[{{module: "{}", preset: null}}]'


class Explain(CommandTest):
    def read(self, name: str) -> str:
        with open(self.path(name), encoding="utf-8") as file:
            return file.read()

    def drawn(self, *arguments: str) -> str:
        self.succeeds("explain", DIGITS, "-c", RECIPE, "--dot", self.path("g.dot"), *arguments)
        return self.read("g.dot")

    def test_the_drawing_has_every_node_and_edge(self):
        rows = self.json_of("explain", DIGITS, "-c", RECIPE, "--dot", self.path("g.dot"))
        text = self.read("g.dot")
        self.assertTrue(text.startswith("digraph"))
        for row in rows:
            self.assertIn(f'"{row["node"]}', text)
        self.assertGreaterEqual(text.count(" -> "), len(rows))
        self.assertIn("quantized by cpu (", text)
        self.assertIn('label=" s8', text)
        self.assertIn("weight: s8 per channel", text)

    def test_drawings_are_deterministic(self):
        self.assertEqual(self.drawn(), self.drawn())

    def test_modules_are_boxes_and_float_by_recipe_has_its_colour(self):
        rows = self.json_of("explain", DIGITS, "-c", RECIPE)
        module = next(row["module"] for row in rows if row["op"] == "aten.conv2d.default")
        text = self.drawn("--set", ONE_MODULE_IN_FLOAT.format(module))
        self.assertIn("left in float by the recipe (", text)
        self.assertIn("left in float by the rule", text)

    def test_an_output_may_not_replace_the_model_or_another_output(self):
        path = self.path("one")
        self.fails(USAGE, ["--dot and --svg are one file"], "explain", DIGITS, "-c", RECIPE, "--dot", path, "--svg", path)
        copy = shutil.copy(DIGITS, self.path("m.pt2"))
        self.fails(USAGE, ["the model and --svg"], "explain", copy, "-c", RECIPE, "--svg", copy)

    def test_without_graphviz_the_error_names_the_package(self):
        os.environ["PATH"], before = self.path(""), os.environ["PATH"]
        try:
            words = ["dot of Graphviz is not installed", "package graphviz"]
            self.fails(NOT_FOUND, words, "explain", DIGITS, "-c", RECIPE, "--svg", self.path("g.svg"))
        finally:
            os.environ["PATH"] = before
        self.assertFalse(os.path.exists(self.path("g.svg")))

    def test_a_failing_graphviz_is_an_error_with_its_words(self):
        os.mkdir(self.path("bin"))
        self.write("bin/dot", b"#!/bin/sh\necho cannot draw this >&2\nexit 3\n")
        os.chmod(self.path("bin/dot"), 0o755)
        os.environ["PATH"], before = self.path("bin") + ":" + os.environ["PATH"], os.environ["PATH"]
        try:
            self.fails(IO, ["exit status 3", "cannot draw this"], "explain", DIGITS, "-c", RECIPE, "--svg", self.path("g.svg"))
        finally:
            os.environ["PATH"] = before
        self.assertFalse(os.path.exists(self.path("g.svg")))

    def test_svg_is_a_document_with_reasons(self):
        if WITHOUT_GRAPHVIZ:
            self.skipTest(WITHOUT_GRAPHVIZ)
        self.succeeds("explain", DIGITS, "-c", RECIPE, "--svg", self.path("g.svg"))
        root = xml.etree.ElementTree.parse(self.path("g.svg")).getroot()
        self.assertTrue(root.tag.endswith("svg"))
        self.assertIn("covered by rule", self.read("g.svg"))

    def test_strict_takes_what_the_recipe_leaves_in_float_as_intended(self):
        self.succeeds("explain", DIGITS, "-c", RECIPE, "--strict")
        self.succeeds("quantize", DIGITS, "-c", RECIPE, "--strict", "--dry-run")
        rows = self.json_of("explain", DIGITS, "-c", RECIPE)
        module = next(row["module"] for row in rows if row["op"] == "aten.linear.default")
        self.succeeds("explain", DIGITS, "-c", RECIPE, "--strict", "--set", ONE_MODULE_IN_FLOAT.format(module))

    def test_strict_fails_where_a_rule_names_what_no_rule_of_the_plugin_takes(self):
        rule = "quantize.quantizers[0].rules=[{op: aten.conv2d.default, preset: int8-dynamic}]"
        self.succeeds("explain", DIGITS, "-c", RECIPE, "--set", rule)
        words = ["node(s) are in float though the recipe wants them quantized", "conv2d_1", "preset int8-dynamic leaves it in float"]
        self.fails(STRICT, words, "explain", DIGITS, "-c", RECIPE, "--set", rule, "--strict", "--dot", self.path("g.dot"))
        self.fails(STRICT, words, "quantize", DIGITS, "-c", RECIPE, "--set", rule, "--strict", "-o", self.path("p"))
        self.assertEqual(os.listdir(self._folder.name), [], "nothing is written")

    def test_inspect_prints_graphs_in_three_details(self):
        brief, digests, complete = (self.succeeds("inspect", DIGITS, "--detail", detail)
                                    for detail in ("brief", "digests", "complete"))
        self.assertEqual(brief, self.succeeds("inspect", DIGITS))
        self.assertIn("  # ", brief)
        self.assertIn("modules [", digests)
        self.assertIn("xxh3:", digests)
        self.assertIn('base64 "', complete)
        self.fails(USAGE, ["--detail is brief, digests or complete"], "inspect", DIGITS, "--detail", "all")


tap.run(Explain)
