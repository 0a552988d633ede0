# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh disable=SC1091,SC2154,SC2034,SC2238,SC2240
# Two processes that never sleep share a CPU, with nice 0 and nice 10.
. /extra/guest/lib.sh

# shellcheck disable=SC2016  # the command's shell expands it
live --policy vruntime -- sh -c 'share --cpu 1 --seconds 4 --nice 0 --nice 10 >share.json'
