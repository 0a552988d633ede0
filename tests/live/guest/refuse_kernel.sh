# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh disable=SC1091,SC2154,SC2034,SC2238,SC2240
# A kernel without sched_ext, as far as its BTF says: one without any type, laid over the real one.
. /extra/guest/lib.sh

printf '\237\353\001\000\030\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\001\000\000\000\000' >/tmp/btf
mount --bind /tmp/btf /sys/kernel/btf/vmlinux
live --policy fifo -- true
reprise doctor --json >doctor.json
echo $? >doctor.status
umount /sys/kernel/btf/vmlinux
