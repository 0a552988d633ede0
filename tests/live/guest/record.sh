# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh disable=SC1091,SC2154,SC2034,SC2238,SC2240
# The passive recorder, under the kernel's own scheduler. The kernel counts switches, too.
. /extra/guest/lib.sh

# shellcheck disable=SC2016  # the command's shell expands it
reprise record --json -o "$CASE/record.rtrace" -- sh -c '
    grep ctxt /proc/stat >"$CASE/before"
    hackbench -g 2 -l 100 >"$CASE/hackbench"
    grep ctxt /proc/stat >"$CASE/after"' >record.json
echo $? >record.status
