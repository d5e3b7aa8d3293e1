#!/bin/bash
# The tool without a rack: tool_test.sh EMBARCADERO. Exit statuses and what is said about bad input,
# and regions that are missing, foreign, truncated, damaged.
set -u
tool=$1
place=$(mktemp -d) || exit 1
trap 'rm -rf "$place"' EXIT
export EMBARCADERO_BROKERS=tcp://127.0.0.1:1
failures=0

# expect STATUS WORDS COMMAND...: the status, and WORDS (a fixed string) in what is printed.
expect() {
    local wanted=$1 words=$2 status
    shift 2
    "$tool" "$@" >"$place/out" 2>&1 </dev/null
    status=$?
    if [ $status -ne "$wanted" ] || ! grep -qF -- "$words" "$place/out"; then
        echo "embarcadero $*: status $status, expected $wanted and \"$words\":"
        head -n 5 "$place/out"
        failures=$((failures + 1))
    fi
}

expect 2 "usage: embarcadero"
expect 0 "exit status: 0 done, 1 failed, 2" --help
expect 0 "embarcadero 0." --version
for noun in topic produce consume status region store bench config; do
    expect 0 "example:" "$noun" --help
    expect 0 "example:" help "$noun"
done
for verb in "topic create" "topic list" "topic describe" "topic delete" "region format" \
    "region inspect" "region check" "store inspect" "store check" "bench publish" \
    "bench consume"; do
    expect 0 "--json" $verb --help
done
expect 2 'unknown command "topik"; did you mean topic?' topik list
expect 2 'unknown command "crate"; accepted: create, list' topic crate x
expect 2 "what to do is missing; accepted: format, inspect, check, remove" region
expect 2 "did you mean --replicas?" topic create x --replcas 2
expect 2 '--replicas: bad value "9"; accepted: a whole number, 0 to 8' topic create x --replicas 9
expect 2 "too few; expected: NAME" topic create
expect 2 '"y" is one argument too many' topic create x y
expect 2 "none, lz4 or zstd" produce t --compression gzip
expect 2 "accepted: KEY=VALUE" produce t --header novalue
expect 2 "one byte, or" produce t --key-separator ab
expect 2 "--from: bad value" consume t --from soon
expect 2 "--format: bad" consume t --format %q
expect 2 "--dump-values needs --topic" store check "$place" --dump-values -
expect 1 "127.0.0.1:1" topic list
expect 1 "127.0.0.1:1" produce t
expect 1 "127.0.0.1:1" consume t
expect 1 "127.0.0.1:1" bench publish
expect 2 "only tcp:// is supported" --brokers udp://x topic list

region=file:$place/region
small="--region-size 64MiB --segment-size 256KiB --lanes 8 --lane-slots 64 --goi-segments 16
    --goi-segment-entries 8 --topics 16 --sessions 256"
expect 0 "64MiB" region format "$region" $small
expect 1 "is there already; --force" region format "$region" $small
expect 0 '"coherence": "software"' region format "$region" $small --force --json
expect 0 "lane_slots" region inspect "$region"
expect 0 '"lane_slots": 64' region inspect "$region" --json
expect 0 "no problems" region check "$region"
expect 0 '"problems": 0' region check "$region" --json
expect 2 "a power of two" region format "$region" --segment-size 5000
expect 2 "leaves" region format "$region" --region-size 2MiB
expect 1 "does not fit" region format "file:$place/large" --region-size 16TiB
expect 1 "$place/none" region inspect "file:$place/none"
expect 1 "shm:NAME, file:PATH or dax:" region check ftp:x

truncate -s 32M "$place/region"
expect 1 "truncated" region check "$region"
truncate -s 64M "$place/region"
printf X | dd of="$place/region" bs=1 seek=50 conv=notrunc status=none
expect 1 "$place/region" region check "$region"
head -c 65536 /dev/zero >"$place/foreign"
expect 1 "$place/foreign" region inspect "file:$place/foreign"

expect 1 "$place/none" store check "$place/none"
mkdir "$place/empty"
expect 1 "$place/empty" store inspect "$place/empty"

expect 0 "embarcadero config check FILE" config check --help
expect 2 "what to do is missing; accepted: check, example, docs" config
expect 0 "#region-size: 16GiB" config example
expect 0 '| `region-size` | 1MiB to 16TiB | `16GiB`, with `--dev` `1GiB` |' config docs
printf 'port: 7000\nroles: [sequencer]\n' >"$place/rack.yaml"
expect 0 "roles: [sequencer]                      # $place/rack.yaml:2" \
    config check "$place/rack.yaml"
"$tool" config example >"$place/example.yaml"
expect 0 "all options have their default" config check "$place/example.yaml"
printf 'port: 7000\n\nprot: 1\n' >"$place/rack.yaml"
expect 2 "$place/rack.yaml:3:1: unknown option \"prot\"; did you mean port?" \
    config check "$place/rack.yaml"
expect 2 "is a directory" config check "$place"
expect 1 "$place/none.yaml: No such file" config check "$place/none.yaml"
head -c 300000 /dev/zero >"$place/large.yaml"
expect 2 "too large; accepted: at most 262144 bytes" config check "$place/large.yaml"

[ $failures -eq 0 ]
