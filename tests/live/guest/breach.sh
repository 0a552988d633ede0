# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh disable=SC1091,SC2154,SC2034,SC2238,SC2240
# breach.sh POLICY: a policy that breaks its contract; the kernel's own scheduler must take over, and the work end.
. /extra/guest/lib.sh

cp /reprise/bin/breach.so "$CASE/policy.so"
hackbench -g 2 -l 400 >"$CASE/hackbench" &
live --policy "$1" --record "$CASE/live.rtrace" --duration 20
await disabled && echo yes >"$CASE/given_back"
wait %1 && echo yes >"$CASE/work_ended"
