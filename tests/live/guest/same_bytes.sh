# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh disable=SC1091,SC2154,SC2034,SC2238,SC2240
# A run on a machine where even the clock repeats itself.
. /extra/guest/lib.sh

# shellcheck disable=SC2016  # the command's shell expands it
live --policy "$1" --record "$CASE/live.rtrace" -- sh -c 'hackbench -g 1 -l 20 >hackbench; storm --processes 20 --at-once 4'
cat /proc/uptime >uptime
