# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh disable=SC1091,SC2154,SC2034,SC2238,SC2240
# attach.sh POLICY [GROUPS LOOPS]: attaches, schedules hackbench, records, detaches.
. /extra/guest/lib.sh

# shellcheck disable=SC2016  # the command's shell expands it
live --policy "$1" --fallback-ms 1000 --record "$CASE/live.rtrace" -- sh -c '
    cat /sys/kernel/sched_ext/state /sys/kernel/sched_ext/root/ops >"$CASE/attached"
    hackbench -g "$0" -l "$1" >"$CASE/hackbench"' "${2:-2}" "${3:-100}"
