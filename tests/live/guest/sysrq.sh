# SPDX-License-Identifier: GPL-2.0-only
# SysRq-S takes the scheduler away; the flight recorder keeps the last two seconds.
. /extra/guest/lib.sh

start_live --policy vruntime --record-last 2 "$CASE/live.rtrace" || exit 1
hackbench -g 1 -l 1000 >hackbench &
bench=$!
sleep 7
echo S >/proc/sysrq-trigger
wait_live
await disabled
kill $bench
