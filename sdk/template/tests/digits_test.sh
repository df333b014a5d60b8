#!/bin/sh
# Quantizes the digit classifier of recipe.yaml with the plugin in FOLDER and scores it on images it never saw.
# usage: digits_test.sh QUOIN FOLDER RECIPE
set -eu
quoin=$1 folder=$2 recipe=$3

"$quoin" quantize -c "$recipe" --plugin "$folder" -o "$folder/digits.quoin"
"$quoin" eval "$folder/digits.quoin" -c "$recipe" --plugin "$folder" --json > "$folder/digits.json"
cat "$folder/digits.json"
# The float model has 0.9950.
sed -n 's/^ *"top1": \([0-9.]*\).*/\1/p' "$folder/digits.json" | awk '{ n = NR; good = $1 >= 0.98 } END { exit !(n == 1 && good) }'
