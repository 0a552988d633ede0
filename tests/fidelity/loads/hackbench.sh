# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# Two groups of ten senders and ten receivers over pipes, each to each.
hackbench -p -g 2 -f 10 -l 300
