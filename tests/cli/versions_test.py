"""Files of every version of the program format, kept in tests/program/versions/MAJOR.MINOR: PROGRAM.quoin, what goes in
(PROGRAM.input.npy) and what came out when the version was new (PROGRAM.output.npy)."""

import math
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import tap
from command import *

VERSIONS = os.path.join(ROOT, "tests", "program", "versions")


def array(path: str) -> Tuple[str, List[float]]:
    """Header and values of an .npy file of f32."""
    with open(path, "rb") as file:
        content = file.read()
    end = 10 + struct.unpack_from("<H", content, 8)[0]
    return content[:end].decode("latin-1"), list(struct.unpack(f"<{(len(content) - end) // 4}f", content[end:]))


class Versions(CommandTest):
    def programs(self) -> List[Tuple[str, str]]:
        return [(version, os.path.join(VERSIONS, version, name)) for version in sorted(os.listdir(VERSIONS))
                for name in sorted(os.listdir(os.path.join(VERSIONS, version))) if name.endswith(".quoin")]

    def test_every_version_is_read(self):
        self.assertGreaterEqual(len(self.programs()), 4)
        for version, path in self.programs():
            result = self.json_of("verify", path)
            self.assertEqual(result["format"], version)

    def test_the_version_that_is_written_is_kept(self):
        program = self.path("new.quoin")
        self.succeeds("quantize", DIGITS, "-o", program)
        self.assertIn(self.json_of("verify", program)["format"], os.listdir(VERSIONS))

    def test_every_version_computes_what_it_did(self):
        for version, path in self.programs():
            stem = path[:-len(".quoin")]
            folder = self.path(version + os.path.basename(stem))
            self.succeeds("run", path, "--input", stem + ".input.npy", "--output", folder)
            self.assertEqual(len(os.listdir(folder)), 1)
            header, found = array(os.path.join(folder, os.listdir(folder)[0]))
            expected_header, expected = array(stem + ".output.npy")
            self.assertEqual(header, expected_header)
            for a, b in zip(found, expected):
                self.assertTrue(math.isclose(a, b, rel_tol=1e-5, abs_tol=1e-6), (path, a, b))


tap.run(Versions)
