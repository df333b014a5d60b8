"""Runs the quoin commands of the README, in order, in a folder with files of the names they use; with its own recipe."""

import json
import os
import re
import shlex
import shutil
import struct
import sys
import zlib
from typing import Callable, List

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "cli")]
import tap
from command import *
from language import tiny_config, tiny_tensors, write_model

FIXTURES = os.path.join(ROOT, "tests", "tokenize", "fixtures")


def png(path: str, pixels: bytes, side: int) -> None:
    """An 8-bit greyscale PNG of side x side pixels."""
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + pixels[y * side:(y + 1) * side] for y in range(side))
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def readme() -> str:
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
        return file.read()


def page(name: str) -> str:
    with open(os.path.join(ROOT, "docs", name), encoding="utf-8") as file:
        return file.read()


class Docs(CommandTest):
    def prepare(self) -> None:
        for name in ("digits.pt2", "digits.onnx"):
            shutil.copy(os.path.join(QUICKSTART, name), self.path(name.replace("digits", "model")))
        recipe = re.search(r"```yaml\n(.*?)```", readme(), re.DOTALL)
        assert recipe, "the README has a recipe"
        self.write("recipe.yaml", recipe.group(1).encode())
        os.mkdir(self.path("images"))
        labels = ["file,label"]
        for i in range(12):
            pixels = bytes((i * 37 + x * 11 + y * 7) % 17 for y in range(8) for x in range(8))
            png(self.path(f"images/{i}.png"), pixels, 8)
            labels.append(f"{i}.png,{i % 10}")
        shutil.copy(self.path("images/3.png"), self.path("photo.png"))
        self.write("labels.csv", "\n".join(labels).encode())

    def prepare_language_model(self) -> None:
        with open(os.path.join(FIXTURES, "llama2.json"), encoding="utf-8") as file:
            vocabulary = json.load(file)["model"]["vocab"]
        config = {**tiny_config(), "vocab_size": max(vocabulary.values()) + 1}
        write_model(self.path("models/story"), config, {"model.safetensors": tiny_tensors(config["vocab_size"])})
        shutil.copy(os.path.join(FIXTURES, "llama2.json"), self.path("models/story/tokenizer.json"))
        recipe = re.search(r"```yaml\n(.*?)```", page("source_quantization.md"), re.DOTALL)
        assert recipe, "the page has a recipe"
        self.write("recipe.yaml", recipe.group(1).encode())
        self.write("text.txt", b"the quick brown fox jumps over the lazy dog. " * 20)

    def run_commands_of(self, text: str, least: int, written: List[str], prepare: Callable[[], None]) -> None:
        commands = re.findall(r"^    quoin (.*?)(?:\s+#.*)?$", text, re.MULTILINE)
        self.assertGreaterEqual(len(commands), least)
        prepare()
        before = os.getcwd()
        os.chdir(self._folder.name)
        try:
            for command in commands:
                self.succeeds(*shlex.split(command))
            for name in written:
                self.assertTrue(os.path.exists(name), name)
        finally:
            os.chdir(before)

    def test_readme_commands_work_as_written(self):
        self.run_commands_of(readme(), 6, ["model.quoin", "report.html"], self.prepare)

    def test_export_commands_work_as_written(self):
        written = ["model_int8.onnx", "model_u8.onnx", "model_float.onnx", "again.onnx"]
        self.run_commands_of(page("export.md"), 5, written, self.prepare)

    def test_commands_about_language_models_work_as_written(self):
        self.run_commands_of(page("language_models.md"), 3, ["story.quoin"], self.prepare_language_model)

    def test_links_of_the_documents_lead_somewhere(self):
        pages = ["README.md"] + [os.path.join("docs", name) for name in os.listdir(os.path.join(ROOT, "docs")) if name.endswith(".md")]
        for page in pages:
            with open(os.path.join(ROOT, page), encoding="utf-8") as file:
                text = re.sub(r"```.*?```", "", file.read(), flags=re.DOTALL)
            for link in re.findall(r"\]\(([^)#:]+)\)", text):
                self.assertTrue(os.path.exists(os.path.join(ROOT, os.path.dirname(page), link)), f"{page}: {link}")

    def test_paths_named_in_backticks_exist(self):
        for page in ("README.md", "docs/architecture.md"):
            with open(os.path.join(ROOT, page), encoding="utf-8") as file:
                text = file.read()
            for path in re.findall(r"`((?:core|sdk|plugins|configs|tests|docs)/[\w./-]+)`", text):
                self.assertTrue(os.path.exists(os.path.join(ROOT, path)), f"{page}: {path}")

    def test_recipe_keys_in_the_readme_are_documented(self):
        with open(os.path.join(ROOT, "docs", "recipe.md"), encoding="utf-8") as file:
            documented = file.read()
        for key in re.findall(r"--set ([\w.]+)=", readme()):
            self.assertIn(f"`{key}`", documented)


tap.run(Docs)
