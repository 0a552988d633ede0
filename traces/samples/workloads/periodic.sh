# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# Frames of a game every 16 ms beside batch work: rt-app.
cat >/tmp/periodic.json <<'END'
{"tasks": {
  "frame": {"instance": 2, "loop": 250, "run": 3000, "timer": {"ref": "tick", "period": 16000}},
  "batch": {"instance": 3, "loop": 90, "run": 20000, "sleep": 2000}},
 "global": {"duration": 4, "calibration": 100, "default_policy": "SCHED_OTHER"}}
END
rt-app /tmp/periodic.json
