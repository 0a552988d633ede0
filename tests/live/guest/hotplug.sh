# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh disable=SC1091,SC2154,SC2034,SC2238,SC2240
# A CPU goes and comes under load.
. /extra/guest/lib.sh

# shellcheck disable=SC2016  # the command's shell expands it
live --policy vruntime --record "$CASE/live.rtrace" -- sh -c '
    (while [ ! -e enough ]; do hackbench -g 1 -l 20 || exit 1; done) >hackbench &
    bench=$!
    sleep 1
    . /extra/guest/lib.sh
    echo 0 >/sys/devices/system/cpu/cpu1/online && await enabled && sleep 1
    cat /sys/kernel/sched_ext/state >after_off
    echo 1 >/sys/devices/system/cpu/cpu1/online && await enabled && sleep 1
    cat /sys/kernel/sched_ext/state >after_on
    touch enough
    wait $bench'
