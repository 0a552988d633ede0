# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# Two frame loops of 3 ms every 16 ms, four controllers of 200 us every 5 ms, beside batch work.
cat >/tmp/periodic.json <<'END'
{"tasks": {
  "frame": {"instance": 2, "loop": 120, "run": 3000, "timer": {"ref": "tick", "period": 16000}},
  "control": {"instance": 3, "loop": 400, "run": 200, "timer": {"ref": "beat", "period": 5000}},
  "batch": {"instance": 2, "loop": 30, "run": 20000, "sleep": 2000}},
 "global": {"duration": 10, "calibration": 100, "default_policy": "SCHED_OTHER"}}
END
rt-app /tmp/periodic.json
