# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# A game's frame loop beside a build: 60 frames a second of 3 ms each for 12 s, and for every CPU four jobs that compile
# one small file after another, each compiler a new process. $1: nanoseconds that a loop of rt-app's takes; measured
# when not given.
loop_ns=$1
if [ -z "$loop_ns" ]; then
    echo '{"tasks": {"one": {"loop": 1, "run": 10}}, "global": {"calibration": "CPU0"}}' >/tmp/calibrate.json
    rt-app /tmp/calibrate.json >/tmp/calibrate.log 2>&1 &
    until loop_ns=$(grep -o 'pLoad = [0-9]*' /tmp/calibrate.log); do sleep 0.2; done
    kill $!
    loop_ns=${loop_ns##* }
fi
cat >/tmp/game.json <<END
{"tasks": {"game": {"loop": 720, "run": 3000, "timer": {"ref": "frame", "period": 16667, "mode": "absolute"}}},
 "global": {"duration": 12, "calibration": $loop_ns, "default_policy": "SCHED_OTHER"}}
END
i=0
while [ $i -lt 40 ]; do
    echo "int f$i(int n){int a[32];for(int i=0;i<32;i++)a[i]=n*i;for(int i=1;i<32;i++)a[i]+=a[i-1]^n;return a[31];}"
    i=$((i + 1))
done >/tmp/unit.c
rt-app /tmp/game.json >/dev/null 2>&1 &
game=$!
job=0
while [ $job -lt $((4 * $(nproc))) ]; do
    while kill -0 $game 2>/dev/null; do
        gcc -pipe -O1 -c /tmp/unit.c -o /tmp/unit.$job.o && echo >>/tmp/built.$job
    done &
    job=$((job + 1))
done
wait
echo "compiled $(cat /tmp/built.* | wc -l) files"
