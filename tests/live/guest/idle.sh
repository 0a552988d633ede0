# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh disable=SC1091,SC2154,SC2034,SC2238,SC2240
# Nothing to do for ten seconds.
. /extra/guest/lib.sh

start_live --policy vruntime || exit 1
scheduler=/proc/$live/task/$(thread_of "$live" reprise-sched)
sleep 1
cut -d ' ' -f 1 "$scheduler/schedstat" >cpu_ns.before
sleep 10
cut -d ' ' -f 1 "$scheduler/schedstat" >cpu_ns.after
stop_live
