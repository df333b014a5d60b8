"""quoin plugin new: names, folders, and that nothing is left half-written. tests/out_of_tree builds what it writes."""

import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import tap
from command import *


class PluginNew(CommandTest):
    def names_in(self, folder: str) -> List[str]:
        return sorted(os.listdir(folder))

    def test_every_file_of_the_template_and_the_model_is_written(self):
        result = self.json_of("plugin", "new", "npu", "--into", self.path("npu"))
        self.matches_schema(result, "plugin_new")
        self.assertEqual((result["name"], result["folder"]), ("npu", self.path("npu")))
        template = os.path.join(ROOT, "sdk", "template")
        expected = [os.path.relpath(os.path.join(base, file), template).replace("acme", "npu")
                    for base, _, files in os.walk(template) for file in files]
        expected += ["quickstart/" + name for name in ("calibration.safetensors", "digits.pt2", "test.safetensors")]
        self.assertEqual(result["files"], sorted(expected))
        for file in result["files"]:
            self.assertTrue(os.path.getsize(os.path.join(result["folder"], file)) > 0, file)

    def test_a_plugin_named_acme_is_the_template(self):
        folder = self.json_of("plugin", "new", "acme", "--into", self.path("acme"))["folder"]
        self.assertEqual(subprocess.run(["diff", "-r", "-x", "quickstart", os.path.join(ROOT, "sdk", "template"), folder], check=False).returncode, 0)

    def test_the_name_is_everywhere_and_classes_have_one_that_compiles(self):
        for name, backend in (("my-npu_2.x", "MyNpu2XBackend"), ("3d", "Plugin3DBackend"), ("_", "PluginBackend")):
            folder = self.json_of("plugin", "new", name, "--into", self.path(name))["folder"]
            with open(os.path.join(folder, "src", name + ".cpp"), encoding="utf-8") as file:
                source = file.read()
            self.assertIn(f"class {backend} :", source)
            self.assertIn(f'QUOIN_PLUGIN({backend}, "{name}"', source)
            self.assertNotRegex(source, re.compile("acme", re.IGNORECASE))

    def test_a_wrong_name_is_refused_with_a_right_one(self):
        for name, right in (("My NPU!", '"my-npu-" is one'), ("-x", '"x" is one'), ("../up", '"up" is one'), ("é", "a name has"),
                            ("a" * 65, f'"{"a" * 64}" is one')):
            arguments = ["--into", self.path("out"), "--operand=" + name]
            self.fails(USAGE, ["is not a name for a plugin", right], "plugin", "--action", "new", *arguments)
        self.assertEqual(self.names_in(self._folder.name), [])

    def test_a_missing_name_is_asked_for(self):
        self.fails(USAGE, ["no NAME given", "quoin plugin new NAME"], "plugin", "new")

    def test_a_folder_with_something_in_it_is_left_alone(self):
        os.mkdir(self.path("npu"))
        self.write("npu/mine.txt", b"mine")
        self.fails(USAGE, ["the folder is not empty", "--into"], "plugin", "new", "npu", "--into", self.path("npu"))
        self.fails(USAGE, ["is not a folder"], "plugin", "new", "npu", "--into", self.path("npu/mine.txt"))
        self.assertEqual(self.names_in(self._folder.name), ["npu"])
        self.assertEqual(self.names_in(self.path("npu")), ["mine.txt"])

    def test_an_empty_folder_is_filled(self):
        os.mkdir(self.path("empty"))
        self.succeeds("plugin", "new", "npu", "--into", self.path("empty") + "/")
        self.assertIn("meson.build", self.names_in(self.path("empty")))

    def test_the_folder_above_must_exist(self):
        self.fails(NOT_FOUND, ["there is no such folder"], "plugin", "new", "npu", "--into", self.path("a/b"))

    def test_nothing_is_left_when_the_disk_is_full(self):
        os.mkdir(self.path("here"))
        limit = f"ulimit -f 20; exec '{QUOIN}' plugin new npu --into '{self.path('here/npu')}'"  # files of 20 blocks at most
        done = subprocess.run(["bash", "-c", "trap '' XFSZ; " + limit], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, IO, done.stdout + done.stderr)
        self.assertEqual(self.names_in(self.path("here")), [])

    def test_what_comes_next_is_said(self):
        text = self.succeeds("plugin", "new", "npu", "--into", self.path("it's here"))
        self.assertIn("cd '" + self.path("it'\\''s here") + "'", text)
        self.assertIn("quoin quantize -c recipe.yaml", text)

    def test_options_of_other_actions_are_refused(self):
        self.fails(USAGE, ["--all is an option of `quoin plugin list`"], "plugin", "new", "npu", "--all")
        self.fails(USAGE, ["--into is an option of `quoin plugin new`"], "plugin", "list", "--into", self.path("x"))


tap.run(PluginNew)
