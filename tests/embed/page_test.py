"""docs/embedding.md: its program is compiled and run as it stands there; its other pieces of C compile."""

import json
import os
import re
import struct
import subprocess
from typing import List, Tuple

from support import LIBRARY, ROOT, EmbedTest
import tap

PIECE = """#include <quoin/runtime.h>
static quoin_error error; static quoin_instance* instance; static quoin_engine* engine;
static quoin_program* program; static quoin_bytes program_bytes, weights_bytes;
void check(quoin_status status); void my_log(void* self, int32_t level, quoin_str message); void use(const void* p);
%s
void f%d(void) {
%s
use(&error); use(instance); use(engine); use(program); use(&program_bytes); use(&weights_bytes);
}
"""


def blocks() -> List[str]:
    with open(os.path.join(ROOT, "docs", "embedding.md"), encoding="utf-8") as file:
        return re.findall(r"```c\n(.*?)```", file.read(), re.DOTALL)


def digits(count: int) -> Tuple[List[bytes], Tuple[int, ...]]:
    """The first images of the quickstart's test data, raw, and their labels."""
    with open(os.path.join(ROOT, "configs", "quickstart", "test.safetensors"), "rb") as file:
        content = file.read()
    size = struct.unpack("<Q", content[:8])[0]
    header, data = json.loads(content[8:8 + size]), content[8 + size:]
    images, labels = (data[slice(*header[name]["data_offsets"])] for name in ("input", "label"))
    one = len(images) // header["input"]["shape"][0]
    return [images[i * one:(i + 1) * one] for i in range(count)], struct.unpack(f"<{count}q", labels[:8 * count])


class Page(EmbedTest):
    def source(self, name: str, text: str) -> str:
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    def test_the_program_classifies(self):
        text = blocks()[0]
        self.assertLessEqual(len(text.splitlines()), 36, "the page promises a short program")
        program = self.program(extra=["--set", "lower.keep_original=true"])
        images, labels = digits(40)
        executable = self.compiled(self.source("classify.c", text), LIBRARY, ["-pedantic"])
        done = self.runs([executable, program], input=b"".join(images))
        found = [int(digit) for digit in done.stdout.split()]
        self.assertEqual(len(found), 40)
        self.assertGreaterEqual(sum(a == b for a, b in zip(found, labels)), 36, "the classifier is right on over 9 of 10")

    def test_bad_files_are_an_error_with_its_code(self):
        executable = self.compiled(self.source("classify.c", blocks()[0]), LIBRARY)
        done = subprocess.run([executable, self.source("bad.quoin", "no program" * 20)], capture_output=True, check=False)
        self.assertEqual(done.returncode, 12)
        self.assertIn(b"its signature is missing", done.stderr)

    def test_every_other_piece_compiles(self):
        for number, text in enumerate(blocks()[1:]):
            outside = [line for line in text.splitlines() if line.startswith("const quoin_plugin*")]
            inside = [line for line in text.splitlines() if line not in outside]
            text = PIECE % ("\n".join(outside), number, "\n".join(inside))
            self.compiled(self.source(f"piece{number}.c", text), LIBRARY, ["-fsyntax-only", "-Wno-unused-variable"])

tap.run(Page)
