# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh disable=SC1091,SC2154,SC2034,SC2238,SC2240
# kill -9 of the scheduler under load, twice. What it left changed is put back by the doctor, then by the next run.
. /extra/guest/lib.sh

setting=/proc/sys/vm/compact_unevictable_allowed

# Leaves PREFIX.* of what there is after the kill.
kill_under_load() {
    start_live --policy vruntime --no-syscalls --record "$CASE/killed.rtrace" || exit 1
    # Again and again until it has survived the kill, however fast the machine is.
    rm -f enough
    (while [ ! -e enough ]; do hackbench -g 2 -l 50 || exit 1; done) >hackbench.out &
    bench=$!
    usleep 1500000
    kill -0 $bench && echo yes >"$1.loaded"
    kill -9 "$live"
    wait "$live"
    await disabled && echo yes >"$1.disabled"
    sleep 1
    touch enough
    wait $bench
    echo $? >"$1.hackbench"
    cat $setting >"$1.setting"
    find /run/reprise -type f >"$1.notes"
}

cat $setting >setting.before
kill_under_load first
reprise doctor --json >doctor.json
reprise doctor --fix --json >fixed.json
cat $setting >first.restored
find /run/reprise -type f >first.notes_after

kill_under_load second
live --policy vruntime -- hackbench -g 1 -l 20
cat $setting >second.restored
find /run/reprise -type f >second.notes_after
