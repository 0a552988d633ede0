# SPDX-License-Identifier: GPL-2.0-only
"""Cases in which something breaks: the scheduler dies or stops, rings overflow, the kernel takes it away, disks fill."""

import json
import subprocess

from checks import info, live, no_page_faults, policy_decides, quiet_kernel, replays
from machine import BUILD, Case

LONGEST_WAIT_NS = 1_000_000_000  # that a task may wait while the scheduler does not answer


def killed(outcome):
    before = outcome.text("setting.before")
    for time in ("first", "second"):
        outcome.expect(f"{time} kill: hackbench was running", outcome.text(f"{time}.loaded"), "==", "yes")
        outcome.expect(f"{time} kill: sched_ext is disabled", outcome.text(f"{time}.disabled"), "==", "yes")
        outcome.expect(f"{time} kill: status of hackbench", outcome.number(f"{time}.hackbench"), "==", 0)
        outcome.expect(f"{time} kill: a setting of the host is left changed", outcome.text(f"{time}.setting"), "!=", before)
        outcome.expect(f"{time} kill: a note of it is left", outcome.text(f"{time}.notes"), "contains", ".settings")
        outcome.expect(f"{time} kill: put back", outcome.text(f"{time}.restored"), "==", before)
        outcome.expect(f"{time} kill: no note is left", outcome.text(f"{time}.notes_after"), "==", "")
    findings = " ".join(finding["what"] for finding in outcome.json("doctor.json")["findings"])
    outcome.expect("what reprise doctor finds", findings, "contains", "left by a run that crashed")
    outcome.expect("what reprise doctor --fix puts back", len(outcome.json("fixed.json")["put_back"]), ">=", 1)
    document = live(outcome)
    outcome.expect("notes of the next run", " ".join(document["notes"]), "contains", "put back after an earlier crash")
    # The end of the recording is missing; what is there counts.
    replays(outcome, "killed.rtrace", status=65)


def overflow(outcome):
    document = live(outcome, ended_by="signal SIGINT")
    quiet_kernel(outcome)
    counters = document["stats"]["dispatcher"]
    outcome.expect("enqueues that found no room", counters["congested"], ">=", 50)
    outcome.expect("takeovers by the dispatcher", document["stats"]["fallbacks"], "==", 0)
    crowd = outcome.json("crowd.json")
    outcome.expect("stops", crowd["stops"], "==", 3)
    outcome.expect("rounds of the slowest thread", crowd["fewest_rounds"], "==", crowd["rounds"])
    outcome.expect("hackbench's output", outcome.text("hackbench"), "contains", "Time:")
    outcome.expect("recording.steps_lost", document["recording"]["steps_lost"], "==", 0)
    replays(outcome)
    losses = {}
    for loss in info(outcome)["sessions"][0]["losses"]:
        losses[loss["ring"]] = losses.get(loss["ring"], 0) + loss["count"]
    outcome.note(f"{counters['congested']} found no room; losses in the recording {losses}")
    outcome.expect("losses of steps in the recording", losses.get("steps", 0), "==", 0)
    outcome.expect("losses on the way up in the recording", losses.get("policy_events", 0), ">=", counters["congested"])


def stopped(outcome):
    document = live(outcome, ended_by="signal SIGINT")
    quiet_kernel(outcome)
    counters = document["stats"]["dispatcher"]
    outcome.expect("takeovers by the dispatcher", document["stats"]["fallbacks"], "==", 1)
    outcome.expect("tasks handed up, unanswered, run by the fallback", counters["recovered"], ">=", 100)
    outcome.expect("enqueues decided by the fallback", counters["fallback"], ">=", 1000)
    outcome.expect("late decisions cancelled", counters["cancelled"], ">=", 1)
    crowd = outcome.json("crowd.json")
    outcome.expect("stops", crowd["stops"], "==", 1)
    outcome.expect("rounds of the slowest thread", crowd["fewest_rounds"], "==", crowd["rounds"])
    for name in ("longest_wakeup_ns", "longest_wakeup_while_stopped_ns"):
        outcome.expect(name, crowd[name], "<", LONGEST_WAIT_NS)
    outcome.expect("status of hackbench", outcome.number("hackbench.status"), "==", 0)
    # Two seconds and more after it went on, the policy decides again, alone.
    last = [line.split() for line in outcome.text("stats").splitlines() if line[:9].strip().replace(".", "").isdigit()][-1]
    outcome.expect("decisions of the policy in the last second", int(last[4]), ">=", 100)
    outcome.expect("decisions of the dispatcher in the last second", int(last[5]), "<", int(last[4]) / 4)
    outcome.expect("recording.steps_lost", document["recording"]["steps_lost"], "==", 0)
    replays(outcome)
    outcome.note(f"{counters['recovered']} recovered, {counters['cancelled']} cancelled, longest wait "
                 f"{crowd['longest_wakeup_while_stopped_ns'] / 1e6:.0f} ms")


