#!/bin/bash
# The main job on real input: tools/demo.sh BUILD_DIR. Starts a rack of four nodes with its stores
# on a real file system, publishes a real file of this machine, reads it back and checks every
# promise; then stops the rack, deletes the shared memory and checks the stores alone.
#   DEMO_DIR    where the data goes (default: this tree, else $TMPDIR, else /var/tmp)
#   DEMO_KEEP   1: leave data and log there
#   PROCESSES   1 (default): four nodes in one process; 2 to 8: so many, each a process of its own
# The exit status is 0 only if every promise was checked and holds.
set -u
cd "$(dirname "$0")/.." || exit 1
build=${1:?usage: tools/demo.sh BUILD_DIR}
daemon_program=$build/src/bin/embarcaderod
tool=$build/src/bin/embarcadero
demo=$build/tools/embarcadero-demo

least_lines=100000   # of the source
most_bytes=268435456 # of the source; more takes longer and shows nothing new
region_bytes=1073741824
start_seconds=10
stop_seconds=20
began=$(date +%s)

work=
region_file=
daemons=()
running=
printed_log=

# The last lines of the rack's log say more than the clients can.
show_log() {
    [ -z "$printed_log" ] && [ -n "$work" ] && [ -s "$work/log" ] || return 0
    printed_log=yes
    echo "demo: the last lines of the rack's log:" >&2
    tail -n 20 "$work/log" | sed 's/^/    /' >&2
}

fail() {
    echo "demo: FAILED: $*" >&2
    show_log
    exit 1
}

# Sends TERM to all and waits; false if one had to be killed or did not end well.
stop_rack() {
    local pids=("${daemons[@]}") pid tries good=0
    daemons=()
    [ ${#pids[@]} -gt 0 ] || return 0
    kill "${pids[@]}" 2>/dev/null
    for pid in "${pids[@]}"; do
        for ((tries = 0; tries < stop_seconds * 10; tries++)); do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.1
        done
        if kill -KILL "$pid" 2>/dev/null; then
            echo "demo: the rack did not stop in $stop_seconds s and was killed" >&2
            good=1
        fi
        wait "$pid" || good=1
    done
    return $good
}

rack_runs() {
    local pid
    for pid in "${daemons[@]}"; do
        kill -0 "$pid" 2>/dev/null || return 1
    done
}

finish() {
    trap '' INT TERM
    [ -n "$running" ] && kill "$running" 2>/dev/null && wait "$running" 2>/dev/null
    stop_rack
    [ -n "$region_file" ] && rm -f "$region_file"
    [ -n "$work" ] || return
    if [ "${DEMO_KEEP:-}" = 1 ]; then
        echo "demo: data, log and what was delivered are kept in $work"
    else
        rm -rf "$work"
    fi
}
trap finish EXIT
trap 'echo "demo: interrupted" >&2; exit 130' INT
trap 'echo "demo: terminated" >&2; exit 143' TERM

# In the background, so that a signal to this script is acted upon at once.
in_turn() {
    local status
    "$@" &
    running=$!
    wait "$running"
    status=$?
    running=
    return $status
}

processes=${PROCESSES:-1}
case $processes in
[1-8]) ;;
*) fail "PROCESSES=$processes: 1 (four nodes in one process) to 8 are accepted" ;;
esac
for program in "$daemon_program" "$demo"; do
    [ -x "$program" ] || fail "$program is missing: build first"
done

# ---- where ------------------------------------------------------------------------------------

choose_place() {
    local parent refused=
    local -a parents=("$PWD" "${TMPDIR:-/var/tmp}" /var/tmp)
    [ -n "${DEMO_DIR:-}" ] && parents=("$DEMO_DIR")
    for parent in "${parents[@]}"; do
        if ! mkdir "$parent/embarcadero-demo-$$" 2>/dev/null; then
            refused+="demo: $parent: no directory can be made there"$'\n'
            continue
        fi
        work=$parent/embarcadero-demo-$$
        if disk=$("$demo" disk "$work" 2>&1); then
            return
        fi
        refused+=$disk$'\n'
        rmdir "$work"
        work=
    done
    printf '%s' "$refused" >&2
    fail "no place for the stores"
}

choose_place
echo "demo: stores in $work"
echo "demo: $disk"

# Shared memory is where a rack belongs; a container may have too little of it.
shared_free=$(df --output=avail -B1 /dev/shm 2>/dev/null | tail -n 1)
if [ "${shared_free:-0}" -gt $((region_bytes + region_bytes / 16)) ]; then
    region_file=/dev/shm/embarcadero-demo-$$
    region=shm:embarcadero-demo-$$
