# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# Ten senders and ten receivers over sockets, each to each.
hackbench -g 1 -f 10 -l 300
