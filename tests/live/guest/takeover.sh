# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh disable=SC1091,SC2154,SC2034,SC2238,SC2240
# A thread that is not the leader calls exec and takes the leader's tid over, again and again.
. /extra/guest/lib.sh

live --policy vruntime --record "$CASE/live.rtrace" -- takeover --processes 4 --times 25
