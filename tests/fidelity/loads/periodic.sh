# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# Two frame loops of 3 ms every 16 ms, three controllers of 200 us every 5 ms, beside batch work.
cat >/tmp/periodic.json <<'END'
{"tasks": {
  "frame": {"instance": 2, "run": 1500, "timer": {"ref": "unique", "period": 16000}},
  "control": {"instance": 3, "run": 100, "timer": {"ref": "unique", "period": 5000}},
  "batch": {"instance": 2, "run": 10000, "sleep": 2000}},
 "global": {"duration": 3, "calibration": 100, "default_policy": "SCHED_OTHER"}}
END
rt-app /tmp/periodic.json
