# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh disable=SC1091,SC2154,SC2034,SC2238,SC2240
# SysRq-S takes the scheduler away; the flight recorder keeps the last two seconds.
. /extra/guest/lib.sh

start_live --policy vruntime --record-last 2 "$CASE/live.rtrace" || exit 1
hackbench -g 1 -l 1000 >hackbench &
bench=$!
sleep 5
echo S >/proc/sysrq-trigger
wait_live
await disabled
kill $bench || true