else
    region_file=$work/region
    region=file:$region_file
    echo "demo: /dev/shm has ${shared_free:-0} bytes free, the region takes $region_bytes: it is" \
        "put in $region"
fi

# ---- what -------------------------------------------------------------------------------------

# In the same order everywhere; what cannot be read is left out.
all_headers() {
    find /usr/include -type f -print0 | LC_ALL=C sort -z | xargs -0 cat 2>/dev/null
}

is_long_enough() {
    [ "$(wc -l <"$work/source")" -ge $least_lines ]
}

choose_source() {
    name="apt-cache dumpavail"
    apt-cache dumpavail 2>/dev/null | head -c $most_bytes >"$work/source"
    is_long_enough && return
    name="/usr/include, all files"
    all_headers | head -c $most_bytes >"$work/source"
    is_long_enough ||
        fail "neither apt-cache dumpavail nor /usr/include has $least_lines lines here"
}

choose_source
echo "demo: source: $name, $(wc -l <"$work/source") lines, $(wc -c <"$work/source") bytes"

# ---- the rack ---------------------------------------------------------------------------------

# One process with four nodes, or a process for each; these start in any order.
start_rack() {
    local node roles
    if [ "$processes" = 1 ]; then
        "$daemon_program" --dev --port 0 --data "$work/data" --keep --region "$region" \
            --ports-file "$work/ports0" >"$work/log" 2>&1 &
        daemons+=($!)
        return
    fi
    for ((node = processes - 1; node >= 0; node--)); do
        roles=broker,replica
        [ $node -eq 0 ] && roles=$roles,sequencer
        "$daemon_program" --node-id $node --roles $roles --nodes "$processes" --port 0 \
            --region "$region" --region-size $region_bytes --topics 256 --sessions 4096 \
            --data "$work/data/node$node" --ports-file "$work/ports$node" >>"$work/log" 2>&1 &
        daemons+=($!)
    done
}

start_rack
for ((tries = 0; tries < start_seconds * 20; tries++)); do
    [ "$(ls "$work"/ports[0-9] 2>/dev/null | wc -l)" -eq ${#daemons[@]} ] && break
    rack_runs || fail "the rack ended while it started"
    sleep 0.05
done
[ "$(ls "$work"/ports[0-9] 2>/dev/null | wc -l)" -eq ${#daemons[@]} ] ||
    fail "the rack did not start within $start_seconds s"
cat "$work"/ports[0-9] >"$work/ports"
brokers=tcp://$(sed 's/^/127.0.0.1:/' "$work/ports" | paste -sd ,)
where="one process"
[ ${#daemons[@]} -eq 1 ] || where="${#daemons[@]} processes"
echo "demo: rack of $(wc -l <"$work/ports") nodes in $where at $brokers"
echo

in_turn "$demo" run --brokers "$brokers" --source "$work/source" \
    --delivered "$work/delivered" --topic demo
status=$?
rack_runs || fail "the rack ended during the run"
[ $status -eq 0 ] || fail "the run, see above"

# ---- what is left without it ------------------------------------------------------------------

stop_rack || fail "the rack did not stop cleanly"
rm -f "$region_file"
[ ! -e "$region_file" ] || fail "$region_file is still there"
region_file=

# The tool reads the stores on its own: its values of each member must be those delivered.
check_with_tool() {
    local member
    in_turn "$demo" values --delivered "$work/delivered" >"$work/values" || fail "no values"
    for member in 0 1; do
        in_turn "$tool" store check "$work"/data/node* --topic demo --member $member \
            --dump-values "$work/dump" >"$work/check" 2>&1 || {
            sed 's/^/    /' "$work/check" >&2
            fail "store check, member $member of each chain"
        }
        cmp "$work/values" "$work/dump" >&2 ||
            fail "P4 violated: member $member of each chain holds other values than were delivered"
    done
}

if [ -x "$tool" ]; then
    check_with_tool
    echo "  rack stopped, region deleted; embarcadero store check: all stores good, the values of" \
        "each chain member equal"
else
    echo "  rack stopped, region deleted"
fi
echo
in_turn "$demo" verify --data "$work/data" --delivered "$work/delivered" --topic demo ||
    fail "the stores, see above"
echo
echo "demo: every promise holds; $(($(date +%s) - began)) s"
