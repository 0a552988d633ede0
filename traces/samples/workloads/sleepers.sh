# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# Eight tasks that sleep and then run in bursts, short and long ones, two thirds of the CPU in all.
cat >/tmp/sleepers.json <<'END'
{"tasks": {
  "short": {"instance": 4, "run": 500, "sleep": 7000},
  "long": {"instance": 3, "run": 4000, "sleep": 50000},
  "burst": {"instance": 1, "run": 25000, "sleep": 90000}},
 "global": {"duration": 2, "calibration": 191, "default_policy": "SCHED_OTHER"}}
END
rt-app /tmp/sleepers.json
