"""Programs for the tests of the runtime library, and how its pages of C are compiled."""

import os
import subprocess
import sys
import tempfile
import unittest
from typing import List, Sequence, Tuple

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "cli")]
from command import DIGITS, QUOIN, RECIPE, ROOT, SHARED  # pylint: disable=unused-import

INCLUDES = ["-I", os.path.join(ROOT, "core", "embed", "include"), "-I", os.path.join(ROOT, "sdk", "include")]
PLUGIN = os.environ["QUOIN_CPU_PLUGIN"]
LIBRARY = os.environ["QUOIN_RUNTIME_LIBRARY"]


class EmbedTest(unittest.TestCase):
    """A scratch folder per test."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def runs(self, command: Sequence[str], **options) -> subprocess.CompletedProcess:
        done = subprocess.run(command, capture_output=True, check=False, timeout=3000, **options)
        self.assertEqual(done.returncode, 0, f"{' '.join(command)}\n{done.stdout[-3000:]!r}\n{done.stderr[-3000:]!r}")
        return done

    def program(self, model: str = DIGITS, recipe: str = RECIPE, extra: Sequence[str] = ()) -> str:
        out = self.path(os.path.basename(model).split(".")[0] + ".quoin")
        self.runs([QUOIN, "quantize", model, "-c", recipe, "-o", out, *extra])
        return out

    def compiled(self, source: str, library: str, flags: Sequence[str] = ()) -> str:
        """An executable from a C or C++ file; it finds the library where it is, whatever LD_LIBRARY_PATH says."""
        out, folder = self.path(os.path.basename(source) + ".exe"), os.path.dirname(library)
        c = source.endswith(".c")
        compiler = os.environ.get("CC" if c else "CXX", "cc" if c else "c++").split()
        warnings = ["-Wall", "-Wextra", "-Werror", "-std=c11" if c else "-std=c++20", "-O1"]
        find = [f"-Wl,-rpath,{folder}", "-Wl,--disable-new-dtags"]
        self.runs([*compiler, *warnings, *flags, *INCLUDES, source, library, *find, "-ldl", "-pthread", "-o", out])
        return out


def models() -> List[Tuple[str, str]]:
    """The models below shared/models that are there, with their recipes."""
    tiny = os.path.join(SHARED, "models", "tiny")
    known = [(os.path.join(tiny, f"{name}.pt2"), name) for name in ("kws_dscnn", "resnet8", "vww_mobilenetv1_025", "ad_autoencoder")]
    known += [(os.path.join(SHARED, "models", name, f"{name}.pt2"), name) for name in ("effnet_lite0", "minilm_l6")]
    return [(model, os.path.join(ROOT, "configs", "recipes", f"{name}.yaml")) for model, name in known if os.path.exists(model)]
