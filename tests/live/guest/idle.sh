# SPDX-License-Identifier: GPL-2.0-only
# Nothing to do for ten seconds.
. /extra/guest/lib.sh

start_live --policy vruntime || exit 1
scheduler=/proc/$live/task/$(thread_of "$live" reprise-sched)
sleep 1
cut -d ' ' -f 1 "$scheduler/schedstat" >cpu_ns.before
sleep 10
cut -d ' ' -f 1 "$scheduler/schedstat" >cpu_ns.after
stop_live
