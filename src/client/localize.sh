#!/bin/sh
# Joins archives into one object whose hidden symbols are local.
# usage: localize.sh LD OBJCOPY OUTPUT ARCHIVE...
set -eu
ld=$1 objcopy=$2 output=$3
shift 3
"$ld" -r --whole-archive -o "$output.tmp" "$@"
"$objcopy" --localize-hidden "$output.tmp" "$output"
rm -f "$output.tmp"
