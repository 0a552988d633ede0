# SPDX-License-Identifier: GPL-2.0-only
"""What several cases look at: the document of `reprise live`, and the recording, replayed here on the host."""

import json
import re
import subprocess

from machine import BUILD


def reprise(outcome, *arguments, program=BUILD / "reprise"):
    """Runs reprise on the host. Its exit status, its document, its messages."""
    command = [str(program), *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=300)
    try:
        return done.returncode, json.loads(done.stdout), done.stderr
    except json.JSONDecodeError:
        outcome.fail(f"{' '.join(command)}: status {done.returncode}, no document: {done.stderr.strip()}")
        return done.returncode, {}, done.stderr


def live(outcome, ended_by="command", status=0):
    """The document of a run that ended as it should. Returns it."""
    document = outcome.json("live.json")
    outcome.expect("exit status of reprise live", outcome.number("live.status"), "==", status)
    if status == 0 and "error" in document:
        outcome.fail(f"reprise live: {document['error']}")
    outcome.expect("ended_by", document.get("ended_by"), "==", ended_by)
    return document


def policy_decides(outcome, document, percent=99.0):
    """Nearly all enqueues are decided by the policy, none is decided wrongly, nothing is lost on the way up."""
    share = document["decided_by_policy"]
    outcome.expect("percent of enqueues decided by the policy", share["percent"], ">=", percent)
    outcome.expect("enqueues", share["of"], ">=", 100)
    outcome.note(f"policy decided {share['percent']:.2f} % of {share['of']} enqueues")


def nothing_lost(outcome, document):
    """Nothing that a replay needs. Records of what the kernel did may be lost on a machine as slow as this one."""
    recording = document["recording"]
    for name in ("steps_lost", "snapshots_lost"):
        outcome.expect(f"recording.{name}", recording[name], "==", 0)
    outcome.expect("recording.failed", recording["failed"], "==", False)
    outcome.expect("stats.dispatcher.events_lost", document["stats"]["dispatcher"]["events_lost"], "==", 0)
    if recording["records_lost"]:
        outcome.note(f"{recording['records_lost']} kernel events lost")


def no_page_faults(outcome, document):
    for kind in ("minor", "major"):
        outcome.expect(f"{kind} page faults of the scheduler's thread", document["stats"][f"page_faults_{kind}"], "==", 0)


def replays(outcome, name="live.rtrace", status=0):
    """The recording replays with identical decisions and state hashes. Returns the document of the replay."""
    path = outcome.path(name)
    if not path.is_file():
        outcome.fail(f"there is no recording {name}")
        return {}
    code, document, said = reprise(outcome, "replay", path)
    outcome.expect(f"exit status of reprise replay {name} ({said.strip()[-300:]})", code, "==", status)
    if "divergent" not in document:
        outcome.fail(f"reprise replay {name} compared nothing")
        return document
    outcome.expect("replay.divergent", document["divergent"], "==", 0)
    outcome.expect("replay.first_divergence", document["first_divergence"] or {}, "==", {})
    outcome.expect("replay.identical", document["identical"], ">", 0)
    outcome.expect("replay.hashes_different", document["hashes_different"], "==", 0)
    outcome.expect("replay.different_code", document["different_code"], "==", [])
    outcome.note(f"{document['identical']} decisions replayed")
    return document


def info(outcome, name="live.rtrace", status=0):
    """What the recording holds; the whole file is read and each checksum verified."""
    code, document, said = reprise(outcome, "info", outcome.path(name))
    outcome.expect(f"exit status of reprise info {name} ({said.strip()[-300:]})", code, "==", status)
    return document


def quiet_kernel(outcome):
    """The kernel says that the scheduler came and went, and no more."""
    for line in outcome.text("dmesg").splitlines():
        if "sched_ext" in line and not re.search(r" enabled|unregistered from user space|watchdog timeout \d+ms <=", line):
            outcome.fail(f"dmesg: {line}")


def orderly(outcome, ended_by="command", percent=99.0):
    """A whole run as it should be, with its recording. Returns the document."""
    document = live(outcome, ended_by)
    policy_decides(outcome, document, percent)
    quiet_kernel(outcome)
    nothing_lost(outcome, document)
    no_page_faults(outcome, document)
    replayed = replays(outcome)
    outcome.expect("decisions replayed", replayed.get("decisions"), "==", document["recording"]["decisions"])
    return document


def refuses(outcome, status, message):
    """No scheduling, with that exit status, and words that name the reason."""
    document = outcome.json("live.json")
    outcome.expect("exit status of reprise live", outcome.number("live.status"), "==", status)
    error = document.get("error", {})
    outcome.expect("error.exit_code", error.get("exit_code"), "==", status)
    outcome.expect("what the error says", f"{error.get('what')} ({error.get('where')}); {error.get('hint')}",
                   "matches", message)
    outcome.expect("a hint", error.get("hint"), "!=", "")
    outcome.note(error.get("what", ""))
