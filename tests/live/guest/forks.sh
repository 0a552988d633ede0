# SPDX-License-Identifier: GPL-2.0-only
# Many short processes, with a table of tasks that holds far fewer: slots are used again.
. /extra/guest/lib.sh

live --policy newcomer --max-tasks 1024 --record "$CASE/live.rtrace" -- storm --processes 3000 --at-once 16
