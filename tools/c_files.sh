#!/bin/sh
# Prints every C file of the tree, each followed by a NUL byte.
cd "$(dirname "$0")/.." || exit 1
for folder in include src sim examples tests tools bench; do
    [ -d "$folder" ] && echo "$folder"
done | xargs -I{} find {} -name '*.[ch]' -type f -print0 | sort -z
