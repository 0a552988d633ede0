# SPDX-License-Identifier: GPL-2.0-only
"""What was recorded in the virtual machine goes through everything that reads recordings, here on the host."""

import shutil
import subprocess

from checks import orderly, reprise
from machine import BUILD, ROOT, Case

POLICIES = ("fifo", "vruntime", "newcomer", "eevdf")


def simulates(outcome, trace):
    """Under each policy, twice with the same end; returns the file with the results."""
    status, document, said = reprise(outcome, "sim", trace, "--policy", ",".join(POLICIES), "--verify")
    outcome.expect(f"exit status of reprise sim ({said.strip()[-300:]})", status, "==", 0)
    results = document.get("results", [])
    outcome.expect("policies simulated", [result["policy"].split(":")[0] for result in results], "==", list(POLICIES))
    recorded = document["recorded"]["metrics"]
    for result in results:
        outcome.expect(f"{result['policy']} ran to the end of the workload", result["finished"], "==", True)
        # The work is the same; what a policy adds or saves is switching.
        ratio = result["metrics"]["makespan_ns"] / recorded["makespan_ns"]
        outcome.expect(f"time taken under {result['policy']}, of the recorded time", ratio, ">", 0.3)
        outcome.expect(f"time taken under {result['policy']}, of the recorded time", ratio, "<", 3)
    outcome.note(f"{sum(result['events'] for result in results)} events simulated")
    path = outcome.path("sim.json")
    with open(path, "w", encoding="utf-8") as file:
        subprocess.run([BUILD / "reprise", "sim", trace, "--policy", ",".join(POLICIES), "--json"], stdout=file,
                       stderr=subprocess.DEVNULL, check=True)
    return path


def judged(outcome, trace):
    """How far it can be trusted is said; that it can be is for docs/fidelity.md to show."""
    status, document, said = reprise(outcome, "fidelity", trace)
    outcome.expect(f"exit status of reprise fidelity ({said.strip()[-300:]})", status in (0, 1), "==", True)
    outcome.expect("fidelity.verdict", document["verdict"] in ("agree", "disagree"), "==", True)
    outcome.expect("fidelity.control", document["control"]["rejected"], "==", True)
    measured = [metric for metric in document["metrics"] if metric["verdict"] != "not_measured"]
    outcome.expect("metrics measured", len(measured), ">=", 3)
    agree = sum(metric["verdict"] == "agree" for metric in measured)
    outcome.note(f"fidelity: {agree} of {len(measured)} measured metrics agree")


def compares(outcome, trace, results):
    status, document, said = reprise(outcome, "compare", results, results)
    outcome.expect(f"exit status of reprise compare ({said.strip()[-300:]})", status, "==", 0)
    outcome.expect("compare.results", len(document["results"]), "==", len(POLICIES))
    status, document, said = reprise(outcome, "compare", trace, results, "--policy-b", "fifo", "--gate", "none", "--gate",
                                     "context_switches=0.1%,1,same", "--gate", "makespan=0.1%,1us,same")
    outcome.expect(f"another policy breaks a gate on what was recorded ({said.strip()[-300:]})", status, "==", 1)
    outcome.expect("gates broken", document["broken"], ">=", 1)


def exports(outcome, *traces):
    """Read by Google's protobuf, Python's csv and json (tests/interchange)."""
    python = shutil.which("python3", path="/usr/bin") or "python3"
    done = subprocess.run([python, str(ROOT / "tests/interchange/export_check"), str(BUILD / "reprise"), *map(str, traces)],
                          capture_output=True, text=True, errors="replace", check=False)
    outcome.expect(f"exit status of export_check ({done.stdout[-500:]} {done.stderr[-500:]})", done.returncode, "==", 0)


def closed_loop(outcome):
    orderly(outcome)
    trace = outcome.path("live.rtrace")
    results = simulates(outcome, trace)
    judged(outcome, trace)
    compares(outcome, trace, results)
    saved = outcome.path("simulated.rtrace")
    status, _, said = reprise(outcome, "sim", trace, "--policy", "newcomer", "-o", saved)
    outcome.expect(f"exit status of reprise sim -o ({said.strip()[-300:]})", status, "==", 0)
    status, document, said = reprise(outcome, "replay", saved)
    outcome.expect(f"exit status of reprise replay of a simulation ({said.strip()[-300:]})", status, "==", 0)
    outcome.expect("decisions of the simulation, replayed", document["identical"], ">", 0)
    exports(outcome, trace, saved)


def passive(outcome):
    """A recording of the kernel's own scheduler, simulated with its model and under a policy."""
    outcome.expect("exit status of reprise record", outcome.number("record.status"), "==", 0)
    trace = outcome.path("record.rtrace")
    status, document, said = reprise(outcome, "sim", trace, "--policy", "eevdf,vruntime")
    outcome.expect(f"exit status of reprise sim ({said.strip()[-300:]})", status, "==", 0)
    outcome.expect("runs finished", [result["finished"] for result in document["results"]], "==", [True, True])
    judged(outcome, trace)


CASES = [
    Case("closed-loop", "one", "what was recorded simulates under each policy, is judged, compared and exported", closed_loop,
         ("attach.sh", "vruntime", "2", "100")),
    Case("closed-loop-passive", "one", "a recording of the kernel's own scheduler simulates and is judged", passive,
         ("record.sh",)),
]
