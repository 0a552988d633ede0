# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# Eight tasks that sleep and then run in bursts, short and long ones, half of the CPU in all.
cat >/tmp/sleepers.json <<'END'
{"tasks": {
  "short": {"instance": 4, "run": 300, "sleep": 7000},
  "long": {"instance": 3, "run": 4000, "sleep": 30000},
  "burst": {"instance": 1, "run": 25000, "sleep": 60000}},
 "global": {"duration": 4, "calibration": 100, "default_policy": "SCHED_OTHER"}}
END
rt-app /tmp/sleepers.json
