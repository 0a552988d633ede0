# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154  # apt_options is set by apt_view
# Kernels with sched_ext, from Debian's trixie-backports, unpacked and never installed. Leaves
#   $REPRISE_CACHE/kernels/7.3.4+deb13-cloud-amd64/vmlinuz
#   $REPRISE_CACHE/kernels/7.3    -> the newest 7.3
#   $REPRISE_CACHE/kernels/latest -> the newest of all

# The series that the kernel matrix of the tests boots, beside the newest.
kernel_matrix=(6.19 7.0 7.2.6)

# kernels_offered PREFIX: full versions that Debian offers and that start with PREFIX ('' for any), newest first.
kernels_offered() {
    apt-cache "${apt_options[@]}" pkgnames linux-binary- |
        sed -n 's/^linux-binary-\([0-9].*-cloud-amd64\)$/\1/p' |
        { if [[ -n $1 ]]; then awk -v p="$1" 'index($0, p) == 1 && substr($0, length(p) + 1) ~ /^([^0-9]|$)/'; else cat; fi; } |
        sort -rV
}

# kernel_fetch PREFIX|'' [LINK]: newest kernel of a version or series, e.g. 7.2, or of all. One that is there is kept,
# unless setup_refresh asks to look for a newer one.
kernel_fetch() {
    local prefix=$1 link=${2:-$1} dir=$REPRISE_CACHE/kernels full
    if [[ -z ${setup_refresh:-} && -r $dir/$link/vmlinuz ]]; then
        return 0
    fi
    apt_needed "a kernel with sched_ext is missing: $dir/$link/vmlinuz"
    apt_view_kernels
    if [[ -z ${kernel_lists_fresh:-} ]]; then
        apt_update
        kernel_lists_fresh=1
    fi
    full=$(kernels_offered "$prefix" | head -1)
    [[ -n $full ]] || die "$EX_UNAVAILABLE" "Debian's trixie-backports has no cloud kernel ${prefix:-at all} now; it has:" \
        "$(kernels_offered '' | paste -sd ' ')"
    if [[ ! -r $dir/$full/vmlinuz ]]; then
        kernel_unpack "$full" "$dir"
    fi
    [[ $link == "$full" ]] || ln -sfn "$full" "$dir/$link"
    # The newest of all is the newest of its series, too.
    [[ -n $prefix ]] || ln -sfn "$full" "$dir/$(cut -d. -f1,2 <<<"$full")"
}

# kernel_unpack FULL DIR: apt checks the package against the signed lists while it downloads.
kernel_unpack() {
    local full=$1 dir=$2 work=$2/.work
    rm -rf "$work"
    mkdir -p "$work/root"
    say "fetching kernel $full"
    (cd "$work" && apt-get "${apt_options[@]}" download "linux-binary-$full" >&2) ||
        die "$EX_UNAVAILABLE" "the kernel package linux-binary-$full was not downloaded"
    dpkg -x "$work"/*.deb "$work/root"
    mkdir -p "$work/done"
    mv "$(find "$work/root" -name 'vmlinuz*' -type f -print -quit)" "$work/done/vmlinuz"
    rm -rf "${dir:?}/$full"
    mv "$work/done" "$dir/$full"
    rm -rf "$work"
}

# kernels_setup [matrix]
kernels_setup() {
    local series
    kernel_fetch '' latest
    if [[ ${1:-} == matrix ]]; then
        for series in "${kernel_matrix[@]}"; do
            kernel_fetch "$series"
        done
    fi
}
