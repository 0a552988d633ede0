# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh disable=SC1091,SC2154,SC2034,SC2238,SC2240
# attach_beside.sh POLICY: schedules a small hackbench beside two tasks that never sleep, records.
. /extra/guest/lib.sh

# A shared object comes back with the recording: without debug information it is not the file that was built.
[ ! -f "$1" ] || cp "$1" "$CASE/policy.so"

# shellcheck disable=SC2016  # the command's shell expands it
live --policy "$1" --record "$CASE/live.rtrace" -- sh -c '
    cat /sys/kernel/sched_ext/state /sys/kernel/sched_ext/root/ops >"$CASE/attached"
    timeout 0.3 sh -c "while :; do :; done" & timeout 0.3 sh -c "while :; do :; done" &
    hackbench -g 1 -l 50 >"$CASE/hackbench"
    wait'
