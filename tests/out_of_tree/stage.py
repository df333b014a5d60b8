"""An installation in a folder of its own, and the commands of somebody who has nothing but that."""

import glob
import os
import shlex
import subprocess
from typing import List, Optional

Done = "subprocess.CompletedProcess[str]"
PREFIX_LINE = "prefix=${pcfiledir}"


def fault_of(done: Done) -> Optional[str]:
    return None if done.returncode == 0 else f"{shlex.join(done.args)}\nexit code {done.returncode}\n{done.stdout}{done.stderr}"


def install(build: str, root: str, tags: str) -> Optional[str]:
    """What the tags install goes below `root`, which stands for the root of the file system. Returns the fault."""
    meson = shlex.split(os.environ.get("MESONINTROSPECT", "meson introspect"))[:-1]
    command = [*meson, "install", "-C", build, "--no-rebuild", "--tags", tags, "--destdir", root]
    return fault_of(subprocess.run(command, capture_output=True, text=True, check=False))


def files_below(root: str) -> List[str]:
    found = glob.glob(f"{root}/**/*", recursive=True, include_hidden=True)
    return sorted(os.path.relpath(path, root) for path in found if os.path.isfile(path))


class Stage:
    """An installation at `root`. Commands see it first, and no plugin, cache or setting of the user."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.quoin = next(iter(glob.glob(f"{root}/**/bin/quoin", recursive=True)), "")
        self.pkgconfig = next(iter(glob.glob(f"{root}/**/pkgconfig", recursive=True)), "")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("QUOIN_", "MESON", "PKG_CONFIG"))}
        self.environment = {**kept, "PKG_CONFIG_PATH": self.pkgconfig, "HOME": root, "XDG_CACHE_HOME": os.path.join(root, "cache"),
                            "PATH": os.pathsep.join([os.path.dirname(self.quoin), os.environ.get("PATH", "")])}

    def fault(self) -> Optional[str]:
        """Why nobody can build against it."""
        with open(os.path.join(self.pkgconfig, "quoin-sdk.pc"), encoding="utf-8") as file:
            if PREFIX_LINE in file.read():
                return None
        return "quoin-sdk.pc is not relocatable: set the build folder up anew, or meson configure -Dpkgconfig.relocatable=true"

    def run(self, command: List[str], folder: str, **environment: str) -> Done:
        return subprocess.run(command, cwd=folder, env={**self.environment, **environment}, capture_output=True, text=True, check=False)

    def script(self, lines: str, folder: str, **environment: str) -> Optional[str]:
        """The fault of shell commands, the first that fails ends them."""
        return fault_of(self.run(["sh", "-ec", lines], folder, **environment))

    def variable(self, name: str) -> str:
        return self.run(["pkg-config", f"--variable={name}", "quoin-sdk"], self.root).stdout.strip()
