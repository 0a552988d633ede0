# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh disable=SC1091,SC2154,SC2034,SC2238,SC2240
# Affinities change at a high rate under load.
. /extra/guest/lib.sh

# shellcheck disable=SC2016  # the command's shell expands it
live --policy vruntime --record "$CASE/live.rtrace" -- sh -c '
    hackbench -g 1 -l 200 >hackbench &
    affinity --threads 24 --seconds 3 --seed 1 >affinity.json || exit 1
    wait'
