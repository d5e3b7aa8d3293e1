#!/bin/bash
# All that can be known without running the product: tools/lint.sh DIR. Every step is run and
# prints its name and result; the exit status is 1 if one of them failed.
set -u
cd "$(dirname "$0")/.." || exit 1
dir=$1
failures=0
warnings="-Wall -Wextra -Wno-unused-parameter -Wshadow -Wstrict-prototypes -Wmissing-prototypes
    -Wpointer-arith -Wvla -Werror"

tools/setup.sh build lint || exit 1

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# step NAME COMMAND...: the output is shown only if the command fails.
step() {
    local name=$1 started=$SECONDS
    shift
    if "$@" >"$out/log" 2>&1; then
        echo "lint: $name: ok ($((SECONDS - started)) s)"
    else
        head -n 200 "$out/log"
        echo "lint: $name: FAILED"
        failures=$((failures + 1))
        return 1
    fi
}

check_format() {
    tools/c_files.sh | xargs -0 clang-format --dry-run -Werror
}

# Each public header compiles alone, as C11 and as C++17, without an extension.
check_public_headers() {
    local header failed=0
    for header in include/embarcadero/*.h; do
        header=${header#include/}
        echo "#include <$header>" >"$out/alone.c"
        gcc -std=c11 -Wall -Wextra -Werror -pedantic -Iinclude -fsyntax-only "$out/alone.c" ||
            failed=1
        g++ -x c++ -std=c++17 -Wall -Wextra -Werror -pedantic -Iinclude -fsyntax-only \
            "$out/alone.c" || failed=1
    done
    return $failed
}

# The rooms with instructions of their own, compiled for Arm. ISA-L's header is the same for every
# machine, but the rest of /usr/include is not: only it is shown to the cross compiler.
cross_compile() {
    local file failed=0
    mkdir -p "$out/cross"
    ln -sfn "$(dirname "$(echo '#include <isa-l/crc.h>' | gcc -E - |
        sed -n 's/.*"\(.*isa-l\/crc\.h\)".*/\1/p' | head -n 1)")" "$out/cross/isa-l"
    for file in src/base/*.c src/mem/*.c; do
        case $file in
        *_test.c | *'*'*) continue ;;
        esac
        aarch64-linux-gnu-gcc -std=gnu11 -D_GNU_SOURCE -O2 $warnings -Iinclude -Isrc \
            -isystem "$out/cross" -c "$file" -o "$out/object.o" || failed=1
    done
    return $failed
}

strict_build() {
    WERROR=1 tools/build.sh "$dir"
}

# Every file that is built, two at a time: each takes a core and a few hundred megabytes. A limit on
# the states looked at per function keeps it to a quarter of a second a file.
analyse() {
    local limit=(-Xclang -analyzer-config -Xclang max-nodes=20000)
    sed -n 's/^ *"file": "\(.*\)",\?$/\1/p' "$dir/compile_commands.json" |
        grep -v -e '_test\.c$' -e '/tests/' | sort -u |
        (cd "$dir" && xargs -d '\n' -P 2 -n 4 clang-tidy -p . --quiet "${limit[@]/#/--extra-arg=}")
}

# Without clang and its fuzzer this is left out: linting alone does not install a compiler.
fuzz_a_little() {
    command -v clang >/dev/null || return 0
    ls "$(clang -print-resource-dir)"/lib/*/libclang_rt.fuzzer* >/dev/null 2>&1 || return 0
    tools/fuzz.sh build-fuzz --seconds 2
}

step "format" check_format
step "house rules" tools/tidy
step "house rules prove themselves" tools/tidy --self-test
step "test counting proves itself" tools/test_report_test.py
step "public headers" check_public_headers
step "Arm cross-compile" cross_compile
step "fuzzing, two seconds a target" fuzz_a_little
step "build without warnings" strict_build && step "static analysis" analyse
[ $failures -eq 0 ]
