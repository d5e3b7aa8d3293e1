#!/bin/sh
# Joins the first archive, and of the others what it needs, into one object whose hidden symbols
# are local.
# usage: localize.sh LD OBJCOPY OUTPUT ARCHIVE...
set -eu
ld=$1 objcopy=$2 output=$3 first=$4
shift 4
"$ld" -r -o "$output.tmp" --whole-archive "$first" --no-whole-archive --start-group "$@" --end-group
"$objcopy" --localize-hidden "$output.tmp" "$output"
rm -f "$output.tmp"
