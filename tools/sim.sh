#!/bin/bash
# Runs the simulator: tools/sim.sh DIR [OPTIONS of embarcadero-sim]. From the environment:
#   SEEDS, FIRST, SECONDS, STATE   how many seeds, from which on, for how long, kept in which file
#   SEED, FAULTS, TRACE            one seed alone, with its trace
#   BUG                            a planted bug; with --bugs-test: only these, blanks between them
#   JOBS                           seeds at a time
set -u
program=$1/sim/embarcadero-sim
shift

# bash has a SECONDS of its own; what the caller meant is only in what the process began with.
limit=$(tr '\0' '\n' <"/proc/$$/environ" | sed -n 's/^SECONDS=//p')

# A changed tree is another build: its difference is part of the name.
name_commit() {
    local commit difference
    cd "$(dirname "$0")/.." || return
    commit=$(git rev-parse --short HEAD 2>/dev/null) || return
    difference=$(git diff HEAD 2>/dev/null)
    if [ -n "$difference" ]; then
        commit+=+$(printf '%s' "$difference" | sha1sum | cut -c1-8)
    fi
    printf '%s' "$commit"
}

options=()
# give OPTION VALUE: unless there is no value
give() {
    [ -n "$2" ] && options+=("--$1" "$2")
}

case " $* " in
*" --bugs-test "*)
    give jobs "${JOBS:-}"
    read -r -a bugs <<<"${BUG:-}"
    options+=(${bugs[@]+"${bugs[@]}"})
    ;;
*" --regressions"*)
    give jobs "${JOBS:-}"
    ;;
*)
    give seed "${SEED:-}"
    if [ -z "${SEED:-}" ]; then
        give jobs "${JOBS:-}"
        give seeds "${SEEDS:-}"
        give first "${FIRST:-}"
        give time "$limit"
        give state "${STATE:-}"
    fi
    give faults "${FAULTS:-}"
    give trace "${TRACE:-}"
    give bug "${BUG:-}"
    ;;
esac
commit=$(name_commit)
give commit "$commit"

exec "$program" "$@" ${options[@]+"${options[@]}"}
