#!/bin/bash
# Measures this machine and a rack on it, in less than five minutes: tools/bench.sh DIR [--json].
# Starts racks of its own on free ports, with their data on a real file system, runs every bench of
# `embarcadero` and stops them again. Prints one table, or with --json one object a line.
#   BENCH_DIR   where the data goes (default: /var/tmp; tmpfs is refused, its syncs cost nothing)
#   BENCH_ARGS  more options for every bench, for example --rounds 9
set -u
cd "$(dirname "$0")/.." || exit 1
bin=$1/src/bin
form=${2:-}
where=${BENCH_DIR:-/var/tmp}
read -r -a more <<<"${BENCH_ARGS:-}"

if [ -n "$form" ] && [ "$form" != --json ]; then
    echo "bench: unknown option $form; accepted: --json" >&2
    exit 2
fi
kind=$(stat -f -c %T "$where") || exit 1
if [ "$kind" = tmpfs ] || [ "$kind" = ramfs ]; then
    echo "bench: $where is a $kind and keeps nothing; set BENCH_DIR to a folder on a disk" >&2
    exit 1
fi

work=$(mktemp -d "$where/embarcadero-bench.XXXXXXXX") || exit 1
daemon=
rack_stop() {
    [ -n "$daemon" ] || return
    kill "$daemon" 2>/dev/null
    for ((tries = 0; tries < 100; tries++)); do
        kill -0 "$daemon" 2>/dev/null || break
        sleep 0.1
    done
    kill -KILL "$daemon" 2>/dev/null && echo "bench: the rack did not stop in 10 s" >&2
    wait "$daemon" 2>/dev/null
    daemon=
}
finish() {
    rack_stop
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

# With the daemon's options.
rack_start() {
    rm -f "$work/ports"
    "$bin/embarcaderod" --dev --port 0 --data "$work/data" --ports-file "$work/ports" "$@" \
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
}

failures=0
measure() {
    local verb=$1
    shift
    echo "bench: $((SECONDS / 60)):$(printf %02d $((SECONDS % 60))) $verb $*" >&2
    "$bin/embarcadero" bench "$verb" --json ${more[@]+"${more[@]}"} "$@" >>"$work/figures" ||
        failures=$((failures + 1))
}

echo "bench: data on $where ($kind), $(nproc) cores" >&2
measure limits --limit-dir "$work"
measure start --ports-file "$work/start-ports" -- "$bin/embarcaderod" --dev --port 0 \
    --ports-file "$work/start-ports" --data "$work/start"
rack_start
measure idle
measure publish --order 0,5 --message-bytes 100,1KiB
measure publish --acks 2 --limit-dir "$work"
measure consume
measure latency --limit-dir "$work"
rack_stop
rack_start --nodes 1
measure publish
rack_stop

"$bin/embarcadero" bench table ${form:+"$form"} "$work/figures" || failures=$((failures + 1))
[ $failures -eq 0 ]
