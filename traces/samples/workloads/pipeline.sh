# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# A pipeline of three stages that wake each other under a lock, twice, and two that fight for one lock.
cat >/tmp/pipeline.json <<'END'
{"tasks": {
  "source": {"instance": 2, "run": 300, "lock": "m1", "run1": 100, "signal": "c1", "unlock": "m1", "sleep": 5000},
  "middle": {"instance": 2, "lock": "m1", "wait": {"ref": "c1", "mutex": "m1"}, "unlock": "m1", "run": 500,
             "lock2": "m2", "signal": "c2", "unlock2": "m2"},
  "sink": {"instance": 2, "lock": "m2", "wait": {"ref": "c2", "mutex": "m2"}, "unlock": "m2", "run": 400},
  "fighter": {"instance": 2, "run": 200, "lock": "m3", "run1": 600, "unlock": "m3", "sleep": 3000}},
 "resources": {"m1": {"type": "mutex"}, "m2": {"type": "mutex"}, "m3": {"type": "mutex"},
               "c1": {"type": "wait"}, "c2": {"type": "wait"}},
 "global": {"duration": 1, "calibration": 191, "default_policy": "SCHED_OTHER"}}
END
rt-app /tmp/pipeline.json
