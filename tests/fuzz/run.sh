#!/bin/sh
# Runs one libFuzzer target for a while, from its seeds: run.sh TARGET SECONDS SEED ...
# What it finds grows in a folder of its own, QUOIN_FUZZ_CORPUS/TARGET, or nowhere. The limits are those of limits.hpp;
# the timeout of an input is longer, because sanitizers take several times as long.
set -eu
target=$1 seconds=$2
shift 2
seeds=$(mktemp -d)
trap 'rm -rf "$seeds"' EXIT
for seed in "$@"; do
  if [ -d "$seed" ]; then cp "$seed"/* "$seeds"; else cp "$seed" "$seeds"; fi
done
grown=${QUOIN_FUZZ_CORPUS:+$QUOIN_FUZZ_CORPUS/$(basename "$target")}
[ -z "$grown" ] || mkdir -p "$grown"
"$target" -max_total_time="$seconds" -timeout=10 -malloc_limit_mb=256 -rss_limit_mb=2048 -max_len=65536 -print_final_stats=1 \
  ${QUOIN_FUZZ_ARTIFACTS:+-artifact_prefix=$QUOIN_FUZZ_ARTIFACTS/} ${grown:+"$grown"} "$seeds"
