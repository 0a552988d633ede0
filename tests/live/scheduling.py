# SPDX-License-Identifier: GPL-2.0-only
"""Cases in which a policy schedules what there is to schedule, and nobody interferes."""

import re

from checks import live, no_page_faults, nothing_lost, orderly, policy_decides, quiet_kernel, replays, reprise
from machine import Case


def parallel(outcome):
    document = orderly(outcome)
    for name in ("failed", "no_slot", "congested"):
        outcome.expect(f"stats.dispatcher.{name}", document["stats"]["dispatcher"][name], "==", 0)


def ends(outcome):
    """By the duration, and by a signal with a whole recording."""
    document = outcome.json("duration.json")
    outcome.expect("exit status", outcome.number("duration.status"), "==", 0)
    outcome.expect("ended_by", document["ended_by"], "==", "duration")
    seconds = document["stats"]["time_ns"] / 1e9
    outcome.expect("seconds", seconds, ">=", 1.0)
    outcome.expect("seconds", seconds, "<=", 2.5)
    orderly(outcome, ended_by="signal SIGTERM", percent=90.0)


def forks(outcome):
    document = orderly(outcome, percent=98.0)
    counters = document["stats"]["dispatcher"]
    # Each process is enqueued at least once when it is born; the table has room for a third of them.
    outcome.expect("enqueues", document["decided_by_policy"]["of"], ">=", 3000)
    outcome.expect("stats.dispatcher.no_slot", counters["no_slot"], "==", 0)


def full_table(outcome):
    document = live(outcome)
    quiet_kernel(outcome)
    nothing_lost(outcome, document)
    replays(outcome)
    counters = document["stats"]["dispatcher"]
    outcome.expect("enqueues without a slot", counters["no_slot"], ">=", 100)
    outcome.expect("enqueues with one", counters["handed_up"], ">=", 100)
    outcome.note(f"{counters['no_slot']} enqueues without a slot, {counters['handed_up']} with one")


def takeover(outcome):
    document = orderly(outcome, percent=98.0)
    # A thread that comes under one tid and leaves under another is no switch that went by unseen.
    outcome.expect("recording.loss_causes.unseen", document["recording"]["loss_causes"]["unseen"], "==", 0)


def affinity(outcome):
    document = live(outcome)
    policy_decides(outcome, document)
    quiet_kernel(outcome)
    nothing_lost(outcome, document)
    replays(outcome)
    seen = outcome.json("affinity.json")
    outcome.expect("changes of affinity", seen["changes"], ">=", 500)
    outcome.expect("looks that found a thread on a wrong CPU", seen["on_a_wrong_cpu"], "==", 0)
    outcome.expect("looks of the slowest thread", seen["fewest_looks"], ">=", 50)
    outcome.expect("longest time of a thread without progress, s", seen["longest_without_progress_ns"] / 1e9, "<", 2.0)
    counters = document["stats"]["dispatcher"]
    outcome.expect("tasks taken back while waiting", counters["dequeued"], ">=", 1)
    outcome.expect("decisions cancelled or bounced", counters["cancelled"] + counters["bounced"], ">=", 1)
    outcome.note(f"{seen['changes']} changes, {counters['dequeued']} taken back, {counters['cancelled']} cancelled, "
                 f"{counters['bounced']} bounced, longest wait {seen['longest_without_progress_ns'] / 1e6:.0f} ms")


def hotplug(outcome):
    document = live(outcome)
    policy_decides(outcome, document, 98.0)
    outcome.expect("state with CPU 1 off", outcome.text("after_off"), "==", "enabled")
    outcome.expect("state with CPU 1 on again", outcome.text("after_on"), "==", "enabled")
    outcome.expect("restarts", document["stats"]["restarts"], ">=", 2)
    outcome.expect("recording.steps_lost", document["recording"]["steps_lost"], "==", 0)
    replayed = replays(outcome)
    outcome.expect("sessions replayed", replayed.get("sessions"), ">=", 3)
    outcome.note(f"{document['stats']['restarts']} restarts")


def partial(outcome):
    document = live(outcome)
    policy_decides(outcome, document, 98.0)
    quiet_kernel(outcome)
    outcome.expect("a task outside: policy, ext.enabled", outcome.text("outsider"), "==", "0 0")
    outcome.expect("the command: policy, ext.enabled", outcome.text("command"), "==", "7 1")
    outcome.expect("the scheduler's thread: policy, ext.enabled", outcome.text("scheduler"), "==", "7 1")
    idle_ns = outcome.number("cpu_ns.after") - outcome.number("cpu_ns.before")
    outcome.expect("percent of a CPU that the scheduler takes while idle", idle_ns / 2e9 * 100, "<", 2.0)
    outcome.note(f"scheduler takes {idle_ns / 2e9 * 100:.2f} % while idle")


def nice(outcome):
    document = live(outcome)
    policy_decides(outcome, document, 90.0)
    heavy, light = (entry["cpu_ns"] for entry in outcome.json("share.json"))
    # Weights of nice 0 and nice 10: 100 and 11 as sched_ext has them (1024 and 110 of the kernel's own).
    ratio = heavy / light
    outcome.expect("CPU time of nice 0 / of nice 10", ratio, ">=", 100 / 11 * 0.85)
    outcome.expect("CPU time of nice 0 / of nice 10", ratio, "<=", 100 / 11 * 1.15)
    outcome.note(f"{heavy / 1e9:.2f} s : {light / 1e9:.2f} s = {ratio:.2f}, weights 9.09")


