# SPDX-License-Identifier: GPL-2.0-only
"""Reads results of reprise as a list of runs; what is not such a result is refused in a sentence."""

import dataclasses
import json

EX_BAD_INPUT = 65
READS = "plot reads what reprise sim --json and reprise info --metrics --json wrote"


class Refusal(Exception):
    """What is wrong, where, and what to do."""

    def __init__(self, what, where, hint=READS, code=EX_BAD_INPUT):
        super().__init__(f"{what}\n  where: {where}\n  what to do: {hint}")
        self.code = code


@dataclasses.dataclass
class Run:
    name: str
    policy: str
    recorded: bool
    cpus: int
    seed: int
    metrics: dict
    details: dict | None

    def metric(self, name):
        """p99_run_delay_ns, max_wait_ns..."""
        if name in self.metrics:
            return self.metrics[name]
        part, _, key = name.partition("_")
        return self.metrics[key][part]


def bare(policy):
    return policy.split(":")[0]


def of_sim(document):
    runs = []
    if "recorded" in document:
        row = document["recorded"]
        runs.append(Run("recorded", row["policy"], True, row["cpus"], 0, row["metrics"], row.get("details")))
    rows = [row for row in document["results"] if "metrics" in row]
    policies = {row["policy"] for row in rows}
    short = len({bare(policy) for policy in policies}) == len(policies)
    several = len({row["cpus"] for row in rows}) > 1
    for row in rows:
        name = bare(row["policy"]) if short else row["policy"]
        if several:
            name += f", {row['cpus']} CPUs"
        runs.append(Run(name, row["policy"], False, row["cpus"], row["seed"], row["metrics"], row.get("details")))
    return runs


def of_info(document):
    sessions = document["sessions"]
    runs = []
    for number, row in enumerate(sessions, 1):
        if "metrics" not in row:
            continue
        policy = row["policy"]["text"] if row["policy"] else "none"
        name = bare(policy) if len(sessions) == 1 else f"session {number}"
        runs.append(Run(name, policy, False, row["cpus"], row["seed"], row["metrics"], row.get("details")))
    return runs


def read_runs(path, wanted=None):
    """Of the policies `wanted`, or all. OSError: the file cannot be read."""
    with open(path, "rb") as file:
        text = file.read()
    try:
        document = json.loads(text)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise Refusal(f"is not JSON: {error}", path) from None
    schema = document.get("schema") if isinstance(document, dict) else None
    readers = {"reprise.sim/1": of_sim, "reprise.info/1": of_info}
    if schema not in readers:
        raise Refusal("is JSON without a schema of reprise" if schema is None
                      else f"is of the schema '{schema}', which holds nothing to draw", path)
    try:
        runs = readers[schema](document)
    except (KeyError, TypeError, AttributeError) as error:
        raise Refusal(f"is not as reprise writes it: {error!r}", path, "write it anew") from None
    if not runs:
        raise Refusal("holds no metrics", path)
    if wanted:
        chosen = [run for run in runs if {run.name, run.policy, bare(run.policy) if not run.recorded else ""} & set(wanted)]
        if not chosen:
            names = ", ".join(sorted({run.name for run in runs}))
            raise Refusal(f"holds no run of {', '.join(wanted)}", path, f"it holds {names}", code=2)
        runs = chosen
    return runs
