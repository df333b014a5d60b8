#!/bin/sh
# Builds Quoin, quantizes the digit classifier of this folder, scores it in float and in int8, and times both.
set -eu

usage() {
  cat <<TEXT
usage: sh configs/quickstart/run.sh [options]

  --build DIR    build folder (default: build in the repository); results go to DIR/quickstart
  --threads N    threads for calibration, evaluation and timing (default: 1)
  --no-install   do not install missing Debian packages (they are installed only when run as root)
  --help         this text

Packages: configs/debian-packages.txt. Compilations go through ccache when it is there.
TEXT
}

give_up() {
  echo "quickstart: $1" >&2
  exit 1
}

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
build="$root/build"
threads=1
install=yes

while [ $# -gt 0 ]; do
  case "$1" in
    --help | -h) usage; exit 0 ;;
    --no-install) install=no ;;
    --build | --threads)
      [ $# -ge 2 ] || { usage >&2; give_up "$1 needs a value"; }
      if [ "$1" = --build ]; then build=$2; else threads=$2; fi
      shift ;;
    *) usage >&2; give_up "unknown option $1" ;;
  esac
  shift
done
case "$threads" in
  '' | *[!0-9]* | 0) give_up "--threads takes a whole number of at least 1, not \"$threads\"" ;;
esac

step() { printf '\n== %s\n' "$1"; }

step "packages"
[ "$install" = no ] || sh "$root/configs/install-packages.sh" || give_up "the packages could not be installed"
command -v meson >/dev/null 2>&1 || give_up "meson is not installed (configs/debian-packages.txt lists what is needed)"

step "build ($build)"
cc=${CC:-gcc} cxx=${CXX:-g++}
if [ -z "${CC:-}${CXX:-}" ] && command -v ccache >/dev/null 2>&1; then
  cc="ccache gcc" cxx="ccache g++"
fi
[ -f "$build/build.ninja" ] || CC=$cc CXX=$cxx meson setup "$build" "$root" -Dtests=false
ninja -C "$build"

quoin="$build/core/cli/quoin"
out="$build/quickstart"
model="$here/digits.pt2"
recipe="$here/digits.yaml"
program="$out/digits.quoin"
mkdir -p "$out"

step "quantize"
"$quoin" quantize "$model" -c "$recipe" -o "$program" --report "$out/report.html" --threads "$threads"

step "accuracy on images that neither training nor calibration saw"
"$quoin" eval "$model" -c "$recipe" --threads "$threads"
"$quoin" eval "$program" -c "$recipe" --against "$model" --threads "$threads"

step "speed"
"$quoin" bench "$program" "$model" -c "$recipe" --threads "$threads"

step "files"
wc -c "$model" "$program" | sed '$d'
echo "report: $out/report.html"
