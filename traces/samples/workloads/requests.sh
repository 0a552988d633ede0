# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# Twelve clients that think and ask, three threads that answer (server.c), beside two tasks that only compute.
cat >/tmp/beside.json <<'END'
{"tasks": {"beside": {"instance": 2, "run": 20000}},
 "global": {"duration": 1, "calibration": 191, "default_policy": "SCHED_OTHER"}}
END
rt-app /tmp/beside.json >/dev/null 2>&1 &
/extra/server 12 3 150
wait