def idle(outcome):
    document = live(outcome, ended_by="signal SIGINT")
    quiet_kernel(outcome)
    stats = document["stats"]
    percent = (outcome.number("cpu_ns.after") - outcome.number("cpu_ns.before")) / 10e9 * 100
    outcome.expect("percent of a CPU that the scheduler takes", percent, "<", 0.5)
    outcome.expect("stats.scheduler_cpu_ns of stats.time_ns, percent", stats["scheduler_cpu_ns"] / stats["time_ns"] * 100,
                   "<", 1.0)
    no_page_faults(outcome, document)
    # The heartbeat comes once a second; without it the watchdog would.
    outcome.expect("runs of the scheduler", stats["dispatcher"]["scheduler_runs"], ">=", 10)
    outcome.note(f"scheduler takes {percent:.3f} % in {stats['dispatcher']['scheduler_runs']} runs")


def read_hist(outcome, name):
    """{(tid, system call): count} of a kernel histogram."""
    rows = re.findall(r"common_pid: *(\d+), id: (\w+) .*?hitcount: *(\d+)", outcome.text(name))
    return {(int(tid), call): int(count) for tid, call, count in rows}


def system_calls(outcome):
    document = live(outcome)
    policy_decides(outcome, document, 98.0)
    threads = dict(line.split(maxsplit=1) for line in outcome.text("threads").splitlines())
    own = {int(tid) for tid in threads}
    scheduler = next((int(tid) for tid, comm in threads.items() if comm == "reprise-sched"), None)
    attach_calls = read_hist(outcome, "attach.hist")
    steady = {key: count for key, count in read_hist(outcome, "steady.hist").items() if key[0] in own}
    control = sum(count for (tid, call), count in attach_calls.items() if tid in own and call == "sys_bpf")
    outcome.expect("bpf() calls while attaching (the control)", control, ">=", 10)
    outcome.expect("system calls by the scheduler's thread", sorted({call for tid, call in steady if tid == scheduler}),
                   "==", ["sys_sched_yield"])
    outcome.expect("bpf() calls while scheduling", sum(n for (_, call), n in steady.items() if call == "sys_bpf"), "==", 0)
    yields = steady.get((scheduler, "sys_sched_yield"), 0)
    outcome.expect("sched_yield calls", yields, ">=", 10)
    outcome.note(f"{control} bpf() calls to attach, none in 1 s of scheduling; {yields} sched_yield")


def namespace(outcome):
    outcome.expect("PID of a process inside", int(outcome.text("pid_inside").split()[0]), "<", 20)
    document = orderly(outcome)
    outcome.expect("takeovers by the dispatcher", document["stats"]["fallbacks"], "==", 0)
    outcome.expect("runs of the scheduler's thread", document["stats"]["dispatcher"]["scheduler_runs"], ">=", 10)


def record(outcome):
    """What the passive recorder saw against what the kernel counted meanwhile."""
    outcome.expect("exit status of reprise record", outcome.number("record.status"), "==", 0)
    document = outcome.json("record.json")
    outcome.expect("events", document["kernel_events"], ">=", 10_000)
    status, seen, said = reprise(outcome, "info", "--metrics", outcome.path("record.rtrace"))
    outcome.expect(f"status of reprise info ({said.strip()[-200:]})", status, "==", 0)
    counted = int(outcome.text("after").split()[1]) - int(outcome.text("before").split()[1])
    switches = seen["metrics"]["context_switches"]
    # Those before and after the command's own counting are recorded, too.
    outcome.expect("switches recorded", switches, ">=", counted)
    outcome.expect("switches recorded", switches, "<=", counted * 1.1 + 100)
    outcome.note(f"{switches} switches recorded, the kernel counted {counted}; {document['records_lost']} lost")


CASES = [
    Case("record", "scheduling", "the passive recorder sees what the kernel counts", record, ("record.sh",)),
    Case("ends", "scheduling", "a run ends by its duration or a signal, in order", ends, ("ends.sh",)),
    Case("forks", "scheduling", "3000 short processes go through a table of 1024", forks, ("forks.sh",)),
    Case("full-table", "scheduling", "a full table costs policy, not tasks", full_table, ("full_table.sh",)),
    Case("takeover", "scheduling", "a thread that execs keeps being scheduled", takeover, ("takeover.sh",)),
    Case("namespace", "scheduling", "schedules from within a PID namespace", namespace, ("namespace.sh",)),
    Case("partial", "scheduling", "--partial schedules tasks of class SCHED_EXT only", partial, ("partial.sh",)),
    Case("nice", "scheduling", "CPU time goes by weight", nice, ("nice.sh",)),
    Case("idle", "scheduling", "an idle machine costs next to nothing, no page faults", idle, ("idle.sh",)),
    Case("system-calls", "scheduling", "no bpf() call and no other but sched_yield while scheduling", system_calls,
         ("system_calls.sh",)),
    Case("parallel", "parallel", "vruntime schedules hackbench on CPUs that are truly parallel", parallel,
         ("attach.sh", "vruntime", "2", "200", "--fallback-ms", "1000")),
    Case("affinity", "wide", "threads obey to changes of affinity and none gets stuck", affinity, ("affinity.sh",)),
    Case("hotplug", "wide", "goes on when a CPU goes and comes, in new sessions", hotplug, ("hotplug.sh",)),
]
