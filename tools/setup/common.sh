# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Shared by tools/dev, tools/setup and tools/vm: where things are, messages, stamps, stages. Sourced, never run.

REPRISE_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
REPRISE_CACHE=${REPRISE_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/reprise}
case $REPRISE_CACHE in /*) ;; *) REPRISE_CACHE=$PWD/$REPRISE_CACHE ;; esac
export REPRISE_ROOT REPRISE_CACHE

# Exit codes, the same as the program's own.
readonly EX_USAGE=2 EX_INTERNAL=70 EX_UNAVAILABLE=69 EX_NOPERM=77
export EX_USAGE EX_INTERNAL EX_UNAVAILABLE EX_NOPERM

say() { printf '%s\n' "$*" >&2; }

# die CODE MESSAGE...: one argument, one line.
die() {
    local code=$1
    shift
    printf '%s\n' "${REPRISE_TOOL:-reprise}: $1" >&2
    shift
    (($# == 0)) || printf '    %s\n' "$@" >&2
    exit "$code"
}

cache_prepare() {
    mkdir -p "$REPRISE_CACHE/stamps" 2>/dev/null || true
    if [[ ! -w $REPRISE_CACHE/stamps ]]; then
        die "$EX_NOPERM" "the cache folder $REPRISE_CACHE cannot be written" "set REPRISE_CACHE to a folder that can"
    fi
}

# A stamp holds the key of the inputs that a product was made from; a product with another key is made again.
stamp_is() { [[ -f $REPRISE_CACHE/stamps/$1 && $(<"$REPRISE_CACHE/stamps/$1") == "$2" ]]; }
stamp_set() {
    printf '%s\n' "$2" >"$REPRISE_CACHE/stamps/$1.new"
    mv "$REPRISE_CACHE/stamps/$1.new" "$REPRISE_CACHE/stamps/$1"
}
stamp_drop() { rm -f "$REPRISE_CACHE/stamps/$1"; }

hash_of() { sha256sum | cut -c1-16; }

# timed NAME CMD...: runs it and says how long it took.
timed() {
    local name=$1 start end
    shift
    start=$(date +%s%N)
    "$@"
    end=$(date +%s%N)
    printf '%-12s %7d.%01d s\n' "$name" $(((end - start) / 1000000000)) $(((end - start) / 100000000 % 10)) >&2
}
