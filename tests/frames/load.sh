# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# A game's frame loop beside a build: 60 frames a second of 3 ms each for 12 s, and for every CPU four jobs that compile
# one small file after another, each compiler a new process. A loop of rt-app's takes 191 ns in the deterministic machine,
# whose clock goes on for one CPU at a time.
cat >/tmp/game.json <<END
{"tasks": {"game": {"loop": 720, "run": 3000, "timer": {"ref": "frame", "period": 16667, "mode": "absolute"}}},
 "global": {"duration": 12, "calibration": $((191 * $(nproc))), "default_policy": "SCHED_OTHER"}}
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
