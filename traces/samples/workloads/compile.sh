# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# A build: three compilers at once, forked by make-like shells.
i=0
while [ $i -lt 250 ]; do
    echo "int f$i(int n){int a[32];for(int i=0;i<32;i++)a[i]=n*i;for(int i=1;i<32;i++)a[i]+=a[i-1]^n;return a[31];}"
    i=$((i + 1))
done >/tmp/work.c
for level in 0 1 2; do
    gcc -pipe -O$level -c /tmp/work.c -o /tmp/work.$level.o &
done
wait
