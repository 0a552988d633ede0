# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh disable=SC1091,SC2154,SC2034,SC2238,SC2240
# More tasks than the table has slots: it costs policy, not tasks.
. /extra/guest/lib.sh

live --policy vruntime --max-tasks 96 --record "$CASE/live.rtrace" -- hackbench -g 4 -l 30
