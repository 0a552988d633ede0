# SPDX-License-Identifier: GPL-2.0-only
"""The same run on a deterministic machine leaves the same bytes, and each build decides the same from them."""

import subprocess

from checks import info, orderly, reprise
from machine import ROOT, WORK, Case, again


def same_bytes(outcome):
    """An orderly run in which the policy decided everything, and a second one like it, to the byte."""
    document = orderly(outcome, percent=100.0)
    outcome.expect("sched_ext while it ran", outcome.text("attached").split(), "==", ["enabled", "reprise"])
    outcome.expect("hackbench's output", outcome.text("hackbench"), "contains", "Time:")
    counters = document["stats"]["dispatcher"]
    for name in ("failed", "fallback", "no_slot", "congested", "recovered", "reinserted", "records_lost"):
        outcome.expect(f"stats.dispatcher.{name}", counters[name], "==", 0)
    sessions = info(outcome)["sessions"]
    outcome.expect("sessions", len(sessions), "==", 1)
    outcome.expect("losses", sessions[0]["losses"], "==", [])
    outcome.expect("session.end.reason", (sessions[0]["end"] or {}).get("reason"), "==", "command")
    other = again(outcome.folder.parent) / outcome.name
    for name in ("live.rtrace", "live.json", "log", "dmesg", "uptime"):
        first, second = (folder / name for folder in (outcome.folder, other))
        if not first.is_file() or not second.is_file():
            outcome.fail(f"{name} is missing")
        elif first.read_bytes() != second.read_bytes():
            outcome.fail(f"{name} differs: expected the same bytes, seen {difference(first, second)}")
    outcome.note(f"{outcome.path('live.rtrace').stat().st_size} bytes alike")


def difference(first, second):
    done = subprocess.run(["cmp", str(first), str(second)], capture_output=True, text=True)
    return (done.stdout + done.stderr).strip()


def builds(outcome):
    """gcc and clang always; gcc without optimization where it has been built."""
    folders = [ROOT / "build/release", ROOT / "build/clang"]
    if (ROOT / "build/debug/reprise").is_file():
        folders.append(ROOT / "build/debug")
    # Building what is up to date takes a moment.
    for command in (["cmake", "--preset", "clang"], ["cmake", "--build", "--preset", "clang", "--target", "reprise"]):
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            outcome.fail(f"{' '.join(command)} failed: {done.stdout[-1000:]}")
            return
    traces = sorted(WORK.glob("twice/*/live.rtrace")) + sorted((ROOT / "traces/samples").glob("*.rtrace"))
    outcome.expect("recordings to replay", len(traces), ">=", 1)
    for trace in traces:
        digests = {}
        for folder in folders:
            status, document, said = reprise(outcome, "replay", trace, program=folder / "reprise")
            outcome.expect(f"status of {folder.name}'s replay of {trace.name} ({said.strip()[-200:]})", status, "==", 0)
            digests[folder.name] = document.get("decisions_sha256")
        if len(set(digests.values())) != 1:
            outcome.fail(f"{trace.relative_to(ROOT)}: expected the same digest from each build, seen {digests}")
    outcome.note(f"{len(traces)} recordings, builds {', '.join(folder.name for folder in folders)}")


CASES = [
    *[Case(f"attach-{policy}", "twice", f"{policy} schedules hackbench, a replay decides the same, a second run is the same",
           same_bytes, ("attach.sh", policy, "2", "100")) for policy in ("fifo", "vruntime", "newcomer")],
    Case("builds", "host", "gcc's and clang's builds decide the same", builds),
]
