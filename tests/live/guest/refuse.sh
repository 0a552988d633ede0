# SPDX-License-Identifier: GPL-2.0-only
# refuse.sh ARG...: as reprise live, which shall say no.
. /extra/guest/lib.sh

live "$@"
