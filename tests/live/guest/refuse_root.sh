# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh disable=SC1091,SC2154,SC2034,SC2238,SC2240
# Root without CAP_SYS_ADMIN, CAP_PERFMON and CAP_BPF.
. /extra/guest/lib.sh

without 21 38 39 -- reprise live --json --policy fifo -- true >live.json
echo $? >live.status
without 21 38 39 -- reprise record --json -o record.rtrace -- true >record.json
echo $? >record.status
without 21 38 39 -- reprise doctor --json >doctor.json
echo $? >doctor.status
