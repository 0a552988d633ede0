# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh disable=SC1091,SC2154,SC2034,SC2238,SC2240
# refuse.sh ARG...: as reprise live, which shall say no.
. /extra/guest/lib.sh

live "$@"
