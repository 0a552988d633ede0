# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# Six that only compute, with nice levels, beside two that wake up.
cat >/tmp/spinners.json <<'END'
{"tasks": {
  "n0": {"instance": 2, "loop": 12, "run": 20000},
  "n5": {"instance": 2, "loop": 12, "run": 20000, "priority": 5},
  "n10": {"instance": 2, "loop": 12, "run": 20000, "priority": 10},
  "awake": {"instance": 2, "loop": 600, "run": 100, "sleep": 4000}},
 "global": {"duration": 8, "calibration": 100, "default_policy": "SCHED_OTHER"}}
END
rt-app /tmp/spinners.json
