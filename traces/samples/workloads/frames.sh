# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# A game's frame loop, 60 frames a second of 3 ms, beside three jobs that compile one small file after another.
cat >/tmp/game.json <<'END'
{"tasks": {"game": {"loop": 90, "run": 3000, "timer": {"ref": "frame", "period": 16667, "mode": "absolute"}}},
 "global": {"duration": 2, "calibration": 191, "default_policy": "SCHED_OTHER"}}
END
i=0
while [ $i -lt 40 ]; do
    echo "int f$i(int n){int a[32];for(int i=0;i<32;i++)a[i]=n*i;for(int i=1;i<32;i++)a[i]+=a[i-1]^n;return a[31];}"
    i=$((i + 1))
done >/tmp/unit.c
rt-app /tmp/game.json >/dev/null 2>&1 &
game=$!
for job in 0 1 2; do
    while kill -0 $game 2>/dev/null; do
        gcc -pipe -O1 -c /tmp/unit.c -o /tmp/unit.$job.o
    done &
done
wait
