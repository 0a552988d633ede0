# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh disable=SC1091,SC2154,SC2034,SC2238,SC2240
# Many short processes, with a table of tasks that holds far fewer: slots are used again.
. /extra/guest/lib.sh

live --policy newcomer --max-tasks 1024 --record "$CASE/live.rtrace" -- storm --processes 3000 --at-once 16
