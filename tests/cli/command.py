"""Runs the quoin command and reads and writes the few file formats that its tests need."""

import json
import os
import struct
import subprocess
import tempfile
import unittest
from typing import Any, Dict, List, Sequence, Tuple

ROOT = os.environ["QUOIN_SOURCE_ROOT"]
QUOIN = os.environ["QUOIN_COMMAND"]
SHARED = os.environ.get("QUOIN_SHARED") or os.path.join(ROOT, "..", "shared")
QUICKSTART = os.path.join(ROOT, "configs", "quickstart")
DIGITS = os.path.join(QUICKSTART, "digits.pt2")
RECIPE = os.path.join(QUICKSTART, "digits.yaml")

# Exit codes, as docs/exit_codes.md lists them.
USAGE, RECIPE_ERROR, NOT_FOUND, IO, MODEL, DATA, INPUT, PLUGIN, PLUGIN_ABI, PROGRAM, STRICT = 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 14


def quoin(*arguments: str, timeout: float = 300) -> subprocess.CompletedProcess:
    return subprocess.run([QUOIN, *arguments], capture_output=True, text=True, check=False, timeout=timeout)


def safetensors(path: str, tensors: Dict[str, Tuple[str, Sequence[int], bytes]]) -> None:
    header, blob = {}, b""
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [len(blob), len(blob) + len(data)]}
        blob += data
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + blob)


def floats(values: Sequence[float]) -> bytes:
    return struct.pack(f"<{len(values)}f", *values)


class CommandTest(unittest.TestCase):
    """A scratch folder per test, and assertions on how the command ends."""

    def setUp(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.addCleanup(self._folder.cleanup)

    def path(self, name: str) -> str:
        return os.path.join(self._folder.name, name)

    def write(self, name: str, content: bytes) -> str:
        with open(self.path(name), "wb") as file:
            file.write(content)
        return self.path(name)

    def succeeds(self, *arguments: str, timeout: float = 300) -> str:
        done = quoin(*arguments, timeout=timeout)
        self.assertEqual(done.returncode, 0, f"quoin {' '.join(arguments)}\n{done.stderr}")
        return done.stdout

    def json_of(self, *arguments: str, timeout: float = 300) -> Any:
        return json.loads(self.succeeds(*arguments, "--json", timeout=timeout))

    def fails(self, code: int, words: List[str], *arguments: str) -> str:
        done = quoin(*arguments)
        self.assertEqual(done.returncode, code, f"quoin {' '.join(arguments)}\n{done.stdout}{done.stderr}")
        for word in words:
            self.assertIn(word, done.stderr)
        return done.stderr

    def matches_schema(self, document: Any, name: str) -> None:
        try:
            import jsonschema
        except ImportError:
            self.skipTest("python3-jsonschema is not installed")
        with open(os.path.join(ROOT, "docs", "json", f"{name}.schema.json"), encoding="utf-8") as file:
            jsonschema.validate(document, json.load(file))
