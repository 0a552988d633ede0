# SPDX-License-Identifier: GPL-2.0-only
"""The table of live tests: boots, and the cases that run in them, in order."""

import determinism
import kernels
import refusals
import scheduling
import trouble
from machine import Boot

BOOTS = [
    Boot("plain", "the newest kernel, 2 CPUs", ("--cpus", "2")),
    Boot("wide", "the newest kernel, 4 CPUs", ("--cpus", "4")),
    Boot("deterministic", "2 CPUs on counted time, twice", ("--cpus", "2", "--deterministic"), twice=True),
    *[Boot(f"kernel-{version}", f"kernel {version}, 2 CPUs", ("--cpus", "2", "--kernel", version))
      for version in kernels.VERSIONS],
    Boot("host", "what was recorded above, without a machine", guest=False),
]

CASES = [*scheduling.CASES, *trouble.CASES, *refusals.CASES, *determinism.CASES, *kernels.CASES]
