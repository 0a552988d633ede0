# SPDX-License-Identifier: GPL-2.0-only
"""Boots for the live tests: runs the guest's side of several cases in one virtual machine, then judges each on the host.

A guest that does not come back costs the case that it was in; the others run again in a fresh one."""

import json
import os
import re
import shlex
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "build/live"
GUEST = Path(__file__).resolve().parent / "guest"
BUILD = Path(os.environ.get("REPRISE_LIVE_BUILD", ROOT / "build/release"))
DRIVER = ". /extra/guest/lib.sh"


@dataclass(frozen=True)
class Boot:
    name: str
    what: str
    options: tuple = ()  # of tools/vm/run
    alone: bool = False  # nothing else may run at that time
    twice: bool = False  # run the same again, for comparison; what comes out lies beside it in NAME.again
    guest: bool = True   # False: its cases need none


@dataclass(frozen=True)
class Case:
    name: str
    boot: str
    claim: str           # what is shown to hold
    check: object        # a function of an Outcome
    script: tuple = ()   # in guest/, with its arguments
    seconds: int = 60    # that the guest's side may take


@dataclass
class Outcome:
    """What a case left behind, and what was found wrong with it."""
    name: str
    folder: Path
    seconds: float = 0.0
    failures: list = field(default_factory=list)
    notes: list = field(default_factory=list)

    def passed(self):
        return not self.failures

    def path(self, name):
        return self.folder / name

    def text(self, name):
        """Of a file; empty when it is not there."""
        path = self.path(name)
        return path.read_text(errors="replace").strip() if path.is_file() else ""

    def number(self, name):
        text = self.text(name)
        return int(text) if re.fullmatch(r"-?\d+", text) else None

    def json(self, name):
        try:
            return json.loads(self.text(name))
        except json.JSONDecodeError:
            self.fail(f"{name} is not JSON: {self.text(name)[:200]!r}")
            return {}

    def fail(self, text):
        self.failures.append(text)

    def note(self, text):
        self.notes.append(text)

    def expect(self, what, seen, relation, wanted):
        """`relation`: ==, !=, <, <=, >, >=, contains, lacks, matches."""
        holds = {
            "==": lambda: seen == wanted, "!=": lambda: seen != wanted,
            "<": lambda: seen < wanted, "<=": lambda: seen <= wanted,
            ">": lambda: seen > wanted, ">=": lambda: seen >= wanted,
            "contains": lambda: wanted in seen, "lacks": lambda: wanted not in seen,
            "matches": lambda: re.search(wanted, seen) is not None,
        }[relation]
        if seen is None or not holds():
            self.fail(f"{what}: expected {relation} {wanted!r}, seen {seen!r}")
            return False
        return True


def guest_command(cases):
    lines = [DRIVER] + [f"run_case {case.name} {case.seconds} {shlex.join(case.script)}" for case in cases]
    return "\n".join(lines)


def run_guest(boot, cases, out):
    """Returns the name of the case that the guest did not come back from, seconds by case, and what was said."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    # A second of counted time costs several of the host's, more with each CPU.
    limit = 60 + sum(case.seconds for case in cases) * (6 if "--deterministic" in boot.options else 1)
    command = [str(ROOT / "tools/vm/run"), "--out", str(out), "--with", str(GUEST), "--timeout", str(limit),
               "--build", str(BUILD), *boot.options, "--", guest_command(cases)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    (out / "vm.log").write_text(done.stdout)
    seconds = {name: int(ms) / 1000 for name, ms in re.findall(r"^@@ end (\S+) (\d+)", done.stdout, re.M)}
    if done.returncode == 0:
        return None, seconds, done.stdout
    begun = re.findall(r"^@@ begin (\S+)", done.stdout, re.M)
    lost = begun[-1] if begun and begun[-1] not in seconds else cases[len(seconds) % len(cases)].name
    said = f"tools/vm/run ended with status {done.returncode}\n{done.stdout}"
    return lost, seconds, said


def run_twice(boot, cases, out):
    """Two guests at once, if it shall be two."""
    if not boot.twice:
        return run_guest(boot, cases, out)
    with ThreadPoolExecutor(2) as pool:
        first, second = (pool.submit(run_guest, boot, cases, folder) for folder in (out, again(out)))
        return first.result() if first.result()[0] else second.result()


def again(folder):
    return folder.with_name(folder.name + ".again")


def judge(case, folder, seconds):
    outcome = Outcome(case.name, folder, seconds)
    began = time.monotonic()
    if case.script:
        check_guest_side(outcome, case)
    try:
        case.check(outcome)
    except Exception as error:  # a document that is not as it should be
        outcome.fail(f"cannot be judged: {type(error).__name__}: {error}")
    outcome.seconds += time.monotonic() - began
    return outcome


def check_guest_side(outcome, case):
    """What holds for each case: it ended in time, left nothing running, and the kernel had nothing to complain of."""
    status = outcome.number("status")
    if status == 137:
        outcome.fail(f"did not end within {case.seconds} s")
    else:
        outcome.expect("status of the guest's script", status, "==", 0)
    outcome.expect("state of sched_ext afterwards", outcome.text("state"), "==", "disabled")
    if outcome.text("left"):
        outcome.fail(f"left processes or a scheduler behind: {outcome.text('left')}")
    complaint = re.search(r"^.*(BUG|WARNING|Oops|Call Trace|stall|lockup|blocked for more|hung task).*$",
                          outcome.text("dmesg"), re.M)
    if complaint and not re.search(r"sched_ext|reprise", complaint.group()):
        outcome.fail(f"the kernel complains: {complaint.group()}")


def run_boot(boot, cases):
    """Each case with its outcome, and the seconds that all of it took."""
    began = time.monotonic()
    results = list(outcomes(boot, cases))
    return results, time.monotonic() - began


def outcomes(boot, cases):
    out = WORK / boot.name
    if not boot.guest:
        for case in cases:
            folder = WORK / case.name
            folder.mkdir(parents=True, exist_ok=True)
            yield case, judge(case, folder, 0.0)
        return
    left = list(cases)
    while left:
        lost, seconds, said = run_twice(boot, left, out)
        for case in list(left):
            if lost is not None and case.name != lost:
                continue
            left.remove(case)
            if lost is None:
                yield case, judge(case, out / case.name, seconds.get(case.name, 0.0))
            else:
                outcome = Outcome(case.name, out)
                outcome.fail(f"the guest did not come back from it: {said[-3000:]}")
                yield case, outcome
