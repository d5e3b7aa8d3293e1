#!/bin/bash
# What is printed from the daemon's table of options: tools/docs.sh EMBARCADERO [--check]. Writes
# the files anew, or with --check only says which of them are not current, and then exits with 1.
set -eu
tool=$(realpath "$1")
cd "$(dirname "$0")/.."
check=${2:-}
status=0

out=$(mktemp)
trap 'rm -f "$out"' EXIT

# page COMMAND FILE
page() {
    "$tool" config "$1" >"$out"
    if cmp -s "$out" "$2"; then
        return
    elif [ "$check" = --check ]; then
        echo "$2 is not what \"embarcadero config $1\" prints; make docs writes it anew:"
        diff -u "$2" "$out" | head -n 20 || true
        status=1
    else
        cat "$out" >"$2"
        echo "docs: wrote $2"
    fi
}

page docs docs/configuration.md
page example packaging/embarcadero.yaml
exit $status
