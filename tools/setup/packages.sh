# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# The Debian packages that building and testing needs, and their installation in one transaction.

packages_build=(
    ca-certificates git pkg-config python3 xz-utils time dpkg-dev make file ccache
    cmake ninja-build g++ clang-19 libclang-rt-19-dev llvm-19 clang-tidy-19 clang-format-19
    bpftool libelf-dev zlib1g-dev capnproto libcapnp-dev libzstd-dev libxxhash-dev
    libfmt-dev libcli11-dev nlohmann-json3-dev libtomlplusplus-dev libprotozero-dev robin-map-dev libboost-dev
    libgtest-dev libgmock-dev libbenchmark-dev librapidcheck-dev shellcheck
    protobuf-compiler python3-protobuf
)
# What the virtual machine is made of; tools/dev setup --no-vm leaves it out.
packages_vm=(qemu-system-x86 busybox-static cpio dash util-linux rt-tests stress-ng rt-app)
# What shows results: for tools/plot, and for looking at reports as people do. tools/dev setup --report.
packages_report=(python3-matplotlib chromium fonts-dejavu-core)
# Useful, and not worth failing for.
packages_optional=(linux-perf)

# Older ones are installed on many machines and do not do.
declare -A package_minimum=([cmake]=3.28 [bpftool]=7.5 [qemu-system-x86]=1:7.2 [libelf-dev]=0.188)

debian_release() {
    local id='' version=''
    if [[ -r /etc/os-release ]]; then
        # shellcheck disable=SC1091
        id=$(. /etc/os-release && printf '%s' "${ID:-}")
        # shellcheck disable=SC1091
        version=$(. /etc/os-release && printf '%s' "${VERSION_ID:-}")
    fi
    case $id-$version in
        debian-12) printf bookworm ;;
        debian-13) printf trixie ;;
        *) printf other ;;
    esac
}

# packages_missing NAME...: those that are not installed, or too old.
packages_missing() {
    local -A have=()
    local name status version
    while read -r status name version; do
        [[ $status == ii ]] && have[$name]=$version
    done < <(dpkg-query -W -f='${db:Status-Abbrev} ${Package} ${Version}\n' "$@" 2>/dev/null)
    for name in "$@"; do
        if [[ -z ${have[$name]:-} ]]; then
            printf '%s\n' "$name"
        elif [[ -n ${package_minimum[$name]:-} ]] &&
            dpkg --compare-versions "${have[$name]}" lt "${package_minimum[$name]}"; then
            printf '%s\n' "$name"
        fi
    done
}

# On a system without these packages all that counts is whether the programs and headers are there.
packages_elsewhere() {
    local missing=() program header
    for program in cmake ninja g++ clang-19 clang-format-19 bpftool capnp protoc python3 git pkg-config make; do
        command -v "$program" >/dev/null || missing+=("program $program")
    done
    for header in gelf.h zlib.h capnp/common.h zstd.h xxhash.h fmt/format.h CLI/CLI.hpp nlohmann/json.hpp \
        toml++/toml.h protozero/pbf_writer.hpp tsl/robin_map.h boost/intrusive/list.hpp gtest/gtest.h \
        gmock/gmock.h benchmark/benchmark.h; do
        [[ -e /usr/include/$header || -e /usr/local/include/$header ]] || missing+=("header  $header")
    done
    if [[ $1 == vm ]]; then
        for program in qemu-system-x86_64 busybox cpio hackbench cyclictest stress-ng rt-app; do
            command -v "$program" >/dev/null || missing+=("program $program")
        done
    fi
    if [[ ${2:-} == report ]]; then
        command -v chromium >/dev/null || missing+=("program chromium")
        python3 -c 'import matplotlib' 2>/dev/null || missing+=("module  matplotlib of python3")
    fi
    ((${#missing[@]} == 0)) && return 0
    die "$EX_UNAVAILABLE" "only Debian 12 and 13 can be set up automatically; here these are missing:" \
        "${missing[@]}" "(cmake >= 3.28, g++ >= 12, clang 19, bpftool >= 7.5, qemu >= 7.2)"
}

packages_view() {
    case $1 in
        bookworm) {
            apt_source deb "$MIRROR" "bookworm bookworm-updates bookworm-backports"
            apt_source deb "$MIRROR-security" bookworm-security
        } ;;
        trixie) {
            apt_source deb "$MIRROR" "trixie trixie-updates"
            apt_source deb "$MIRROR-security" trixie-security
        } ;;
    esac
}

# packages_setup vm|no-vm [report]
packages_setup() {
    local release wanted missing available name
    release=$(debian_release)
    if [[ $release == other ]]; then
        packages_elsewhere "$@"
        return
    fi
    wanted=("${packages_build[@]}")
    [[ $1 == vm ]] && wanted+=("${packages_vm[@]}")
    [[ ${2:-} == report ]] && wanted+=("${packages_report[@]}")
    mapfile -t missing < <(packages_missing "${wanted[@]}")
    ((${#missing[@]} > 0)) || return 0
    if ((EUID != 0)); then
        die "$EX_NOPERM" "these packages are missing and only root can install them: ${missing[*]}" \
            "run tools/dev setup as root once; afterwards everything works without root, too"
    fi
    apt_view "host-$release" < <(packages_view "$release")
    apt_update
    mapfile -t available < <(apt-cache "${apt_options[@]}" show "${packages_optional[@]}" 2>/dev/null |
        sed -n 's/^Package: //p' | sort -u)
    for name in "${available[@]}"; do
        [[ -z $(packages_missing "$name") ]] || missing+=("$name")
    done
    # bpftool and libelf-dev resolve only when both come from backports, hence a target release for all.
    [[ $release == bookworm ]] && apt_options+=(-t bookworm-backports)
    say "installing ${#missing[@]} packages: ${missing[*]}"
    DEBIAN_FRONTEND=noninteractive apt-get "${apt_options[@]}" -y --no-install-recommends \
        -o Dpkg::Use-Pty=0 install "${missing[@]}" >"$REPRISE_CACHE/apt/install.log" 2>&1 || {
        tail -20 "$REPRISE_CACHE/apt/install.log" >&2
        die "$EX_UNAVAILABLE" "the packages were not installed; all of apt's words: $REPRISE_CACHE/apt/install.log"
    }
    mapfile -t missing < <(packages_missing "${wanted[@]}")
    ((${#missing[@]} == 0)) ||
        die "$EX_INTERNAL" "installed, and still missing or too old: ${missing[*]}"
}
