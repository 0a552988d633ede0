# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# A fork storm: three shells that start programs one after the other, four at a time.
storm() {
    n=0
    while [ $n -lt 30 ]; do
        /bin/true & /bin/true & /bin/true & /bin/true &
        wait
        n=$((n + 1))
    done
}
storm & storm & storm &
wait
