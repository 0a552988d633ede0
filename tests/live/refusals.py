# SPDX-License-Identifier: GPL-2.0-only
"""Cases in which `reprise live` has to say no: with an exit status, a reason and a hint."""

from checks import live, refuses
from machine import Case


def refusal(status, message):
    return lambda outcome: refuses(outcome, status, message)


def second(outcome):
    document = outcome.json("second.json")
    outcome.expect("exit status of the second", outcome.number("second.status"), "==", 69)
    outcome.expect("what it says", document["error"]["what"], "matches", "another sched_ext scheduler is attached: reprise")
    outcome.expect("state after the second has gone", outcome.text("state.between"), "==", "enabled")
    outcome.path("live.status").write_text(outcome.text("first.status"))
    live(outcome, ended_by="signal SIGINT")


def no_sched_ext(outcome):
    refuses(outcome, 69, "this kernel has no sched_ext")
    outcome.expect("exit status of reprise doctor", outcome.number("doctor.status"), "==", 69)
    findings = " ".join(finding["what"] for finding in outcome.json("doctor.json")["findings"])
    outcome.expect("what reprise doctor finds", findings, "contains", "no sched_ext")


def root(outcome):
    refuses(outcome, 77, "not permitted.*CAP_BPF")
    for name in ("record", "doctor"):
        outcome.expect(f"exit status of reprise {name}", outcome.number(f"{name}.status"), "==", 77)
    error = outcome.json("record.json")["error"]
    outcome.expect("what reprise record says", error["what"], "contains", "CAP_PERFMON")
    outcome.expect("what to do", error["hint"], "contains", "root")


def refuse(name, claim, status, message, *arguments):
    return Case(f"refuses-{name}", "trouble", claim, refusal(status, message), ("refuse.sh", *arguments), 30)


CASES = [
    refuse("policy", "a policy that there is not", 2, "vruntim.*vruntime", "--policy", "vruntim", "--", "true"),
    refuse("option", "a policy's option that there is not", 2, "slice", "--policy", "fifo:sliec_us=3", "--", "true"),
    refuse("value", "a value out of range", 2, "slice_us", "--policy", "fifo:slice_us=0", "--", "true"),
    refuse("command", "a command that there is not", 2, "/no/such/command", "--policy", "fifo", "--", "/no/such/command"),
    refuse("record-path", "a folder that there is not", 74, "/no/such/folder", "--policy", "fifo", "--record",
           "/no/such/folder/a.rtrace", "--", "true"),
    Case("refuses-user", "trouble", "whoever is not root", refusal(77, "not permitted.*root"), ("refuse_user.sh",), 30),
    Case("refuses-root", "trouble", "root without the capabilities", root, ("refuse_root.sh",), 30),
    Case("refuses-second", "trouble", "a second scheduler; the first goes on", second, ("refuse_second.sh",), 30),
    Case("refuses-kernel", "trouble", "a kernel without sched_ext", no_sched_ext, ("refuse_kernel.sh",), 30),
]
