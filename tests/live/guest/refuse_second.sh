# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh disable=SC1091,SC2154,SC2034,SC2238,SC2240
# Another scheduler is attached, which goes on undisturbed.
. /extra/guest/lib.sh

start_live --policy fifo || exit 1
mv live.json first.json
reprise live --json --policy vruntime -- true >second.json
echo $? >second.status
cat $SCHED_EXT/state >state.between
stop_live
mv first.json live.json
mv live.status first.status
