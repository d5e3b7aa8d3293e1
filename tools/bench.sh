#!/bin/bash
# Measures this machine: tools/bench.sh DIR. Starts a rack of its own on free ports, with its data
# on a real file system, runs `embarcadero bench` against it and stops it again.
#   BENCH_DIR   where the data goes (default: /var/tmp; tmpfs is refused, its syncs cost nothing)
#   BENCH_ARGS  more options for every bench, for example --json
set -u
cd "$(dirname "$0")/.." || exit 1
bin=$1/src/bin
where=${BENCH_DIR:-/var/tmp}
read -r -a more <<<"${BENCH_ARGS:-}"

kind=$(stat -f -c %T "$where") || exit 1
if [ "$kind" = tmpfs ] || [ "$kind" = ramfs ]; then
    echo "bench: $where is a $kind and keeps nothing; set BENCH_DIR to a folder on a disk" >&2
    exit 1
fi

work=$(mktemp -d "$where/embarcadero-bench.XXXXXXXX") || exit 1
daemon=
finish() {
    if [ -n "$daemon" ]; then
        kill "$daemon" 2>/dev/null
        for ((tries = 0; tries < 100; tries++)); do
            kill -0 "$daemon" 2>/dev/null || break
            sleep 0.1
        done
        kill -KILL "$daemon" 2>/dev/null && echo "bench: the rack did not stop in 10 s" >&2
        wait "$daemon" 2>/dev/null
    fi
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

"$bin/embarcaderod" --dev --port 0 --data "$work/data" --ports-file "$work/ports" \
    >"$work/log" 2>&1 &
daemon=$!

for ((tries = 0; tries < 300; tries++)); do
    [ -s "$work/ports" ] && break
    kill -0 "$daemon" 2>/dev/null || break
    sleep 0.1
done
if ! [ -s "$work/ports" ]; then
    echo "bench: the rack did not start:" >&2
    tail -n 20 "$work/log" >&2
    exit 1
fi
EMBARCADERO_BROKERS=tcp://$(sed 's/^/127.0.0.1:/' "$work/ports" | paste -sd ,)
export EMBARCADERO_BROKERS

failures=0
measure() {
    "$bin/embarcadero" bench "$@" ${more[@]+"${more[@]}"} || failures=$((failures + 1))
}
echo "bench: data on $where ($kind), $(nproc) cores, $EMBARCADERO_BROKERS" >&2
measure publish --acks 1
measure publish --acks 2
measure consume
[ $failures -eq 0 ]
