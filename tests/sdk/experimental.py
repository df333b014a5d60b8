"""Experimental extensions: every header in sdk/include/quoin/experimental names itself after its own content.

A header NAME.h defines QUOIN_X_NAME as "org.quoin.x.NAME.<16 hex digits>", the start of the SHA-256 of the file without
that line. So a host and a plugin either were compiled with the same text, or do not see each other's extension.
"""

import hashlib
import os
import re
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import tap  # noqa: E402

ROOT = Path(os.environ.get("QUOIN_SOURCE_ROOT", Path(__file__).resolve().parent.parent.parent))
FOLDER = ROOT / "sdk/include/quoin/experimental"


def fault(feature: str, text: str) -> str:
    """What is wrong with a header, with the line that would be right; "" when nothing is."""
    macro = f"QUOIN_X_{feature.upper()}"
    lines = text.splitlines(keepends=True)
    named = [line for line in lines if re.match(rf"#define {macro} ", line)]
    digest = hashlib.sha256("".join(line for line in lines if line not in named).encode()).hexdigest()[:16]
    right = f'#define {macro} "org.quoin.x.{feature}.{digest}"\n'
    return "" if named == [right] else f"the header needs the line: {right.strip()}"


class Experimental(unittest.TestCase):
    def test_every_header_is_named_after_its_content(self):
        for header in sorted(FOLDER.glob("*.h")):
            with self.subTest(header=header.name):
                self.assertEqual(fault(header.stem, header.read_text()), "")

    def test_a_changed_header_is_found(self):
        text = "#include <quoin/abi.h>\nstruct quoin_x_tap { quoin_ext base; };\n"
        line = fault("tap", text).split(": ")[1] + "\n"
        self.assertEqual(fault("tap", text + line), "")
        self.assertIn("the header needs the line", fault("tap", text.replace("base", "first") + line))


tap.run(Experimental)
