"""Policy and options of plugins on the command line: who is loaded, and what the ignored ones say."""

import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import tap
from command import *


class PluginPolicy(CommandTest):
    def cpu(self) -> dict:
        return next(row for row in self.json_of("plugin", "list") if row["name"] == "cpu")

    def quantize(self, *extra: str) -> tuple:
        return ("quantize", DIGITS, "-c", RECIPE, "-o", self.path("out.quoin"), *extra)

    def listed(self, *digests: str) -> tuple:
        return ("--set", "plugins.policy=listed", "--set", f"plugins.sha256=[{', '.join(digests)}]")

    def test_every_plugin_has_its_digest(self):
        import hashlib
        for row in self.json_of("plugin", "list"):
            with open(row["path"], "rb") as file:
                self.assertEqual(row["sha256"], hashlib.sha256(file.read()).hexdigest())

    def test_only_listed_plugins_are_usable(self):
        digest = self.cpu()["sha256"]
        rows = self.json_of("plugin", "list", "--all", "--sha256", digest.upper())
        self.matches_schema(rows, "plugin_list")
        for row in rows:
            self.assertEqual(row["usable"], row["sha256"] == digest, row)
            if not row["usable"] and row["name"]:
                self.assertIn(row["sha256"], row["reason"])
        self.succeeds("plugin", "describe", "cpu", "--sha256", digest)
        self.fails(PLUGIN, [digest, "not listed"], "plugin", "describe", "cpu", "--sha256", "0" * 64)

    def test_a_digest_of_another_form_is_refused(self):
        self.fails(USAGE, ["--sha256", "64 hex digits"], "plugin", "list", "--sha256", "abc")

    def test_a_recipe_lists_its_plugins(self):
        digest = self.cpu()["sha256"]
        self.succeeds(*self.quantize(*self.listed(digest)))
        self.fails(PLUGIN, [digest, "not listed"], *self.quantize(*self.listed("0" * 64)))
        self.fails(PLUGIN, [digest, "not listed"], *self.quantize(*self.listed()))

    def test_options_that_a_plugin_lacks_name_the_line(self):
        with open(RECIPE, encoding="utf-8") as file:
            text = file.read().replace("data: ", f"data: {QUICKSTART}/")
        recipe = self.write("r.yaml", ("plugins:\n  options:\n    cpu:\n      turbo: 1\n" + text).encode())
        self.fails(RECIPE_ERROR, ["r.yaml:4:14", "plugin cpu", "turbo"],
                   "quantize", DIGITS, "-c", recipe, "-o", self.path("out.quoin"))
        self.fails(PLUGIN, ["--set plugins.options", "\"gpu\" was not found"],
                   *self.quantize("--set", "plugins.options={gpu: {a: 1}}"))

    def test_parameters_of_a_compiler_have_limits(self):
        on_npu = ("--set", "quantize.quantizers=[{plugin: npu_ref, preset: int8}]", "--set", "lower.order=[npu_ref]", "--set")
        for params, parts in (("sram_kib: 7", ["plugin npu_ref", "7 is outside 8 to 4096"]), ("sram_kib: many", ["an integer expected"]),
                              ("sram_kb: 64", ["\"sram_kb\"", "did you mean \"sram_kib\"?"])):
            self.fails(RECIPE_ERROR, ["lower.params", *parts], *self.quantize(*on_npu, f"lower.params={{{params}}}"))
        self.succeeds(*self.quantize(*on_npu, "lower.params={sram_kib: 64}"))

    def test_a_program_does_not_say_where_code_is_loaded_from(self):
        os.mkdir(self.path("planted"))
        folder = self.path("planted")
        self.succeeds(*self.quantize("--set", f"plugins.search=[{folder}]"))
        program = self.path("out.quoin")
        done = quoin("eval", program, "--data", os.path.join(QUICKSTART, "test.safetensors"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("which are not searched: planted;", done.stderr)
        done = quoin("eval", program, "--data", os.path.join(QUICKSTART, "test.safetensors"), "--set", f"plugins.search=[{folder}]")
        self.assertNotIn("which are not searched", done.stderr)

    def test_files_that_are_no_plugins_are_listed_with_the_reason(self):
        shutil.copy(DIGITS, self.path("model.so"))
        self.write("empty.so", b"")
        rows = {os.path.basename(row["path"]): row
                for row in self.json_of("plugin", "list", "--all", "--plugin", self.path(""))}
        self.assertIn("ELF magic number", rows["model.so"]["reason"])
        self.assertIn("shorter than its magic number", rows["empty.so"]["reason"])


tap.run(PluginPolicy)
