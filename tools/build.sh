#!/bin/bash
# Configures a build directory once and builds it:
#   tools/build.sh DIR [install | uninstall] [meson options]
# WERROR=1, PREFIX, DESTDIR and JOBS come from the environment.
set -eu
cd "$(dirname "$0")/.."
root=$(pwd -P)

dir=$1
shift
target=
case ${1:-} in
install | uninstall)
    target=$1
    shift
    ;;
esac
tools/setup.sh build

# The distribution's own meson: another one first in PATH may lack its Python modules.
meson=meson
[ -x /usr/bin/meson ] && meson=/usr/bin/meson
ninja=ninja
[ -x /usr/bin/ninja ] && ninja=/usr/bin/ninja

options=("$@")
[ "${WERROR:-}" = 1 ] && options+=(-Dwerror=true)
[ -n "${PREFIX:-}" ] && options+=("-Dprefix=$PREFIX")

# A directory that an interrupted set-up left, or that was configured for a tree elsewhere (the
# whole checkout was copied), would build the wrong thing or nothing.
if [ -d "$dir/meson-private" ]; then
    if ! [ -f "$dir/build.ninja" ] ||
        ! grep -qF "\"source\": \"$root\"" "$dir/meson-info/meson-info.json"; then
        rm -rf "$dir"
    fi
fi

stamp=$dir/configured-with
if ! [ -f "$dir/build.ninja" ]; then
    rm -f "$stamp"
    $meson setup "$dir" ${options[@]+"${options[@]}"}
    printf '%s\n' ${options[@]+"${options[@]}"} >"$stamp"
else
    new=()
    for option in ${options[@]+"${options[@]}"}; do
        # The last value of its key counts: PREFIX may change back.
        [ "$(grep -F -e "${option%%=*}=" "$stamp" 2>/dev/null | tail -n 1)" = "$option" ] ||
            new+=("$option")
    done
    if [ ${#new[@]} -gt 0 ]; then
        $meson configure "$dir" "${new[@]}"
        printf '%s\n' "${new[@]}" >>"$stamp"
    fi
fi

$ninja -C "$dir" ${JOBS:+-j "$JOBS"}
case $target in
install)
    $meson install -C "$dir" --no-rebuild
    # Programs find a new library only through the linker's cache. A package's scripts see to that.
    if [ -z "${DESTDIR:-}" ] && [ "$(id -u)" = 0 ]; then
        ldconfig
    fi
    ;;
uninstall) $ninja -C "$dir" uninstall ;;
esac
