/* SPDX-License-Identifier: GPL-2.0-only */
/* The dispatcher compiled natively: the very source that is loaded into the kernel. */
#include "bpf/dispatcher.bpf.c"
