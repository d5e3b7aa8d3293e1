#!/bin/bash
# The same seeds give the same traces, whatever runs beside them: same.sh PROGRAM [OTHER PROGRAM].
# A second program is another build of the same tree. Prints the seeds that differ.
set -eu
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
"$1" --hashes --seeds 40 --jobs 1 >"$out/one"
"${2:-$1}" --hashes --seeds 40 >"$out/two"
if ! diff "$out/one" "$out/two"; then
    echo "these seeds took another course the second time"
    exit 1
fi
sort -u -k 2 "$out/one" | wc -l | grep -qx 40 || {
    echo "different seeds have the same trace"
    exit 1
}
echo "40 seeds are the same"
