"""The runtime alone (-Druntime_only=true): it builds, is small, needs nothing, runs programs, also on eight threads."""

import json
import os
import platform
import re
import subprocess
from typing import List

from support import HERE, PLUGIN, ROOT, EmbedTest
import tap

# Bytes, stripped, as gcc makes them for x86-64. docs/performance.md says where they are.
LIMIT, LIMIT_WITHOUT_KERNELS = 300_000, 50_000
ALLOWED = re.compile(r"(libc|libm|libstdc\+\+|libgcc_s|ld-linux-[\w-]+|linux-vdso)\.so")


class Alone(EmbedTest):
    def built(self, name: str, *options: str) -> str:
        """The library of a build of its own."""
        folder = self.path(name)
        self.runs(["meson", "setup", folder, ROOT, "--native-file", os.path.join(ROOT, "configs", "runtime_only.ini"), *options])
        self.runs(["ninja", "-C", folder])
        return os.path.join(folder, "core", "embed", "libquoin_runtime.so.0")

    def check_size(self, library: str, limit: int) -> None:
        stripped = self.path("stripped.so")
        self.runs(["strip", "-o", stripped, library])
        size = os.path.getsize(stripped)
        build = os.path.dirname(os.path.dirname(os.path.dirname(library)))
        target = json.loads(self.runs(["meson", "introspect", build, "--targets"]).stdout)[0]
        version = self.runs([*target["target_sources"][0]["compiler"], "--version"]).stdout
        if platform.machine() != "x86_64" or b"Free Software Foundation" not in version:
            print(f"# {size} bytes; the limit is for gcc on x86-64: not checked", flush=True)
            return
        print(f"# {size} bytes", flush=True)
        self.assertLess(size, limit)

    def needs(self, library: str) -> List[str]:
        return re.findall(r"\(NEEDED\).*\[(.*)\]", self.runs(["readelf", "-dW", library]).stdout.decode())

    def exports(self, library: str) -> List[str]:
        return [line.split()[-1] for line in self.runs(["nm", "-D", "--defined-only", library]).stdout.decode().splitlines()]

    def test_it_is_small_and_needs_nothing(self):
        library = self.built("small")
        self.check_size(library, LIMIT)
        self.assertTrue(self.needs(library))
        for needed in self.needs(library):
            self.assertTrue(ALLOWED.match(needed), f"{needed} is needed")
        for name in self.exports(library):
            self.assertTrue(name.startswith("quoin_"), f"{name} is exported")
        program = self.program(extra=["--set", "lower.keep_original=true"])
        executable = self.compiled(os.path.join(HERE, "concurrent.cpp"), library)
        self.assertIn(b"40 runs on 8 threads, equal bytes", self.runs([executable, program]).stdout)

    def test_it_is_smaller_without_kernels(self):
        library = self.built("none", "-Druntime_kernels=none")
        self.check_size(library, LIMIT_WITHOUT_KERNELS)
        for needed in self.needs(library):
            self.assertTrue(needed.startswith("libc."), f"{needed} is needed")
        program = self.program(extra=["--set", "lower.keep_original=true"])
        count = self.compiled(os.path.join(HERE, "count_allocations.cpp"), library, [os.path.join(HERE, "allocations.cpp")])
        self.assertIn(b"0 allocations between plan", self.runs([count, program, PLUGIN]).stdout)
        done = subprocess.run([count, program], capture_output=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"this runtime has no kernels to fall back to", done.stderr)

    def test_eight_threads_race_for_nothing(self):
        flags = ["-fsanitize=thread"]
        compiler = os.environ.get("CXX", "c++").split()
        empty = subprocess.run([*compiler, *flags, "-x", "c++", "-", "-o", self.path("empty")], input=b"int main() {}",
                               capture_output=True, check=False)
        if empty.returncode != 0:
            self.skipTest("the compiler cannot link -fsanitize=thread")
        library = self.built("tsan", "-Db_sanitize=thread", "-Db_lundef=false", "-Db_lto=false", "-Dcpp_eh=default", "-Doptimization=1")
        program = self.program(extra=["--set", "lower.keep_original=true"])
        executable = self.compiled(os.path.join(HERE, "concurrent.cpp"), library, flags)
        done = self.runs([executable, program], env={**os.environ, "TSAN_OPTIONS": "halt_on_error=1 exitcode=66"})
        self.assertIn(b"40 runs on 8 threads, equal bytes", done.stdout)


tap.run(Alone)
