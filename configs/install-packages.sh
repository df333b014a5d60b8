#!/bin/sh
# Installs what configs/debian-packages.txt lists and the machine lacks; only names it when not run as root.
set -u
here=$(cd "$(dirname "$0")" && pwd) || exit 1
command -v dpkg-query >/dev/null 2>&1 || exit 0  # not Debian: Meson will name what is missing

missing=
for package in $(sed 's/#.*//' "$here/debian-packages.txt"); do
  status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)
  [ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ]; then
  echo "missing packages; install them with: apt-get install$missing" >&2
  exit 0
fi
apt-get update -qq || exit 1
# shellcheck disable=SC2086  # a list of words
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
