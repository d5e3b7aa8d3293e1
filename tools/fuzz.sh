#!/bin/bash
# Feeds the fuzz targets: tools/fuzz.sh DIR [--seconds N] [--target "NAME NAME"] [--merge].
# New inputs that reach new code gather in DIR/corpus/NAME, what fails in DIR/findings; --merge then
# takes those into tests/corpus/NAME that reach what nothing there reaches. Prints one line a
# target; the exit status is 1 if one of them failed. Two at a time; JOBS=1 for less.
set -eu
cd "$(dirname "$0")/.."
root=$(pwd -P)

dir=$1
shift
seconds=10
targets=
merge=
while [ $# -gt 0 ]; do
    case $1 in
    --seconds) seconds=$2; shift 2 ;;
    --target) targets=$2; shift 2 ;;
    --merge) merge=1; shift ;;
    *) echo "fuzz: unknown option '$1'; --seconds, --target and --merge are accepted" >&2; exit 2 ;;
    esac
done

tools/setup.sh build
ls "$(clang -print-resource-dir 2>/dev/null)"/lib/*/libclang_rt.fuzzer* >/dev/null 2>&1 ||
    tools/setup.sh fuzz
if ! [ -f "$dir/build.ninja" ]; then
    CC=clang meson setup "$dir" -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false \
        -Dbuildtype=debugoptimized >/dev/null
fi
ninja -C "$dir" ${JOBS:+-j "$JOBS"} fuzz >"$dir/fuzz-build.log" || {
    tail -n 40 "$dir/fuzz-build.log"
    exit 1
}

known=$(cd "$dir/tests/fuzz" && ls | sed -n 's/^fuzz_\([a-z_]*\)$/\1/p')
for target in $targets; do
    grep -qx "$target" <<<"$known" ||
        { echo "fuzz: no target '$target'; there are:" $known >&2; exit 2; }
done

export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1

# One target: its new corpus first, then what is checked in.
run_target() {
    local name=$1 log=$dir/findings/$1.log
    local options=(-max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1
        -artifact_prefix="$dir/findings/$name-" -entropic=0)
    mkdir -p "$dir/corpus/$name" "$dir/findings" "$root/tests/corpus/$name"
    if "$dir/tests/fuzz/fuzz_$name" "${options[@]}" "$dir/corpus/$name" "tests/corpus/$name" \
        >"$log" 2>&1; then
        echo "fuzz: $name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") runs in" \
            "$seconds s, no finding"
        return 0
    fi
    grep -E -A 12 'ERROR|runtime error|assert' "$log" | head -n 30 >&2
    echo "fuzz: $name: FAILED: $(sed -n 's/^.*Test unit written to //p' "$log" | tail -n 1)" \
        "(whole report: $log)"
    return 1
}

merge_target() {
    local name=$1 log=$dir/findings/$1-merge.log
    mkdir -p "$dir/corpus/$name" "$dir/findings"
    "$dir/tests/fuzz/fuzz_$name" -merge=1 "tests/corpus/$name" "$dir/corpus/$name" \
        >"$log" 2>&1 || { tail -n 20 "$log" >&2; return 1; }
    echo "fuzz: $name: $(find "tests/corpus/$name" -type f | wc -l) inputs are checked in"
}

export -f run_target merge_target
export dir root seconds
action=run_target
[ -z "$merge" ] || action=merge_target
mkdir -p "$dir/findings"
printf '%s\n' ${targets:-$known} |
    xargs -P "${JOBS:-2}" -I NAME bash -c "$action NAME" ||
    exit 1
