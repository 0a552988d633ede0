# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh disable=SC1091,SC2154,SC2034,SC2238,SC2240
# SysRq-S takes the scheduler away; the flight recorder keeps the last two seconds.
. /extra/guest/lib.sh

start_live --policy vruntime --record-last 2 "$CASE/live.rtrace" || exit 1
# Again and again until the end, however fast the machine is: the last two seconds must have something in them.
(while [ ! -e enough ]; do hackbench -g 1 -l 20 || exit 1; done) >hackbench &
bench=$!
sleep 5
echo S >/proc/sysrq-trigger
wait_live
await disabled
touch enough
wait $bench
