"""Reads the source tree and checks what no compiler does: who may include whom, file sizes, left-over notes."""

import os
import re
from typing import Dict, Iterator, List, NamedTuple, Set

# Module -> modules whose headers it may include besides its own. One line per module: the only edit point.
LOWEST = {"base", "ops"}  # implied by every dependency on something above them
DEPENDENCIES: Dict[str, Set[str]] = {
    "base": set(),
    "json": {"base"},
    "ops": {"base"},
    "ir": {"ops"},
    "kernels": {"ops"},
    "interpret": {"ir", "kernels"},
    "passes": {"ir", "interpret"},
    "checkpoint": {"base", "json", "ops"},
    "nn": {"ir", "checkpoint"},
    "data": {"base", "ops", "checkpoint"},
    "tokenize": {"base", "json", "data"},
    "recipe": {"base", "data"},
    "import": {"ir", "json"},
    "export": {"ir"},
    "host": {"base"},
    "program": {"ops"},
    "quantize": {"ir", "interpret", "passes", "host", "recipe", "data"},
    "source": {"ir", "interpret", "checkpoint", "nn", "quantize", "recipe", "data"},
    "lower": {"ir", "host", "program", "kernels"},
    "runtime": {"program", "kernels", "host"},
    "generate": {"tokenize", "runtime", "program"},
    "embed": {"program", "kernels", "host", "runtime"},
}
DEPENDENCIES["flow"] = set(DEPENDENCIES)
DEPENDENCIES["conform"] = set(DEPENDENCIES)
DEPENDENCIES["cli"] = set(DEPENDENCIES)
# What a device ships takes only the part of host that loads nothing.
ONLY_THESE = {("runtime", "host"): {"host/services.hpp", "host/backend.hpp", "host/call.hpp"},
              ("embed", "host"): {"host/services.hpp", "host/table.hpp", "host/call.hpp"}}
NO_SDK = {"base"}

# Third-party header (a path prefix) -> folders that may include it; its types must not leave them.
THIRD_PARTY = {
    "boost/dll/": {"core/host"},
    "boost/program_options": {"core/cli"},
    "yaml-cpp/": {"core/recipe"},
    "re2/": {"core/recipe"},
    "flatbuffers/": {"core/program"},
    "onnx/": {"core/import", "core/export"},
    "google/protobuf/": {"core/import", "core/export"},
    "zip.h": {"core/import", "core/data"},
    "nlohmann/": {"core/json", "core/import", "core/host", "core/conform", "core/cli", "core/data", "core/recipe", "core/checkpoint", "core/tokenize"},
    "spdlog/": {"core/host", "core/cli"},
    "xsimd/": {"plugins/cpu"},
    "jpeglib.h": {"core/data"},
    "unicode/": {"core/tokenize"},
    "jerror.h": {"core/data"},
    "png.h": {"core/data"},
    "Eigen/": {"core/source"},
    "openssl/": {"core/host"},
    "xxhash.h": {"core"},
    "fmt/": {"core"},
}
# Headers of the C library, the kernel and the compiler that have a suffix; C++ headers have none.
SYSTEM = re.compile(
    r"(sys|linux)/\w+\.h|(assert|cpuid|dlfcn|elf|errno|fcntl|float|immintrin|arm_neon|limits|link|malloc|math|poll|pthread|sched|"
    r"setjmp|signal|spawn|stdarg|stddef|stdint|stdio|stdlib|string|termios|time|unistd)\.h")

MAX_LINES = 400
TOLERANCE = 40  # a file is split when it grows past the limit, not for the last few lines
MAX_ABI_LINES = 270
SOURCE = (".c", ".cpp", ".h", ".hpp", ".py", ".sh")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^">]+)[">]')
LEFT_OVER = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "X" + "XX", "HA" + "CK"]) + r")\b")


class Include(NamedTuple):
    file: str  # relative to the root of the tree
    line: int
    angled: bool
    target: str


def sources(root: str, folders: List[str]) -> Iterator[str]:
    """Source files below `folders`, relative to `root`, sorted."""
    for folder in folders:
        for path, inner, names in os.walk(os.path.join(root, folder)):
            inner.sort()
            for name in sorted(names):
                if name.endswith(SOURCE) or name in ("meson.build", "meson_options.txt"):
                    yield os.path.relpath(os.path.join(path, name), root)


