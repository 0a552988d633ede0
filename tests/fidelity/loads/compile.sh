# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# A build: four compilers, two at a time, forked by make-like shells, beside a task that wakes up 200 times a second.
i=0
while [ $i -lt 20 ]; do
    echo "int f$i(int n){int a[32];for(int i=0;i<32;i++)a[i]=n*i;for(int i=1;i<32;i++)a[i]+=a[i-1]^n;return a[31];}"
    i=$((i + 1))
done >/tmp/work.c
cat >/tmp/desktop.json <<'END'
{"tasks": {"desktop": {"instance": 2, "run": 300, "sleep": 4000}},
 "global": {"duration": 3, "calibration": 100, "default_policy": "SCHED_OTHER"}}
END
rt-app /tmp/desktop.json &
for level in 0 2; do
    gcc -pipe -O$level -c /tmp/work.c -o /tmp/work.$level.o &
    gcc -pipe -O$level -g -c /tmp/work.c -o /tmp/work.$level.g.o &
    wait $!
done
wait
