# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh disable=SC1091,SC2154,SC2034,SC2238,SC2240
# The scheduler is stopped for longer than the watchdog's time, with 150 tasks handed up and unanswered, while
# hackbench goes on.
. /extra/guest/lib.sh

start_live --policy fifo --timeout-ms 3000 --stats 1 --record "$CASE/live.rtrace" 2>stats || exit 1
(while [ ! -e enough ]; do hackbench -g 1 -l 20; done) >hackbench &
bench=$!
crowd --threads 150 --rounds 70 --pause-ms 100 --stop "$live" --stop-thread "$(scheduler_thread "$live")" \
    --stop-every 20 --stops 1 --stop-ms 5000 >crowd.json
sleep 2
touch enough
wait $bench
echo $? >hackbench.status
stop_live
cat stats
