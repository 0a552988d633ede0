# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh disable=SC1091,SC2154,SC2034,SC2238,SC2240
# Slices of 0.3 s, eight processes that never sleep, and a watchdog that waits for 0.2 s only: it throws the scheduler
# out, and the flight recorder keeps what led to it.
. /extra/guest/lib.sh

start_live --policy fifo:slice_us=300000 --timeout-ms 200 --heartbeat-ms 50 --fallback-ms 50 \
    --record-last 2 "$CASE/live.rtrace" || exit 1
share --seconds 2 --nice 0 --nice 0 --nice 0 --nice 0 --nice 0 --nice 0 --nice 0 --nice 0 >share.json &
wait_live
wait
