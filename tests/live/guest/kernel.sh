# SPDX-License-Identifier: GPL-2.0-only
# A short run, and which kernel it was on.
. /extra/guest/lib.sh

uname -r >uname
. $GUEST/attach.sh vruntime 1 100