def flight(outcome, seconds):
    """The flight recorder's file: whole, replays from its snapshot, ends where the run did, holds what was asked for and
    not much more (a snapshot's distance)."""
    path = outcome.path("live.rtrace")
    steps = subprocess.run([BUILD / "reprise", "dump", path, "--steps", "--jsonl"], capture_output=True, text=True).stdout
    items = [json.loads(line) for line in steps.splitlines()]
    times = [item["now_ns"] for item in items if item.get("item") == "step"]
    held = (times[-1] - times[0]) / 1e9
    outcome.expect("seconds from the first to the last step in the flight recording", held, ">=", seconds)
    outcome.expect("seconds from the first to the last step in the flight recording", held, "<=", seconds * 2 + 1)
    end = info(outcome)["sessions"][-1]["end"]
    outcome.expect("seconds from the last step to the end", (end["end_ns"] - times[-1]) / 1e9, "<=", 1.0)
    outcome.note(f"flight recording of {held:.1f} s")
    return replays(outcome)


def sysrq(outcome):
    document = live(outcome, ended_by="kernel", status=1)
    policy_decides(outcome, document)
    no_page_faults(outcome, document)
    outcome.expect("stats.scheduler_cpu_ns", document["stats"]["scheduler_cpu_ns"], ">", 0)
    outcome.expect("exit.kind_text", document["exit"]["kind_text"], "contains", "SysRq")
    outcome.expect("messages", outcome.text("log"), "contains", "SysRq")
    replayed = flight(outcome, 2)
    outcome.expect("step after which the replay began", replayed.get("started_after_step"), ">", 0)


def watchdog(outcome):
    document = live(outcome, ended_by="kernel", status=70)
    outcome.expect("exit.kind_text", document["exit"]["kind_text"], "contains", "watchdog")
    outcome.expect("exit.message", document["exit"]["message"], "matches", r"failed to (run for|check in)")
    outcome.expect("messages", outcome.text("log"), "contains", "the kernel threw the scheduler out")
    outcome.expect("the kernel's dump", outcome.text("live.rtrace.dump"), "matches", r"(?i)CPU states|runqueue|reprise")
    outcome.expect("hint", document["error"]["hint"], "contains", "reprise replay")
    replays(outcome)
    shares = outcome.json("share.json")
    outcome.expect("least CPU time of a process, ns", min(entry["cpu_ns"] for entry in shares), ">", 0)
    outcome.note(document["exit"]["message"])


def disk_full(outcome):
    document = live(outcome, status=74)
    policy_decides(outcome, document)
    quiet_kernel(outcome)
    outcome.expect("hackbench's output", outcome.text("hackbench"), "contains", "Time:")
    error = document["error"]
    outcome.expect("error", f"{error['what']} {error['where']} {error['hint']}", "matches", r"(?i)no space|disk is full")
    outcome.expect("recording.failed", document["recording"]["failed"], "==", True)
    # What was written before counts.
    replays(outcome, status=65)


CASES = [
    Case("killed", "trouble", "kill -9: the system goes on, and nothing stays changed", killed, ("killed.sh",), 90),
    Case("overflow", "trouble", "a full ring up: tasks run, nothing is lost silently", overflow, ("overflow.sh",)),
    Case("stopped", "trouble", "the scheduler is stopped beyond the watchdog's time: each task runs within 1 s", stopped,
         ("stopped.sh",), 90),
    Case("sysrq", "trouble", "SysRq-S: the flight recorder's file is written and replays", sysrq, ("sysrq.sh",)),
    Case("watchdog", "trouble", "the watchdog: reason in words, dump, flight recording", watchdog, ("watchdog.sh",)),
    Case("disk-full", "trouble", "the disk fills up: scheduling goes on, the error says so", disk_full, ("disk_full.sh",)),
]
