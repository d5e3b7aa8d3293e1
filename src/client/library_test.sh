#!/bin/sh
# The libraries show emb_* only; the header compiles alone, as C11 and as C++17, and what it
# declares is there in both libraries.
# usage: library_test.sh SHARED STATIC INCLUDE HEADER_TEST
set -eu
shared=$1 static=$2 include=$3 source=$4
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
for list in shared static; do
    grep '^emb_' "$work/$list" | diff "$work/declared" - || {
        echo "$list: what is declared (<) and what is there (>) differ"
        exit 1
    }
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
${CC:-cc} "$work/use.o" "$static" -lisal -llz4 -lzstd -luring -ldaxctl -lpthread \
    -o "$work/use-static"
"$work/use-static"
