# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# The guest's side of the live tests. A boot sources this and calls `run_case` for one case after the other. A case
# is a script beside this file; it sources this file, too, and leaves files in $CASE, which the host judges.

SCHED_EXT=/sys/kernel/sched_ext
GUEST=/extra/guest
CASE=${CASE:-}

# run_case NAME SECONDS SCRIPT ARG...: runs one case, within a time, and leaves no process of it behind.
# The lines with @@ tell the host how far we got, should the guest not come back.
run_case() {
    name=$1 limit=$2 script=$3
    shift 3
    CASE=$OUT/$name
    export CASE
    mkdir -p "$CASE"
    dmesg -c >/dev/null
    printf '@@ begin %s\n' "$name"
    began=$(hundredths)
    # A session of its own, so that all of it can be ended.
    # shellcheck disable=SC2016  # the inner shell expands it
    setsid sh -c 'echo $$ >/tmp/session; cd "$CASE" && exec timeout -s KILL "$@"' case "$limit" \
        sh "$GUEST/$script" "$@" >"$CASE/log" 2>&1 </dev/null
    echo $? >"$CASE/status"
    took=$(($(hundredths) - began))
    cat $SCHED_EXT/state >"$CASE/state"
    kill -9 -"$(cat /tmp/session)" 2>/dev/null && echo yes >"$CASE/left"
    await disabled || echo "sched_ext is still in use" >>"$CASE/left"
    dmesg -c >"$CASE/dmesg"
    printf '@@ end %s %s\n' "$name" "${took}0"
}

# Of a second, since boot.
hundredths() { cut -d ' ' -f 1 /proc/uptime | tr -d .; }

# The thread of the process $1 that schedules.
scheduler_thread() { grep -lx reprise-sched /proc/"$1"/task/*/comm | cut -d / -f 5; }

# await STATE: until sched_ext is in that state, at most 10 s.
await() {
    tries=0
    until [ "$(cat $SCHED_EXT/state)" = "$1" ]; do
        tries=$((tries + 1))
        [ $tries -lt 200 ] || return 1
        usleep 50000
    done
}

# live ARG...: as `reprise live`; its document goes to live.json, its exit status to live.status.
live() {
    reprise live --json "$@" >"$CASE/live.json"
    echo $? >"$CASE/live.status"
}

# start_live ARG...: the same, in the background; returns when it is attached. $live is the process's id.
start_live() {
    reprise live --json "$@" >"$CASE/live.json" &
    live=$!
    await enabled
}

# wait_live: until the one in the background ends.
wait_live() {
    wait "$live"
    echo $? >"$CASE/live.status"
}

# stop_live: as ^C.
stop_live() {
    kill -INT "$live"
    wait_live
}

# thread_of PID NAME: the id of a process's thread.
thread_of() {
    for task in /proc/"$1"/task/*; do
        [ "$(cat "$task/comm")" != "$2" ] || basename "$task"
    done
}
