# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh disable=SC1091,SC2154,SC2034,SC2238,SC2240
# Only tasks of class SCHED_EXT are scheduled; others stay in the fair class.
. /extra/guest/lib.sh

of_class() { sed -n 's/^\(policy\|ext.enabled\) *: *//p' "$1" | paste -sd ' '; }

sleep 60 &
outsider=$!
# shellcheck disable=SC2016  # the command's shell expands it
start_live --policy vruntime --partial -- sh -c '
    cat /proc/self/sched >command.sched
    hackbench -g 2 -l 50 >hackbench
    touch idle
    sleep 4'
scheduler=/proc/$live/task/$(thread_of "$live" reprise-sched)
of_class "/proc/$outsider/sched" >outsider
of_class "$scheduler/sched" >scheduler
until [ -e idle ]; do usleep 100000; done
cut -d ' ' -f 1 "$scheduler/schedstat" >cpu_ns.before
sleep 2
cut -d ' ' -f 1 "$scheduler/schedstat" >cpu_ns.after
wait_live
of_class command.sched >command
kill $outsider
