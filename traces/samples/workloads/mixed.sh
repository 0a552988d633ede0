# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# stress-ng: computing, pipes, switching, a message queue, futexes and timed sleeps at once; so much work, not so much time.
stress-ng --quiet --cpu 2 --cpu-method int32 --cpu-ops 40 --pipe 1 --pipe-ops 3000 --switch 1 --switch-ops 1500 \
    --mq 1 --mq-ops 1500 --futex 1 --futex-ops 1500 --nanosleep 1 --nanosleep-ops 60
