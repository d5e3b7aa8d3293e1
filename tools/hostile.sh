#!/bin/bash
# Measures how much hostile peers hold up a well-behaved client: tools/hostile.sh DIR. Starts a rack
# of its own on free ports, with its data on a real file system, and runs tests/hostile_bench.c.
#   HOSTILE_DIR   where the data goes (default: /var/tmp; tmpfs is refused, its syncs cost nothing)
#   HOSTILE_ARGS  more options for the rack
#   HOSTILE_ROUNDS  of each kind (default 6; the first is dropped)
#   ACKS            what the client waits for: 1 ordered, 2 on the disks of two replicas (default 1)
set -u
cd "$(dirname "$0")/.." || exit 1
bin=$1/src/bin
tests=$1/tests
where=${HOSTILE_DIR:-/var/tmp}
HOSTILE_ARGS=${HOSTILE_ARGS:-}

kind=$(stat -f -c %T "$where") || exit 1
if [ "$kind" = tmpfs ] || [ "$kind" = ramfs ]; then
    echo "hostile: $where is a $kind and keeps nothing; set HOSTILE_DIR to a folder on a disk" >&2
    exit 1
fi

work=$(mktemp -d "$where/embarcadero-hostile.XXXXXXXX") || exit 1
daemon=
finish() {
    if [ -n "$daemon" ]; then
        kill "$daemon" 2>/dev/null
        for ((tries = 0; tries < 100; tries++)); do
            kill -0 "$daemon" 2>/dev/null || break
            sleep 0.1
        done
        kill -KILL "$daemon" 2>/dev/null && echo "hostile: the rack did not stop in 10 s" >&2
        wait "$daemon" 2>/dev/null
    fi
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

"$bin/embarcaderod" --dev --port 0 --data "$work/data" --ports-file "$work/ports" $HOSTILE_ARGS \
    >"$work/log" 2>&1 &
daemon=$!

for ((tries = 0; tries < 300; tries++)); do
    [ -s "$work/ports" ] && break
    kill -0 "$daemon" 2>/dev/null || break
    sleep 0.1
done
if ! [ -s "$work/ports" ]; then
    echo "hostile: the rack did not start:" >&2
    tail -n 20 "$work/log" >&2
    exit 1
fi
EMBARCADERO_BROKERS=tcp://$(sed 's/^/127.0.0.1:/' "$work/ports" | paste -sd ,)
export EMBARCADERO_BROKERS

echo "hostile: data on $where ($kind), $(nproc) cores, load $(cut -d ' ' -f 1-3 /proc/loadavg)" >&2
"$tests/hostile_bench" "$tests/mob" "$daemon" "${HOSTILE_ROUNDS:-6}" "${ACKS:-1}" \
    $(cat "$work/ports") || exit 1
"$bin/embarcadero" status | grep -E "refused|timeouts|over_memory|stalled|protocol" || true
