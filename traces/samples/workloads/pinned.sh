# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# Two CPUs: tasks that may run on one of them only, of both kinds, beside some that may run on either.
cat >/tmp/pinned.json <<'END'
{"tasks": {
  "left": {"instance": 2, "run": 4000, "sleep": 3000, "cpus": [0]},
  "right": {"instance": 1, "run": 400, "sleep": 2000, "cpus": [1]},
  "batch": {"instance": 1, "run": 20000, "cpus": [1]},
  "free": {"instance": 3, "run": 1000, "sleep": 4000}},
 "global": {"duration": 1, "calibration": 191, "default_policy": "SCHED_OTHER"}}
END
rt-app /tmp/pinned.json
