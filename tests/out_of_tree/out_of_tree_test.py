"""Builds tests/out_of_tree/acme against an installed SDK, as a stranger would, and uses the plugin. Prints TAP.

Usage: out_of_tree_test.py SOURCE_ROOT BUILD_ROOT ACME_TEST
"""

import glob
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from typing import List, Optional

import command

SYMBOL = "quoin_plugin_entry_v1"
FLAGS = ["-std=c++20", "-O2", "-ffp-contract=off", "-fPIC", "-shared", "-fvisibility=hidden", "-Wl,-z,defs", "-Wall",
         "-Wextra", "-Wpedantic", "-Werror"]


class Tap:
    def __init__(self) -> None:
        self.count = 0
        self.failed = 0

    def report(self, name: str, fault: Optional[str] = None, skip: Optional[str] = None) -> None:
        self.count += 1
        self.failed += fault is not None
        print(f"{'ok' if fault is None else 'not ok'} {self.count} {name}" + (f" # SKIP {skip}" if skip else ""))
        for line in (fault or "").splitlines():
            print(f"# {line}")


def run(command: List[str], cwd: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, check=False)


def fault_of(done: "subprocess.CompletedProcess[str]") -> Optional[str]:
    return None if done.returncode == 0 else f"{shlex.join(done.args)}\nexit code {done.returncode}\n{done.stdout}{done.stderr}"


def install_sdk(tap: Tap, build: str, work: str) -> str:
    """Installs only what is tagged as the SDK; returns the folder that stands for the root of the file system."""
    stage = os.path.join(work, "stage")
    meson = shlex.split(os.environ.get("MESONINTROSPECT", "meson introspect"))[:-1]
    done = run([*meson, "install", "-C", build, "--no-rebuild", "--tags", "devel", "--destdir", stage], work)
    files = [os.path.relpath(path, stage) for path in glob.glob(f"{stage}/**/*", recursive=True) if os.path.isfile(path)]
    ours = ("/include/quoin/", "/share/quoin/quoin_plugin.map", "/quoin-sdk.pc")
    strangers = [file for file in files if not any(part in file for part in ours)]
    fault = fault_of(done)
    if fault is None and (strangers or not any(f.endswith("/quoin/abi.h") for f in files)):
        fault = f"expected headers, version script and quoin-sdk.pc only, found {files}"
    tap.report("the SDK installs alone", fault)
    return stage


def sdk_flags(stage: str) -> List[str]:
    folders = {os.path.dirname(path) for path in glob.glob(f"{stage}/**/quoin-sdk.pc", recursive=True)}
    environment = {"PKG_CONFIG_PATH": ":".join(folders), "PKG_CONFIG_SYSROOT_DIR": stage}
    flags = run(["pkg-config", "--cflags", "quoin-sdk"], stage, **environment).stdout
    script = run(["pkg-config", "--variable=version_script", "quoin-sdk"], stage, **environment).stdout.strip()
    # The stage stands for the root; whether pkg-config puts it in front of variables too depends on its version.
    script = script if script.startswith(stage) else stage + script
    return [*shlex.split(flags), f"-Wl,--version-script={script}"]


def build_plugin(tap: Tap, compiler: str, source: str, flags: List[str], work: str) -> Optional[str]:
    """Compiles far away from the source tree; returns the folder with the plugin."""
    name = f"{compiler} builds the plugin from the installed SDK"
    if shutil.which(compiler) is None:
        tap.report(name, skip=f"{compiler} is not installed")
        return None
    folder = os.path.join(work, compiler, "plugins")
    os.makedirs(folder)
    copy = shutil.copy(source, os.path.join(work, compiler))
    plugin = os.path.join(folder, "quoin-acme.so")
    fault = fault_of(run([compiler, *FLAGS, *flags, copy, "-o", plugin], os.path.dirname(copy)))
    tap.report(name, fault)
    return folder if fault is None else None


def check_exports(tap: Tap, plugin: str, work: str) -> None:
    done = run(["nm", "-D", "--defined-only", plugin], work)
    symbols = [line.split()[-1] for line in done.stdout.splitlines()]
    tap.report("the plugin exports its entry alone", None if symbols == [SYMBOL] else f"exported: {symbols}")


def host_cases(tap: Tap, label: str, acme_test: str, folder: str, work: str) -> None:
    """Every test case of the host's side becomes one of ours."""
    result = os.path.join(work, "result.json")
    done = run([acme_test, f"--gtest_output=json:{result}"], work, QUOIN_ACME_FOLDER=folder)
    if not os.path.exists(result):
        tap.report(f"{label}: the host survives the plugin", fault_of(done) or "no result was written")
        return
    with open(result, encoding="utf-8") as handle:
        suites = json.load(handle)["testsuites"]
    os.remove(result)
    for case in (case for suite in suites for case in suite["testsuite"]):
        faults = "\n".join(failure["failure"] for failure in case.get("failures", []))
        tap.report(f"{label}: {case['classname']}.{case['name']}", faults or None)


def command_cases(tap: Tap, source: str, build: str, folder: str, work: str) -> None:
    quoin = os.path.join(build, "core", "cli", "quoin")
    if not os.path.exists(quoin):
        tap.report("the command uses the plugin", skip="the quoin command is not built (option tools)")
        return
    for name, fault in command.steps(quoin, source, folder, work):
        tap.report(name, fault)


def main() -> int:
    source, build, acme_test = sys.argv[1:4]
    tap = Tap()
    with tempfile.TemporaryDirectory() as work:
        flags = sdk_flags(install_sdk(tap, build, work))
        acme = os.path.join(source, "tests", "out_of_tree", "acme", "acme.cpp")
        for compiler in ("g++", "clang++"):
            folder = build_plugin(tap, compiler, acme, flags, work)
            if folder is None:
                continue
            plugin = os.path.join(folder, "quoin-acme.so")
            check_exports(tap, plugin, work)
            host_cases(tap, compiler, acme_test, folder, work)
            fault = fault_of(run(["strip", "--strip-all", plugin], work))
            tap.report(f"{compiler}: the plugin can be stripped", fault)
            host_cases(tap, f"{compiler}, stripped", acme_test, folder, work)
            if compiler == "g++":
                command_cases(tap, source, build, folder, work)
    print(f"1..{tap.count}")
    return 1 if tap.failed else 0


if __name__ == "__main__":
    sys.exit(main())
