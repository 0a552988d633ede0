# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh disable=SC1091,SC2154,SC2034,SC2238,SC2240
# Which system calls the scheduler's process makes while tasks are scheduled, counted by the kernel, per thread.
. /extra/guest/lib.sh

trigger=/sys/kernel/tracing/events/raw_syscalls/sys_enter
count='hist:keys=common_pid,id.syscall:size=4096'

# count_into FILE COMMAND...: what is called while the command runs.
count_into() {
    file=$1
    shift
    echo "$count" >$trigger/trigger
    "$@"
    cat $trigger/hist >"$file"
    echo "!$count" >$trigger/trigger
}

# Attaching is the control: loading a BPF program takes bpf().
count_into attach.hist start_live --policy vruntime -- sh -c 'while [ ! -e enough ]; do hackbench -g 1 -l 20; done'
for task in /proc/"$live"/task/*; do
    echo "$(basename "$task") $(cat "$task/comm")"
done >threads
sleep 1
count_into steady.hist sleep 1
touch enough
wait_live
