#!/bin/sh
# Builds Quoin and runs its tests. The last line is "N passed, N failed, N skipped"; the exit code tells if all is well.
set -u

usage() {
  cat <<TEXT
usage: sh tests/run.sh [options]

  --build DIR            build folder (default: build, or build-clang, in the repository)
  --compiler gcc|clang   (default: gcc)
  --suite NAME           only this suite, e.g. base, host, cpu; repeatable. Builds everything all the same
  --compile-only         build, run nothing
  --no-install           do not install missing Debian packages (they are installed only when run as root)
  --jobs N               parallel compilations (default: all cores)
  --help                 this text

Packages: configs/debian-packages.txt. Compilations go through ccache when it is there.
QUOIN_SHARED names the folder with reference models and data (default: ../shared); tests that need it are skipped
without it. QUOIN_ISA_MAX limits the instruction sets, e.g. QUOIN_ISA_MAX=avx2.
TEXT
}

# A run that cannot get as far as the tests is one failure.
give_up() {
  echo "FAILED: $1" >&2
  echo "0 passed, 1 failed, 0 skipped"
  exit 1
}

root=$(cd "$(dirname "$0")/.." && pwd) || exit 1
compiler=gcc
build=
suites=
install=yes
tests=yes
jobs=$(nproc 2>/dev/null || echo 2)

while [ $# -gt 0 ]; do
  case "$1" in
    --help | -h) usage; exit 0 ;;
    --no-install) install=no ;;
    --compile-only) tests=no ;;
    --build | --compiler | --suite | --jobs)
      [ $# -ge 2 ] || { usage >&2; give_up "$1 needs a value"; }
      case "$1" in
        --build) build=$2 ;;
        --compiler) compiler=$2 ;;
        --suite) suites="$suites --suite $2" ;;
        --jobs) jobs=$2 ;;
      esac
      shift ;;
    *) usage >&2; give_up "unknown option $1" ;;
  esac
  shift
done

case "$compiler" in
  gcc) cc=gcc cxx=g++ folder=build ;;
  clang) cc=clang cxx=clang++ folder=build-clang ;;
  *) give_up "--compiler takes gcc or clang, not $compiler" ;;
esac
[ -n "$build" ] || build="$root/$folder"

if [ "$install" = yes ]; then
  sh "$root/configs/install-packages.sh" || give_up "installing packages"
fi
command -v meson >/dev/null 2>&1 || give_up "meson is not installed (configs/debian-packages.txt lists what is needed)"
if command -v ccache >/dev/null 2>&1; then
  cc="ccache $cc" cxx="ccache $cxx"
fi

if [ ! -f "$build/build.ninja" ]; then
  CC=$cc CXX=$cxx meson setup "$build" "$root" || give_up "meson setup"
elif [ "$tests" = yes ]; then
  meson configure "$build" -Dtests=true || give_up "meson configure"  # the quickstart builds without them
fi
ninja -C "$build" -j "$jobs" || give_up "compilation"
[ "$tests" = yes ] || exit 0

rm -f "$build"/meson-logs/testlog.*
# shellcheck disable=SC2086  # a list of words
meson test -C "$build" --no-rebuild --print-errorlogs $suites
run=$?
python3 "$root/tests/summary.py" "$build" > "$build/meson-logs/summary.txt"
summary=$?
cat "$build/meson-logs/summary.txt"
[ "$run" = 0 ] && [ "$summary" = 0 ]
