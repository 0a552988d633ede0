# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh disable=SC1091,SC2154,SC2034,SC2238,SC2240
# Ends by its duration, and ends by a signal.
. /extra/guest/lib.sh

live --policy fifo --duration 1
mv live.json duration.json
mv live.status duration.status

start_live --policy fifo --record "$CASE/live.rtrace"
hackbench -g 1 -l 20
kill -TERM "$live"
wait_live
