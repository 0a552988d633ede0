# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh disable=SC1091,SC2154,SC2034,SC2238,SC2240
# A ring up with room for 744 events, and 1500 threads that are woken at once while the scheduler is stopped for less
# than the fallback's time: the dispatcher decides on those that find no room.
. /extra/guest/lib.sh

start_live --policy fifo --events-kib 64 --fallback-ms 2000 --timeout-ms 10000 --record "$CASE/live.rtrace" || exit 1
crowd --threads 1500 --rounds 6 --pause-ms 100 --stop "$live" --stop-thread "$(scheduler_thread "$live")" \
    --stop-every 2 --stop-ms 400 >crowd.json
hackbench -g 2 -l 20 >hackbench
stop_live
