# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh disable=SC1091,SC2154,SC2034,SC2238,SC2240
# In a PID namespace of its own, as in a container: the kernel knows the scheduler's thread by another number.
. /extra/guest/lib.sh

for i in 1 2 3; do true & done # numbers outside are to be others than inside
wait
# shellcheck disable=SC2016  # the inner shell expands it
unshare -p -f sh -c '
    mount -t proc proc /proc
    cat /proc/self/stat >pid_inside
    reprise live --json --policy vruntime --record live.rtrace -- hackbench -g 2 -l 100 >live.json
    echo $? >live.status
    umount /proc'
