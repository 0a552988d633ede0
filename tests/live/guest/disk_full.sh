# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh disable=SC1091,SC2154,SC2034,SC2238,SC2240
# The disk fills up while recording: scheduling goes on.
. /extra/guest/lib.sh

mkdir -p /tmp/small
mount -t tmpfs -o size=512k small /tmp/small
live --policy vruntime --no-syscalls --record /tmp/small/live.rtrace -- sh -c 'hackbench -g 2 -l 600 >hackbench'
cp /tmp/small/live.rtrace "$CASE"
umount /tmp/small
