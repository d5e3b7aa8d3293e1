#!/bin/sh
# The libraries show emb_* only, each function with its version; they call nothing that prints or
# ends a process; the header compiles alone, as C11 and as C++17, and what it declares is there.
# usage: library_test.sh SHARED STATIC INCLUDE HEADER_TEST MAP
set -eu
shared=$1 static=$2 include=$3 source=$4 map=$5
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
strict="-Wall -Wextra -pedantic -Werror -I$include"

nm -D --defined-only "$shared" | awk '{print $3}' | sed 's/@.*//' | sort -u >"$work/shared"
nm -g --defined-only "$static" | awk 'NF == 3 {print $3}' | sort -u >"$work/static"
for list in shared static; do
    grep -v -e '^emb_' -e '^EMBARCADERO_' -e '^_*[at]san' -e '^__odr' \
        "$work/$list" >"$work/foreign" || true
    if [ -s "$work/foreign" ]; then
        echo "$list: symbols that are not emb_*:" && cat "$work/foreign" && exit 1
    fi
done
sed -n 's/^EMB_API.*[ *]\(emb_[a-z_]*\)(.*/\1/p' "$include/embarcadero/embarcadero.h" |
    sort -u >"$work/declared"
[ "$(wc -l <"$work/declared")" -ge 31 ] || { echo "the header is not understood" && exit 1; }
for list in shared static; do
    grep '^emb_' "$work/$list" | diff "$work/declared" - || {
        echo "$list: what is declared (<) and what is there (>) differ"
        exit 1
    }
done

# Each has the version that the map gives it; nm writes name@@version.
awk '/^[A-Z_0-9.]+ \{/ { node = $1 } /^ +emb_/ { sub(/;/, ""); print $1 "@@" node }' "$map" |
    sort >"$work/mapped"
nm -D --defined-only "$shared" | awk '$3 ~ /^emb_/ {print $3}' | sort | diff "$work/mapped" - || {
    echo "the versions in the map (<) and in the library (>) differ"
    exit 1
}
readelf -d "$shared" | grep -q 'SONAME.*\[libembarcadero\.so\.0\]' || {
    echo "the library's soname is not libembarcadero.so.0"
    exit 1
}

# What would print, end the process, or change what belongs to it. Allowed: abort, fprintf and
# stderr of base/assert.c, for a fault of the library itself, never for what came from outside.
forbidden='v?d?printf|v?fprintf|f?puts|f?putc|putchar|perror|fwrite|fopen|popen|system|v?syslog'
forbidden="$forbidden|_?exit|_Exit|quick_exit|abort|raise|kill|pthread_kill|signal|sigaction"
forbidden="$forbidden|setenv|putenv|setlocale|chdir|umask|fork|vfork|execve?|alarm|setitimer"
forbidden="$forbidden|stdin|stdout|stderr|__[a-z]*printf_chk|__assert_fail|err|errx|warn|warnx"
for list in shared static; do
    eval "library=\$$list"
    [ $list = shared ] && dynamic=-D || dynamic=
    nm $dynamic --undefined-only "$library" | awk '{print $2}' | sed 's/@.*//' | sort -u |
        grep -xE "$forbidden" |
        grep -vxE 'abort|fprintf|stderr|__fprintf_chk' >"$work/calls" || true
    if [ -s "$work/calls" ]; then
        echo "$list: calls of what no library does:" && cat "$work/calls" && exit 1
    fi
done

echo '#include <embarcadero/embarcadero.h>' >"$work/alone.c"
cp "$work/alone.c" "$work/alone.cc"
${CC:-cc} -std=c11 $strict -fsyntax-only "$work/alone.c"
if command -v "${CXX:-c++}" >/dev/null; then
    "${CXX:-c++}" -std=c++17 $strict -fsyntax-only "$work/alone.cc"
    cp "$source" "$work/use.cc"
    "${CXX:-c++}" -std=c++17 $strict -fsyntax-only "$work/use.cc"
else
    echo "no C++ compiler: C++17 was not tested"
fi
${CC:-cc} -std=c11 $strict -c "$source" -o "$work/use.o"
# A program that has names like those inside the library links with either.
if nm "$shared" 2>/dev/null | grep -q -e __asan -e __tsan; then
    echo "instrumented: linking is not tested"
    exit 0
fi
${CC:-cc} "$work/use.o" "$shared" "-Wl,-rpath,$(dirname "$(realpath "$shared")")" -o "$work/use"
"$work/use"
${CC:-cc} "$work/use.o" "$static" -lisal -llz4 -lzstd -lpthread -o "$work/use-static"
"$work/use-static"
