# SPDX-License-Identifier: GPL-2.0-only
# Which system calls the scheduler's process makes while tasks are scheduled, counted by the kernel, per thread.
. /extra/guest/lib.sh

trigger=/sys/kernel/tracing/events/raw_syscalls/sys_enter
count='hist:keys=common_pid,id.syscall:size=4096'

# Before it attaches, as the control: loading a BPF program takes bpf().
echo "$count" >$trigger/trigger
start_live --policy vruntime -- sh -c 'sleep 4; hackbench -g 2 -l 100'
sleep 1
cat $trigger/hist >attach.hist
echo "!$count" >$trigger/trigger
sleep 4
echo "$count" >$trigger/trigger
sleep 2
cat $trigger/hist >steady.hist
echo "!$count" >$trigger/trigger
for task in /proc/"$live"/task/*; do
    echo "$(basename "$task") $(cat "$task/comm")"
done >threads
wait_live
