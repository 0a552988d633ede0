#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# In the guest of ../vm_compare: measures each scheduler of a list in turn, in the same boot. Lines of JSON on stdout.
#
#   compare.sh LIST ROUND_TRIPS REPEATS LOOPS HACKBENCH_REPEATS      LOOPS 0: without hackbench
#
# A line of LIST is "name|operations|command": the name that the kernel shows while it is attached, and how it is
# started. Without a command: the kernel's own.

list=$1 round_trips=$2 repeats=$3 loops=$4 hackbench_repeats=$5
sys=/sys/kernel/sched_ext

fail() {
    echo "compare.sh: $*" >&2
    [ -s /tmp/said ] && tail -n 20 /tmp/said >&2
    exit 70
}

# within_s SECONDS COMMAND...: repeats the command until it succeeds.
within_s() {
    tries=$(($1 * 10))
    shift
    while [ $tries -gt 0 ]; do
        "$@" && return 0
        sleep 0.1
        tries=$((tries - 1))
    done
    return 1
}

attached() { [ "$(cat $sys/root/ops 2>/dev/null)" = "$1" ]; }
detached() { [ "$(cat $sys/state)" = disabled ]; }

measure_all() {
    ping_pong -l "$name" -s "$pid" -n "$round_trips" -r "$repeats" || fail "ping_pong under $name"
    if [ "$pid" != 0 ]; then
        count_calls -l "$name" -s "$pid" -- ping_pong -n "$round_trips" -r 1 || fail "count_calls under $name"
    fi
    [ "$loops" = 0 ] && return 0
    measured -l "$name" -t hackbench_processes -s "$pid" -r "$hackbench_repeats" -- hackbench -g 4 -l "$loops" -p ||
        fail "hackbench under $name"
    measured -l "$name" -t hackbench_threads -s "$pid" -r "$hackbench_repeats" -- hackbench -g 4 -l "$loops" -p -T ||
        fail "hackbench -T under $name"
}

# The kernel tests its cryptography after boot, in the background: seconds of work that would be measured as well.
sleep 10

while IFS='|' read -r name operations command; do
    pid=0
    if [ -n "$command" ]; then
        $command </dev/null >/tmp/said 2>&1 &
        pid=$!
        within_s 30 attached "$operations" || fail "$name did not attach"
        sleep 1
    fi
    measure_all
    if [ -n "$command" ]; then
        attached "$operations" || fail "$name was detached meanwhile"
        kill -TERM "$pid"
        wait "$pid"
        within_s 30 detached || fail "$name did not detach"
    fi
done <"$list"
