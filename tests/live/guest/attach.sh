# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh disable=SC1091,SC2154,SC2034,SC2238,SC2240
# attach.sh POLICY GROUPS LOOPS [OPTION...]: attaches, schedules hackbench, records, detaches.
. /extra/guest/lib.sh

policy=$1 groups=$2 loops=$3
shift 3
# shellcheck disable=SC2016  # the command's shell expands it
live --policy "$policy" "$@" --record "$CASE/live.rtrace" -- sh -c '
    cat /sys/kernel/sched_ext/state /sys/kernel/sched_ext/root/ops >"$CASE/attached"
    hackbench -g "$0" -l "$1" >"$CASE/hackbench"' "$groups" "$loops"
cat /proc/uptime >uptime
