# SPDX-License-Identifier: GPL-2.0-only
"""Each policy of the table that has no case of its own, and one in a shared object: schedules hackbench, recorded, and a replay
on the host decides the same."""

from checks import info, orderly, reprise
from machine import Case

POLICIES = ("eevdf_user", "edf", "mlfq", "lottery", "lavd_lite", "central_fifo_preempt")


def schedules(outcome):
    orderly(outcome)
    outcome.expect("sched_ext while it ran", outcome.text("attached").split(), "==", ["enabled", "reprise"])
    outcome.expect("hackbench's output", outcome.text("hackbench"), "contains", "Time:")


def steps(outcome):
    code, document, said = reprise(outcome, "dump", "--steps", outcome.path("live.rtrace"))
    outcome.expect(f"status of reprise dump ({said.strip()[-200:]})", code, "==", 0)
    return [item for item in document.get("items", []) if item["item"] == "step"]


def ends_slices(outcome):
    """Beside hackbench there are tasks that never sleep: their slices end before the tick."""
    schedules(outcome)
    asked = sum(bool(step["preempts"]) for step in steps(outcome))
    outcome.expect("steps that preempt a CPU", asked, ">=", 20)
    outcome.note(f"{asked} steps preempted a CPU")


def takes_cpus(outcome):
    """What wakes often takes a CPU from what never sleeps."""
    schedules(outcome)
    taken = sum(decision["flags"] & 2 for step in steps(outcome) for decision in step["decisions"]) // 2
    outcome.expect("decisions that preempt", taken, ">=", 20)
    outcome.note(f"{taken} decisions took a CPU away")


CHECKS = {"edf": takes_cpus, "central_fifo_preempt": ends_slices}


def shared_object(outcome):
    """The same object, by its hash, in live, replay and simulation."""
    path = outcome.path("policy.so")
    status, shown, _ = reprise(outcome, "policies", path)
    code = shown["policies"][0]["code"]
    session = info(outcome)["sessions"][0]
    outcome.expect("policy in the recording", session["policy"]["name"], "==", "mine")
    outcome.expect("its code", session["code"]["policies_hash"], "==", code)
    status, document, said = reprise(outcome, "replay", outcome.path("live.rtrace"), "--policy", path, "--twice")
    outcome.expect(f"status of the replay, twice ({said.strip()[-300:]})", status, "==", 0)
    outcome.expect("replay.divergent", document["divergent"], "==", 0)
    outcome.expect("replay.different_code", document["different_code"], "==", [])
    outcome.expect("page faults", [document_of(outcome)["stats"][f"page_faults_{kind}"] for kind in ("minor", "major")],
                   "==", [0, 0])
    status, document, said = reprise(outcome, "sim", outcome.path("live.rtrace"), "--policy", path)
    outcome.expect(f"status of the simulation ({said.strip()[-300:]})", status, "==", 0)
    outcome.note(f"code {code[:12]}")


def breach(how, what):
    """The policy is ended where it breaks its contract, and nothing else is; the recording shows the same step."""
    def check(outcome):
        document = outcome.json("live.json")
        error = document.get("error", {})
        outcome.expect("exit status of reprise live", outcome.number("live.status"), "==", 1)
        outcome.expect("what it says", error.get("what", ""), "matches", f"policy 'breach' {what}")
        outcome.expect("where", error.get("where", ""), "matches", "step [0-9]+")
        outcome.expect("the machine is given back", outcome.text("given_back"), "==", "yes")
        outcome.expect("hackbench ends", outcome.text("work_ended"), "==", "yes")
        outcome.expect("its output", outcome.text("hackbench"), "contains", "Time:")
        code, document, said = reprise(outcome, "replay", outcome.path("live.rtrace"), "--policy",
                                       f"{outcome.path('policy.so')}:how={how}")
        outcome.expect(f"status of the replay ({said.strip()[-300:]})", code, "==", 1)
        outcome.expect("its breach", (document.get("contract") or {}).get("what", ""), "==", error.get("what", ""))
        outcome.note(error.get("what", ""))
    return check


def document_of(outcome):
    document = outcome.json("live.json")
    outcome.expect("exit status of reprise live", outcome.number("live.status"), "==", 0)
    return document


CASES = [
    *[Case(f"policy-{policy}", "policies", f"{policy} schedules hackbench, a replay decides the same",
           CHECKS.get(policy, schedules),
           ("attach_beside.sh", policy)) for policy in POLICIES],
    *[Case(f"breach-{name}", "policies", f"a policy that {claim}: it is ended, the machine goes on", breach(how, what),
           ("breach.sh", f"/reprise/bin/breach.so:how={how}"))
      for how, (name, claim, what) in enumerate((
          ("twice", "dispatches a task twice", "dispatches a task twice: task [0-9]+"),
          ("not-held", "dispatches a task that it does not hold", "dispatches a task that it does not hold"),
          ("no-cpu", "dispatches to a CPU that there is not", "dispatches to CPU [0-9]+ of [0-9]+: task [0-9]+")), 1)],
    Case("shared-object", "policies", "a policy in a shared object: live, replayed, simulated", shared_object,
         ("attach_beside.sh", "/reprise/bin/mine.so")),
]
