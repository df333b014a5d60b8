"""Writes, builds, tests and uses a plugin as a stranger would, with nothing but an installation. Prints TAP.

Usage: out_of_tree_test.py SOURCE_ROOT BUILD_ROOT ACME_TEST
"""

import glob
import json
import os
import shutil
import sys
import tempfile
import time
from typing import List, Optional

import command
from stage import Stage, fault_of, files_below, install

SYMBOL = "quoin_plugin_entry_v1"
SDK_PARTS = ("/include/quoin/", "/share/quoin/quoin_plugin.map", "/share/quoin/template/", "/share/quoin/quickstart/", "/quoin-sdk.pc",
             "/quoin-runtime.pc")  # and how to link the runtime
NEEDED = ("libstdc++.so.6", "libgcc_s.so.1", "libc.so.6", "libm.so.6")  # of a plugin, at most
MAX_LINES = 100    # of plugin code in the template
MAX_SECONDS = 120  # from an empty folder to a plugin that passed its tests
STRICT = ["-Dwarning_level=3", "-Dwerror=true", "-Dcpp_args=-Wconversion -Wshadow -Wno-sign-conversion"]


class Tap:
    def __init__(self) -> None:
        self.count = 0
        self.failed = 0

    def report(self, name: str, fault: Optional[str] = None, skip: Optional[str] = None) -> bool:
        self.count += 1
        self.failed += fault is not None
        print(f"{'ok' if fault is None else 'not ok'} {self.count} {name}" + (f" # SKIP {skip}" if skip else ""), flush=True)
        for line in (fault or "").splitlines():
            print(f"# {line}", flush=True)
        return fault is None and skip is None


def sdk_alone(tap: Tap, build: str, work: str) -> None:
    root = os.path.join(work, "sdk")
    fault = install(build, root, "devel")
    files = files_below(root)
    strangers = [file for file in files if not any(part in file for part in SDK_PARTS)]
    missing = [part for part in SDK_PARTS if not any(part in file for file in files)]
    if fault is None and (strangers or missing):
        fault = f"files that are not of the SDK: {strangers}\nmissing: {missing}"
    tap.report("the SDK installs alone", fault)


def installed(tap: Tap, build: str, work: str) -> Optional[Stage]:
    """Everything that is shipped; None where that cannot be used."""
    root = os.path.join(work, "stage")
    fault = install(build, root, "runtime,devel")
    if not tap.report("command, plugins and SDK install into a folder", fault):
        return None
    stage = Stage(root)
    if not stage.quoin:
        tap.report("a plugin is written", skip="the quoin command is not built (option tools)")
        return None
    return stage if tap.report("the installation is usable where it lies", stage.fault()) else None


def start(tap: Tap, stage: Stage, folder: str, name: str) -> str:
    os.makedirs(folder)
    tap.report(f"{name}: quoin plugin new writes a project", stage.script(f"quoin plugin new {name}", folder))
    return os.path.join(folder, name)


def check_size(tap: Tap, project: str) -> None:
    lines = 0
    for path in glob.glob(os.path.join(project, "src", "*")):
        with open(path, encoding="utf-8") as file:
            lines += len(file.readlines())
    tap.report(f"the plugin has less than {MAX_LINES} lines", None if 0 < lines < MAX_LINES else f"it has {lines}")


def check_file(tap: Tap, stage: Stage, label: str, plugin: str) -> None:
    done = stage.run(["nm", "-D", "--defined-only", plugin], stage.root)
    symbols = [line.split()[-1] for line in done.stdout.splitlines()]
    tap.report(f"{label}: the plugin exports its entry alone", None if symbols == [SYMBOL] else f"exported: {symbols}")
    dynamic = stage.run(["readelf", "-dlW", plugin], stage.root).stdout
    needed = [line.split("[")[1].rstrip("]") for line in dynamic.splitlines() if "(NEEDED)" in line]
    fault = None if set(needed) <= set(NEEDED) and "GNU_RELRO" in dynamic and "BIND_NOW" in dynamic else dynamic
    tap.report(f"{label}: it needs the C++ runtime alone, and is bound at once", fault)


def host_cases(tap: Tap, stage: Stage, label: str, acme_test: str, folder: str) -> None:
    """Every test case of the host's side becomes one of ours."""
    result = os.path.join(stage.root, "result.json")
    done = stage.run([acme_test, f"--gtest_output=json:{result}"], stage.root, QUOIN_ACME_FOLDER=folder)
    if not os.path.exists(result):
        tap.report(f"{label}: the host survives the plugin", fault_of(done) or "no result was written")
        return
    with open(result, encoding="utf-8") as handle:
        suites = json.load(handle)["testsuites"]
    os.remove(result)
    for case in (case for suite in suites for case in suite["testsuite"]):
        faults = "\n".join(failure["failure"] for failure in case.get("failures", []))
        tap.report(f"{label}: {case['classname']}.{case['name']}", faults or None)


