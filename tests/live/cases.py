# SPDX-License-Identifier: GPL-2.0-only
"""The table of live tests: boots, and the cases that run in them, in order."""

import closed_loop
import determinism
import kernels
import policies
import refusals
import scheduling
import trouble
from machine import Boot

# Time counts instructions, so nothing depends on how fast or busy the host is.
COUNTED = ("--cpus", "2", "--deterministic")

BOOTS = [
    Boot("twice", "the same twice", COUNTED, twice=True),
    Boot("trouble", "what breaks, and what is refused", COUNTED),
    Boot("scheduling", "what there is to schedule", COUNTED),
    # One CPU: only there does counted time say what things cost.
    Boot("one", "1 CPU, from recording to simulation", ("--cpus", "1", "--deterministic")),
    Boot("policies", "each policy", COUNTED),
    Boot("wide", "4 CPUs", ("--cpus", "4", "--deterministic")),
    *[Boot(f"kernel-{version}", f"kernel {version}", (*COUNTED, "--kernel", version))
      for version in kernels.VERSIONS],
    Boot("parallel", "4 CPUs, truly parallel", ("--cpus", "4"), alone=True),
    Boot("host", "what was recorded above, without a machine", guest=False, alone=True),
]

CASES = [*scheduling.CASES, *trouble.CASES, *refusals.CASES, *closed_loop.CASES, *determinism.CASES, *policies.CASES,
         *kernels.CASES]
