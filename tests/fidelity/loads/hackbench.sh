# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# Six groups of three senders and three receivers over pipes, each to each.
hackbench -p -g 6 -f 3 -l 1000
