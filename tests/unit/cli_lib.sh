#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# What the tests of the command line share. Sourced with REPRISE and its arguments; each check is a claim.

set -uo pipefail

[[ $# -ge 1 && -x $1 ]] || {
    echo "usage: ${0##*/} REPRISE [TRACE...]" >&2
    exit 2
}
reprise=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
out=$folder/out
err=$folder/err
checks=0
failures=0

# verdict CLAIM GOOD [DETAIL]
verdict() {
    checks=$((checks + 1))
    [[ $2 == 1 ]] && return
    failures=$((failures + 1))
    printf 'FAILED: %s%s\n' "$1" "${3:+ ($3)}"
    sed 's/^/    stdout: /' "$out" | head -5
    sed 's/^/    stderr: /' "$err" | head -5
}

# claim 'TEXT' STATUS 'REGEX in stderr, may be empty' ARGUMENT...; STATUS may be several, as '65|74'
claim() {
    local text=$1 status=$2 pattern=$3 good=1 got detail=
    shift 3
    "$reprise" "$@" >"$out" 2>"$err" </dev/null
    got=$?
    [[ $got =~ ^($status)$ ]] || good=0 detail="status $got, not $status"
    if [[ -n $pattern ]] && ! grep -Eq -- "$pattern" "$err"; then
        good=0 detail+=" no '$pattern' on stderr"
    fi
    verdict "$text" "$good" "$detail"
}

# prints 'TEXT' 'REGEX in the last command's stdout'
prints() {
    local good=1
    grep -Eq -- "$2" "$out" || good=0
    verdict "$1" "$good" "no '$2' on stdout"
}

# silent 'TEXT': the last command wrote nothing to stdout.
silent() {
    local good=1
    [[ ! -s $out ]] || good=0
    verdict "$1" "$good"
}

# document 'TEXT' 'PYTHON CONDITION on d': the last command's stdout is one JSON document.
document() {
    local good=1
    python3 -c '
import json, sys
d = json.load(open(sys.argv[1]))
assert next(iter(d)) == "schema", "schema is not the first key"
assert eval("(" + sys.argv[2] + ")"), sys.argv[2]' "$out" "$2" 2>>"$err" || good=0
    verdict "$1" "$good" "$2"
}

# The last line of a test.
summary() {
    echo "$checks checks, $failures failed"
    [[ $failures == 0 ]]
}