def with_meson(tap: Tap, stage: Stage, work: str) -> str:
    """From an empty folder to a tested plugin, as the guide says it. Returns the project."""
    begin = time.monotonic()
    project = start(tap, stage, os.path.join(work, "meson"), "acme")
    tap.report("acme: Meson builds it and its tests pass",
               stage.script("meson setup build && ninja -C build && meson test -C build --print-errorlogs", project))
    seconds = time.monotonic() - begin
    tap.report(f"acme: all that took {seconds:.1f} s", None if seconds < MAX_SECONDS else f"at most {MAX_SECONDS} s are allowed")
    check_size(tap, project)
    return project


def with_cmake(tap: Tap, stage: Stage, work: str) -> None:
    """With a name that is no identifier."""
    name = "3d-npu.v2"
    if shutil.which("cmake") is None:
        tap.report(f"{name}: CMake builds it and its tests pass", skip="cmake is not installed")
        return
    project = start(tap, stage, os.path.join(work, "cmake"), name)
    lines = "cmake -G Ninja -S . -B build && cmake --build build && ctest --test-dir build --output-on-failure"
    if tap.report(f"{name}: CMake builds it and its tests pass", stage.script(lines, project)):
        check_file(tap, stage, name, os.path.join(project, "build", f"quoin-{name}.so"))
        for title, fault in command.steps(stage, project, name):
            tap.report(title, fault)


def with_compiler(tap: Tap, stage: Stage, compiler: str, project: str, acme_test: str) -> None:
    title = f"{compiler} builds the plugin without a warning"
    if shutil.which(compiler) is None:
        tap.report(title, skip=f"{compiler} is not installed")
        return
    build = f"build-{compiler}"
    fault = fault_of(stage.run(["meson", "setup", build, *STRICT], project, CXX=compiler)) or stage.script(f"ninja -C {build}", project)
    if not tap.report(title, fault):
        return
    folder = os.path.join(stage.root, compiler)
    os.makedirs(folder)
    plugin = shutil.copy(os.path.join(project, build, "quoin-acme.so"), folder)
    check_file(tap, stage, compiler, plugin)
    host_cases(tap, stage, compiler, acme_test, folder)
    tap.report(f"{compiler}: the plugin can be stripped", fault_of(stage.run(["strip", "--strip-all", plugin], project)))
    host_cases(tap, stage, f"{compiler}, stripped", acme_test, folder)


def reference(tap: Tap, stage: Stage, source: str, work: str) -> None:
    """Our model of an integer accelerator sees the installed SDK alone, too, and keeps the contract."""
    folder = os.path.join(work, "npu_ref")
    shutil.copytree(os.path.join(source, "plugins", "npu_ref"), folder)
    line = ("c++ -std=c++20 -O2 -ffp-contract=off -fPIC -shared -fvisibility=hidden -Wl,-z,defs,-z,now,-z,relro"
            " -Wl,--version-script=$(pkg-config --variable=version_script quoin-sdk) $(pkg-config --cflags quoin-sdk)"
            " *.cpp -o quoin-npu_ref.so")
    if tap.report("npu_ref: one compiler call builds it from the installed SDK", stage.script(line, folder)):
        check_file(tap, stage, "npu_ref", os.path.join(folder, "quoin-npu_ref.so"))
        tap.report("npu_ref: it passes the conformance kit", stage.script("quoin plugin check ./quoin-npu_ref.so --config conform.yaml", folder))


def installs(tap: Tap, stage: Stage, project: str) -> None:
    """Last, because from then on every quoin of the stage finds it."""
    fault = stage.script("meson install -C build", project)
    done = stage.run([stage.quoin, "plugin", "list", "--json"], project)
    rows: List[dict] = json.loads(done.stdout) if done.returncode == 0 else []
    if fault is None and not any(row["name"] == "acme" and row["source"] == "installed" for row in rows):
        fault = f"acme is not among {rows}"
    tap.report("the plugin installs to where quoin looks", fault)


def main() -> int:
    source, build, acme_test = sys.argv[1:4]
    tap = Tap()
    with tempfile.TemporaryDirectory() as work:
        sdk_alone(tap, build, work)
        stage = installed(tap, build, work)
        if stage is not None:
            project = with_meson(tap, stage, work)
            for title, fault in command.steps(stage, project, "acme"):
                tap.report(title, fault)
            for compiler in ("g++", "clang++"):
                with_compiler(tap, stage, compiler, project, acme_test)
            with_cmake(tap, stage, work)
            reference(tap, stage, source, work)
            installs(tap, stage, project)
    print(f"1..{tap.count}")
    return 1 if tap.failed else 0


if __name__ == "__main__":
    sys.exit(main())