def lines(root: str, file: str) -> List[str]:
    with open(os.path.join(root, file), encoding="utf-8") as handle:
        return handle.read().splitlines()


def includes(root: str, folder: str) -> Iterator[Include]:
    for file in sources(root, [folder]):
        if not file.endswith((".c", ".cpp", ".h", ".hpp")):
            continue
        for number, text in enumerate(lines(root, file), 1):
            match = INCLUDE.match(text)
            if match:
                yield Include(file, number, match[1] == "<", match[2])


def allowed_modules(module: str) -> Set[str]:
    allowed = DEPENDENCIES.get(module, set()) | {module}
    return allowed | ({"base"} if module == "host" else LOWEST if allowed - {module, "base"} else set())


def third_party_fault(include: Include) -> str:
    """Why a header that is neither ours nor the system's may not be included here; empty: it may."""
    for prefix, folders in THIRD_PARTY.items():
        if include.target.startswith(prefix):
            inside = any(include.file.startswith(folder + "/") for folder in folders)
            return "" if inside else f"<{include.target}> belongs to {', '.join(sorted(folders))} only"
    return f"<{include.target}> is not in the list of third-party headers (tests/arch/tree.py)"


def is_system(include: Include) -> bool:
    return include.angled and bool("." not in include.target or SYSTEM.fullmatch(include.target))


def core_fault(include: Include) -> str:
    module = include.file.split("/")[1]
    owner = include.target.split("/")[0]
    if include.target.startswith("quoin/"):
        return "this module depends on nothing, not even the SDK" if module in NO_SDK else ""
    if owner in DEPENDENCIES:
        if owner not in allowed_modules(module):
            return f"module {module} may not include {owner}"
        only = ONLY_THESE.get((module, owner))
        return f"module {module} may include only {', '.join(sorted(only))}" if only and include.target not in only else ""
    if is_system(include):
        return ""
    if include.target.startswith(module) and include.target.endswith("_generated.h"):
        return ""  # written by the build from a schema of the module
    return third_party_fault(include)


def plugin_fault(root: str, include: Include) -> str:
    if include.target.startswith("quoin/"):
        return "" if include.angled else "write SDK headers as <quoin/...>"
    if is_system(include):
        return ""
    if include.angled:
        return third_party_fault(include)
    own = os.path.join(*include.file.split("/")[:2])
    near = (os.path.join(own, include.target), os.path.join(os.path.dirname(include.file), include.target))
    if any(os.path.exists(os.path.join(root, path)) for path in near):
        return ""
    return "a plugin includes only <quoin/...>, its own folder and its own libraries"


def sdk_fault(include: Include) -> str:
    if is_system(include) or (include.angled and include.target.startswith("quoin/")):
        return ""
    return "SDK headers depend on the standard library only"


def include_faults(root: str, folder: str) -> List[str]:
    faults = []
    for include in includes(root, folder):
        top = include.file.split("/")[0]
        fault = (core_fault(include) if top == "core" else plugin_fault(root, include) if top == "plugins"
                 else sdk_fault(include))
        if fault:
            faults.append(f"{include.file}:{include.line}: {fault}")
    return faults


def length_faults(root: str, folders: List[str]) -> List[str]:
    counts = ((file, len(lines(root, file))) for file in sources(root, folders))
    return [f"{file}: {count} lines, the limit is {MAX_LINES}" for file, count in counts if count > MAX_LINES + TOLERANCE]


def left_over_faults(root: str, folders: List[str]) -> List[str]:
    return [f"{file}:{number}: unfinished: {text.strip()}" for file in sources(root, folders)
            for number, text in enumerate(lines(root, file), 1) if LEFT_OVER.search(text)]


def guard_faults(root: str, folders: List[str]) -> List[str]:
    """Headers start with #pragma once; those that must be plain C11, with a macro."""
    faults = []
    for file in sources(root, folders):
        if not file.endswith((".hpp", ".h")):
            continue
        wanted = f"#ifndef QUOIN_{os.path.basename(file)[:-2].upper()}_H_" if file.endswith(".h") else "#pragma once"
        directives = [text for text in lines(root, file) if text.startswith("#")]
        if not directives or directives[0] != wanted:
            faults.append(f"{file}: its first directive is not {wanted}")
    return faults
