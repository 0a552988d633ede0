# SPDX-License-Identifier: GPL-2.0-only
# Nothing to do for ten seconds.
. /extra/guest/lib.sh

live --policy vruntime --duration 10
