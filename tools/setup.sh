#!/bin/bash
# Installs the Debian packages that are missing: tools/setup.sh [build] [fuzz] [lint] (default:
# build).
# As root through apt-get, else through sudo; without either it prints the command and exits 1.
set -u

build="gcc libc6-dev make python3 meson ninja-build pkg-config libisal-dev liblz4-dev libzstd-dev
    liburing-dev libdaxctl-dev libjansson-dev libyaml-dev libcmocka-dev scdoc groff-base"
fuzz="clang libclang-rt-dev"
lint="clang-format clang-tidy g++ gcc-aarch64-linux-gnu"
[ "$(uname -m)" = aarch64 ] || lint="$lint libc6-dev-arm64-cross"

wanted=
for group in "${@:-build}"; do
    case $group in
    build) wanted="$wanted $build" ;;
    fuzz) wanted="$wanted $fuzz" ;;
    lint) wanted="$wanted $lint" ;;
    *)
        echo "setup: unknown group '$group'; build, fuzz and lint are accepted" >&2
        exit 2
        ;;
    esac
done

if ! command -v dpkg-query >/dev/null; then
    echo "setup: not a Debian system; these packages (Debian's names) must be there:" $wanted
    exit 0
fi

# Prints the packages of $wanted that are not installed, in one call of dpkg-query.
missing_packages() {
    dpkg-query -W -f '${Package} ${db:Status-Status}\n' $wanted 2>/dev/null |
        awk -v wanted="$wanted" '
            $2 == "installed" { have[$1] = 1 }
            END {
                count = split(wanted, names)
                for (i = 1; i <= count; i++)
                    if (!(names[i] in have)) printf "%s ", names[i]
            }'
}

missing=$(missing_packages)
missing=${missing% }
[ -n "$missing" ] || exit 0

give_up() {
    echo "setup: $1. Run this, then try again:" >&2
    echo "    sudo apt-get update && sudo apt-get install --no-install-recommends -y $missing" >&2
    exit 1
}

as_root=
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || give_up "packages are missing and this user is not root"
    as_root=sudo
    if sudo -n true 2>/dev/null; then
        as_root="sudo -n"
    elif ! [ -t 0 ]; then
        give_up "packages are missing and sudo would ask for a password"
    fi
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() {
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0 "$@" \
        </dev/null >>"$log" 2>&1
}
install() {
    apt install --no-install-recommends $missing
}

echo "setup: installing $missing"
if ! ls /var/lib/apt/lists/*Packages* >/dev/null 2>&1; then
    apt update
fi
install || { apt update && install; }
missing=$(missing_packages)
missing=${missing% }
if [ -n "$missing" ]; then
    tail -n 20 "$log" >&2
    give_up "apt-get could not install everything"
fi
echo "setup: done"
