# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh disable=SC1091,SC2154,SC2034,SC2238,SC2240
# A short run, and which kernel it was on.
. /extra/guest/lib.sh

uname -r >uname
set -- vruntime 1 100
. $GUEST/attach.sh
