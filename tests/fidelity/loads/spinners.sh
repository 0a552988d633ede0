# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# Six that only compute, with nice levels, so much work each, beside two that wake up. These run for 140 us, less than
# kick_interval_us: with as much, it would be chance whether one wakes up before the other may preempt again.
cat >/tmp/spinners.json <<'END'
{"tasks": {
  "n0": {"instance": 2, "loop": 12, "run": 20000},
  "n5": {"instance": 2, "loop": 12, "run": 20000, "priority": 5},
  "n10": {"instance": 2, "loop": 12, "run": 20000, "priority": 10},
  "awake": {"instance": 2, "run": 70, "sleep": 4000}},
 "global": {"duration": 5, "calibration": 100, "default_policy": "SCHED_OTHER"}}
END
rt-app /tmp/spinners.json
