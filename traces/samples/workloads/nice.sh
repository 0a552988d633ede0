# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# Six tasks that only compute, with nice levels, beside two that wake up.
cat >/tmp/nice.json <<'END'
{"tasks": {
  "n0": {"instance": 2, "run": 20000},
  "n5": {"instance": 2, "run": 20000, "priority": 5},
  "n10": {"instance": 2, "run": 20000, "priority": 10},
  "awake": {"instance": 2, "run": 200, "sleep": 4000}},
 "global": {"duration": 2, "calibration": 191, "default_policy": "SCHED_OTHER"}}
END
rt-app /tmp/nice.json
