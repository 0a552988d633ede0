# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# stress-ng: computing, pipes, switching, a message queue and timed sleeps at once; so much work, not so much time.
# Then sleeps alone: what it costs to leave the idle loop is to be seen, too.
stress-ng --quiet --cpu 2 --cpu-method int32 --cpu-ops 40 --pipe 1 --pipe-ops 6000 --switch 1 --switch-ops 2500 \
    --mq 1 --mq-ops 2500 --nanosleep 1 --nanosleep-ops 60
stress-ng --quiet --nanosleep 1 --nanosleep-ops 25
