#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Builds the two schedulers that vm_compare measures ours against, scx_simple and scx_userland, from Debian's package of
# the source of the kernel that tools/vm/run boots. Nothing of them is in this repository. Leaves
#   $REPRISE_CACHE/peers/scx_simple
#   $REPRISE_CACHE/peers/scx_userland
# and prints that folder. A second time it is done at once.

set -euo pipefail

export REPRISE_TOOL=tests/bench/peers.sh
setup=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../tools/setup" && pwd)
# shellcheck source=tools/setup/common.sh
source "$setup/common.sh"
# shellcheck source=tools/setup/apt.sh
source "$setup/apt.sh"

peers=(scx_simple scx_userland)
libbpf=$REPRISE_CACHE/libbpf
out=$REPRISE_CACHE/peers

# fetch PACKAGE: the newest; leaves PACKAGE*.deb in the working folder.
fetch() {
    # shellcheck disable=SC2154  # apt_options is set by apt_view
    (cd "$work" && apt-get "${apt_options[@]}" download "$1" >&2) ||
        die "$EX_UNAVAILABLE" "the package $1 was not downloaded"
}

# compile NAME SOURCES VMLINUX: as the kernel's own Makefile does, but with our libbpf and without building a bpftool.
compile() {
    local name=$1 sources=$2 vmlinux=$3
    clang-19 -g -O2 -target bpf -mcpu=v3 -D__TARGET_ARCH_x86 -I"$sources/include" -I"$sources/include/bpf-compat" \
        -I"$vmlinux" -isystem "$libbpf/include" -fms-extensions -Wno-microsoft-anon-tag \
        -Wno-compare-distinct-pointer-types -c "$sources/$name.bpf.c" -o "$work/$name.bpf.o"
    bpftool gen skeleton "$work/$name.bpf.o" name "$name" >"$work/$name.bpf.skel.h"
    gcc -g -O2 -pthread -I"$work" -I"$sources/include" -isystem "$libbpf/include" -o "$work/$name" "$sources/$name.c" \
        "$libbpf/lib/libbpf.a" -lelf -lz
}

series=$(basename "$(readlink "$REPRISE_CACHE/kernels/latest" || true)" | cut -d. -f1,2)
[[ -n $series ]] || die "$EX_UNAVAILABLE" "no kernel in $REPRISE_CACHE/kernels" "tools/dev setup brings it"
[[ -f $libbpf/lib/libbpf.a ]] || die "$EX_UNAVAILABLE" "no libbpf in $libbpf" "tools/dev setup brings it"
if stamp_is peers "$series" && [[ -x $out/${peers[0]} && -x $out/${peers[1]} ]]; then
    printf '%s\n' "$out"
    exit 0
fi

say "building ${peers[*]} of Linux $series (fetches its source, 160 MB)"
work=$REPRISE_CACHE/peers.work
rm -rf "$work"
mkdir -p "$work/source" "$work/headers" "$out"
apt_view_kernels
apt_update
fetch "linux-source-$series"
fetch linux-bpf-dev
dpkg -x "$work"/linux-bpf-dev_*.deb "$work/headers"
dpkg --fsys-tarfile "$work/linux-source-${series}"_*.deb |
    tar -x -C "$work/source" --wildcards -f - "./usr/src/linux-source-$series.tar.*"
tar -x -C "$work/source" -f "$work/source/usr/src/linux-source-$series".tar.* "linux-source-$series/tools/sched_ext"
vmlinux=$(dirname "$(find "$work/headers" -name vmlinux.h -print -quit)")
for peer in "${peers[@]}"; do
    compile "$peer" "$work/source/linux-source-$series/tools/sched_ext" "$vmlinux" >"$work/log" 2>&1 || {
        tail -20 "$work/log" >&2
        die "$EX_UNAVAILABLE" "$peer was not built"
    }
    mv "$work/$peer" "$out/"
done
rm -rf "$work"
stamp_set peers "$series"
printf '%s\n' "$out"
