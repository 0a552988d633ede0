# SPDX-License-Identifier: GPL-2.0-only
"""Other kernels than the newest: a short run in each."""

from checks import orderly
from machine import Case

VERSIONS = ("6.19", "7.0", "7.2.6")  # as kernel_matrix in tools/setup/kernels.sh


def short_run(version):
    def check(outcome):
        orderly(outcome)
        outcome.expect("the kernel", outcome.text("uname"), "matches", rf"^{version}\b")
        outcome.expect("sched_ext while it ran", outcome.text("attached").split(), "==", ["enabled", "reprise"])
    return check


CASES = [Case(f"kernel-{version}", f"kernel-{version}", f"a short run on {version}, recorded and replayed",
              short_run(version.replace(".", r"\.")), ("kernel.sh",)) for version in VERSIONS]
