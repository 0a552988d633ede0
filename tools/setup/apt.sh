# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Views of Debian's archive. A view is a sources file and a list folder of its own, in the cache: what the machine has
# configured is neither read nor changed, and apt checks every signature against Debian's keyring as it always does.

MIRROR=http://deb.debian.org/debian
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

# apt_source TYPES URI SUITES: one paragraph of a sources file.
apt_source() {
    printf 'Types: %s\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n\n' "$1" "$2" "$3" "$KEYRING"
}

# apt_view NAME <SOURCES: defines a view and sets apt_options to use it.
apt_view() {
    local dir=$REPRISE_CACHE/apt/$1
    mkdir -p "$dir/sources" "$dir/lists/partial" "$dir/archives/partial"
    cat >"$dir/sources/view.sources"
    apt_options=(
        -o Dir::Etc::SourceList=/dev/null
        -o "Dir::Etc::SourceParts=$dir/sources"
        -o "Dir::State::Lists=$dir/lists"
        -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
        # The list folder may be below a home that apt's own user cannot enter.
        -o APT::Sandbox::User=
        # Lists of other kinds (desktop metadata, translations) would cost time and are of no use here.
        -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false
        -o Acquire::Languages=none
        -o Acquire::Retries=3
        -o DPkg::Lock::Timeout=900
        -q=2
    )
}

# apt_needed WHAT: ends unless this system can fetch from Debian's archive and check its signatures.
apt_needed() {
    command -v apt-get >/dev/null && command -v dpkg >/dev/null && [[ -r $KEYRING ]] && return
    die "$EX_UNAVAILABLE" "$1" "it is fetched with apt and checked with $KEYRING, which are not here"
}

# Hooks of the machine's configuration belong to its own lists, so none runs here.
apt_update() {
    apt-get "${apt_options[@]}" -o APT::Update::Error-Mode=any \
        -o APT::Update::Post-Invoke::= -o APT::Update::Post-Invoke-Success::= update >&2 ||
        die "$EX_UNAVAILABLE" "Debian's package lists cannot be fetched from $MIRROR" \
            "check the network, then run tools/dev setup again"
}

# apt_view_kernels: Debian's kernels with sched_ext.
apt_view_kernels() { apt_view kernels < <(apt_source deb "$MIRROR" trixie-backports); }
