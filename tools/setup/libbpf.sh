# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154  # apt_options is set by apt_view
# libbpf as a static library from Debian's newest source package: the skeletons of bpftool 7.5 need 1.5 or newer, and
# no released Debian has that. Leaves $REPRISE_CACHE/libbpf/{include,lib}.

LIBBPF_VERSION=1.7.0

# libbpf_build VERSION WORK: into WORK/root. The archive's signature covers the checksums of the source, and apt checks
# them while it downloads.
libbpf_build() {
    (cd "$2" && apt-get "${apt_options[@]}" source --download-only "libbpf=$1") &&
        dpkg-source --no-check -q -x "$2"/*.dsc "$2/src" &&
        make -C "$2/src/src" -j"$(nproc)" BUILD_STATIC_ONLY=y OBJDIR="$2/obj" DESTDIR="$2/root" \
            PREFIX=/ LIBDIR=/lib install install_uapi_headers
}

libbpf_setup() {
    local out=$REPRISE_CACHE/libbpf work version
    if stamp_is libbpf "$LIBBPF_VERSION" && [[ -f $out/lib/libbpf.a && -f $out/include/bpf/libbpf.h ]]; then
        return 0
    fi
    apt_needed "libbpf $LIBBPF_VERSION or newer is missing: $out/lib/libbpf.a, $out/include/bpf"
    apt_view source < <(apt_source deb-src "$MIRROR" sid)
    # A mirror of sid that lags is as good: its signature still counts, and the version is checked below.
    apt_options+=(-o Acquire::Check-Valid-Until=false)
    apt_update
    # sid moves on: the version we test with first, else the newest there that is not older.
    version=$(apt-cache "${apt_options[@]}" showsrc libbpf | sed -n 's/^Version: //p' |
        sort -rV | awk -v want="$LIBBPF_VERSION" 'NR == 1 {first = $0} index($0, want "-") == 1 {hit = $0}
            END {print hit ? hit : first}')
    [[ -n $version ]] || die "$EX_UNAVAILABLE" "Debian sid has no source package libbpf"
    dpkg --compare-versions "$version" ge "$LIBBPF_VERSION" ||
        die "$EX_UNAVAILABLE" "Debian sid has libbpf $version; $LIBBPF_VERSION or newer is needed"
    work=$REPRISE_CACHE/libbpf.work
    rm -rf "$work"
    mkdir -p "$work"
    if ! libbpf_build "$version" "$work" >"$REPRISE_CACHE/libbpf.log" 2>&1; then
        tail -20 "$REPRISE_CACHE/libbpf.log" >&2
        die "$EX_UNAVAILABLE" "libbpf was not built; everything said is in $REPRISE_CACHE/libbpf.log"
    fi
    rm -rf "$out"
    mv "$work/root" "$out"
    rm -rf "$work"
    stamp_set libbpf "$LIBBPF_VERSION"
}
