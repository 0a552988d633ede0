#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Holds a recording of recording_workload against what that program does.

usage: recording_check.py EVENTS RESULTS [--no-syscalls] [--lost]

EVENTS is what `reprise dump FILE --events --jsonl` prints, RESULTS what the workload printed. The workload's tasks have
names of their own, so that it is known who must wake whom, over which object, from which context. Prints a line per
claim; the status is 1 if one does not hold. --lost: the recording has gaps, so that only what needs none is checked.
"""

import argparse
import collections
import json
import statistics
import sys

TASK, SOFTIRQ, HARDIRQ = 0, 1, 2  # WakeContext
RUNNABLE = 4
OTHER, TAKE, GIVE, READY, SLEEP = range(5)  # SyscallRole
PIPE, UNIX, INET, SOCKET, DEVICE, ANONYMOUS, FUTEX, CHILD, SIGNAL, IPC, LOCK, POLL = range(1, 13)  # ObjectKind
IRQ_HARD, IRQ_SOFT, IRQ_VECTOR = 0, 1, 2
SLEEP_TIMER, FILE_TIMER, INTERVAL_TIMER, POSIX_TIMER, WHEEL_TIMER = range(5)
ARMED, ABSOLUTE = 8, 16
MS = 1_000_000


class Event:
    __slots__ = ("type", "time", "cpu", "seq", "tid", "flags", "a", "b", "c")

    def __init__(self, item):
        self.type, self.time, self.cpu, self.seq = item["type"], item["time_ns"], item["cpu"], item["seq"]
        self.tid, self.flags, self.a, self.b, self.c = (item[key] for key in ("tid", "flags", "a", "b", "c"))

    @property
    def kind(self):
        return self.b >> 56


def load(path):
    events = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            item = json.loads(line)
            if "time_ns" in item and "seq" in item and "a" in item:
                events.append(Event(item))
    events.sort(key=lambda e: (e.time, e.cpu, e.seq))
    return events


class Recording:
    def __init__(self, events):
        self.events = events
        self.of_type = collections.defaultdict(list)
        self.calls = collections.defaultdict(list)  # tid -> enters and exits
        self.tid_of = {}
        self.name_of = {}
        for event in events:
            self.of_type[event.type].append(event)
            if event.type.startswith("syscall_"):
                self.calls[event.tid].append(event)
            elif event.type in ("name", "exec"):
                words = event.b.to_bytes(8, "little") + event.c.to_bytes(8, "little")
                name = words.split(b"\0")[0].decode(errors="replace")
                self.tid_of.setdefault(name, event.tid)
                self.name_of[event.tid] = name

    def objects(self, name, role, kind):
        """The objects of that kind on which the task does that, with how often."""
        return collections.Counter(e.b for e in self.calls[self.tid_of[name]]
                                   if e.type == "syscall_enter" and e.flags == role and e.kind == kind)

    def wakes(self, name):
        return [e for e in self.of_type["waking"] if e.tid == self.tid_of[name]]


class Claims:
    def __init__(self):
        self.failed = 0

    def check(self, claim, holds, detail=""):
        print(f"{'ok  ' if holds else 'FAIL'} {claim}{': ' + str(detail) if detail != '' else ''}")
        self.failed += not holds


def share(part, whole):
    return len(part) / len(whole) if whole else 0.0


# ---- what holds for any recording ----

def check_sequence(r, claims):
    """Numbers count up per CPU without a gap, each once."""
    seen = collections.defaultdict(set)
    twice = 0
    for event in r.events:
        twice += event.seq in seen[event.cpu]
        seen[event.cpu].add(event.seq)
    gaps = sum(max(numbers) - min(numbers) + 1 - len(numbers) for numbers in seen.values())
    claims.check("sequence numbers have no gap and no repetition", gaps == 0 and twice == 0, f"{gaps} gaps, {twice} twice")


def check_switches(r, claims):
    """Each switch takes the CPU from the task that it was last given to. CPU time is what passed in between."""
    running, since, last = {}, {}, {}
    broken, vanished, back = 0, set(), 0
    spent, stolen = collections.defaultdict(int), collections.defaultdict(int)
    seen_leaving = {e.a for e in r.of_type["switch"]}
    for event in r.events:
        if event.type == "irq" and event.c != event.tid:
            stolen[event.tid] += event.b
        if event.type != "switch":
            continue
        if running.get(event.cpu, event.a) != event.a:
            if running[event.cpu] in seen_leaving:
                broken += 1
            else:
                vanished.add(running[event.cpu])
        elif event.cpu in since:
            spent[event.a] += event.time - since[event.cpu]
        back += event.a != 0 and event.c < last.get(event.a, 0)
        running[event.cpu], since[event.cpu], last[event.a] = event.tid, event.time, event.c
    claims.check("switches form a chain on each CPU", broken == 0, f"{len(r.of_type['switch'])} switches, {broken} broken")
    if vanished:
        print(f"note this machine hides when some tasks leave the CPU: {sorted(vanished)}")
    claims.check("CPU time of a task never goes back", back == 0, f"{back} times")
    for name in ("spin-a", "spin-b", "pipe-a", "tcp-a"):
        tid = r.tid_of[name]
        between = spent[tid] - stolen[tid]
        claims.check(f"CPU time of {name} is its time between switches less interrupts",
                     abs(last[tid] - between) <= (between // 20 if vanished else 0), f"{last[tid]} against {between} ns")


def check_interrupts(r, claims):
    durations = {kind: [e.b for e in r.of_type["irq"] if e.flags == kind] for kind in (IRQ_HARD, IRQ_SOFT, IRQ_VECTOR)}
    for kind, name in ((IRQ_SOFT, "softirqs"), (IRQ_VECTOR, "vectors")):
        values = durations[kind]
        claims.check(f"durations of {name} are plausible (100 ns to 20 ms)",
                     values and max(values) < 20 * MS and 100 <= statistics.median(values) < MS,
                     f"n {len(values)} median {statistics.median(values):.0f} max {max(values)} ns" if values else "none")
    span = r.events[-1].time - r.events[0].time
    cpus = {e.cpu for e in r.events}
    total = sum(sum(values) for values in durations.values())
    claims.check("interrupts take less than half of the time", total < span * len(cpus) / 2,
                 f"{total / span / len(cpus):.2%} of {span / 1e9:.3f} s on {len(cpus)} CPUs")


def check_contexts(r, claims):
    """Timers fire in hardirq context, the wheel in softirq context; both without a cause."""
    for kind, context, name in ((SLEEP_TIMER, HARDIRQ, "sleeps"), (WHEEL_TIMER, SOFTIRQ, "the timer wheel")):
        expiries = [e for e in r.of_type["timer"] if not e.flags & ARMED and e.flags & 7 == kind and e.a]
        followed, due = [], {e.time: e.a for e in expiries}
        waiting = {}
        for event in r.events:
            if event.type == "timer" and due.get(event.time) == event.a:
                waiting[event.a] = event.time
            elif event.type == "waking" and event.time - waiting.pop(event.tid, -MS) < 10_000:
                followed.append(event)
        right = [w for w in followed if w.flags & 3 == context and w.a == 0]
        claims.check(f"wakeups by {name} come from {'hardirq' if context == HARDIRQ else 'softirq'} context and no task",
                     not followed or share(right, followed) > 0.97,
                     f"{len(right)} of {len(followed)} wakeups, {len(expiries)} expiries")


# ---- what the workload did ----

def check_partner(r, claims, waker, sleeper, expected, context=TASK):
    """When the sleeper is woken, then by the waker and from that context (but for once, when it is started)."""
    tid, wakes = r.tid_of[waker], r.wakes(sleeper)
    right = [w for w in wakes if w.a == tid and w.flags & 3 == context]
    claims.check(f"{sleeper} is woken by {waker} from {('task', 'softirq')[context]} context", len(right) >= max(expected, len(wakes) - 2),
                 f"{len(right)} of {len(wakes)} wakeups, at least {expected} expected")
    return len(right)


def check_over(r, claims, giver, taker, kind, count, gives=GIVE, takes=TAKE):
    """What one gives to is what the other takes from, that often."""
    given, taken = r.objects(giver, gives, kind), r.objects(taker, takes, kind)
    common = {o: min(given[o], taken[o]) for o in given if o in taken}
    claims.check(f"{giver} and {taker} agree on the object", sum(common.values()) >= count,
                 f"{sum(common.values())} calls on {len(common)} of kind {kind}, at least {count} expected")
    return set(common)


def check_ping_pongs(r, claims, syscalls):
    wakes = 0
    for name, kind, context in (("pipe", PIPE, TASK), ("unix", UNIX, TASK), ("tcp", INET, SOFTIRQ)):
        # Whom a wakeup preempts may find its answer there already: not every wait is a sleep.
        wakes += check_partner(r, claims, f"{name}-a", f"{name}-b", 0, context)
        wakes += check_partner(r, claims, f"{name}-b", f"{name}-a", 0, context)
        if syscalls:
            there = check_over(r, claims, f"{name}-a", f"{name}-b", kind, 100)
            back = check_over(r, claims, f"{name}-b", f"{name}-a", kind, 100)
            claims.check(f"both directions of {name} are objects of their own",
                         len(there) == 1 and len(back) == 1 and there != back)
    claims.check("of 600 waits in ping-pongs many sleep", wakes >= 100, f"{wakes}")


def check_results(r, claims):
    tid = r.tid_of["pipe-b"]
    results = [e.b for e in r.calls[tid] if e.type == "syscall_exit" and e.flags in (TAKE, GIVE)]
    claims.check("reads and writes of one byte return 1", results.count(1) >= 200, f"{results.count(1)}")
    open_calls = times = 0
    for name in ("pipe-a", "pipe-b", "tcp-a", "poll-b", "futex-b", "sleep-b", "flock-a"):
        calls = r.calls[r.tid_of[name]]
        for before, after in zip(calls, calls[1:]):
            open_calls += before.type == after.type == "syscall_enter"
            times += after.c < before.c
    claims.check("each call that begins ends before the next begins", open_calls == 0, f"{open_calls}")
    claims.check("CPU time at system calls never goes back", times == 0, f"{times}")


def check_cpu_time_at_calls(r, claims):
    """Between two switches CPU time goes on as the clock does."""
    worst = late = 0
    hidden = {e.tid for e in r.of_type["switch"]} - {e.a for e in r.of_type["switch"]}
    last = {}
    for event in r.events:
        if event.type == "switch":
            previous = last.pop(event.a, None)
            if previous:
                late += event.c < previous.c
                worst = max(worst, abs((event.c - previous.c) - (event.time - previous.time)))
        elif event.type.startswith("syscall_"):
            last[event.tid] = event
        elif event.type == "irq":
            last.pop(event.tid, None)
    claims.check("CPU time at a system call and at the next switch fit", late == 0 and (worst < 1000 or hidden),
                 f"worst {worst} ns, {late} back")


def check_sets(r, claims):
    for name, kind in (("poll", POLL), ("epoll", ANONYMOUS)):
        taker = r.tid_of[f"{name}-b"]
        members = {e.b for e in r.of_type["member"] if e.tid == taker}
        sets = {e.c for e in r.of_type["member"] if e.tid == taker}
        given = set(r.objects(f"{name}-a", GIVE, PIPE))
        waits = r.objects(f"{name}-b", READY, kind)
        claims.check(f"the members of {name} are what is given to", len(given) == 2 and members == given,
                     f"{len(members)} members")
        claims.check(f"{name} waits for the set that they are members of", len(sets) == 1 and waits[min(sets)] >= 20,
                     f"{sum(waits.values())} waits")


def check_givers(r, claims, syscalls):
    for name in ("event", "poll", "epoll", "shared"):
        check_partner(r, claims, f"{name}-a", f"{name}-b", 15)
    check_partner(r, claims, "futex-a", "futex-b", 15)
    if not syscalls:
        return
    check_over(r, claims, "event-a", "event-b", ANONYMOUS, 20)
    check_over(r, claims, "futex-a", "futex-b", FUTEX, 15)  # who finds the word changed does not wait
    check_over(r, claims, "shared-a", "shared-b", FUTEX, 15)
    check_over(r, claims, "early-a", "early-b", UNIX, 1)
    check_over(r, claims, "early-b", "early-a", UNIX, 1)
    check_over(r, claims, "flock-a", "flock-b", LOCK, 1)
    check_over(r, claims, "fcntl-a", "fcntl-b", LOCK, 1)
    check_sets(r, claims)


def check_sleeps(r, claims):
    relative = [e for e in r.of_type["timer"] if e.tid == r.tid_of["sleep-a"] and e.flags & ARMED]
    fit = [e for e in relative if not e.flags & ABSOLUTE and e.a == e.tid and 3 * MS <= e.b - e.time < 3.2 * MS]
    claims.check("sleeps of 3 ms are armed as such", len(fit) >= 20, f"{len(fit)} of {len(relative)}")
    absolute = [e.b - e.c for e in r.of_type["timer"] if e.tid == r.tid_of["sleep-b"] and e.flags & ABSOLUTE]
    steps = [later - earlier for earlier, later in zip(absolute, absolute[1:])]
    claims.check("absolute sleeps keep their period, on both clocks", len([s for s in steps if abs(s - 3 * MS) < 20_000]) >= 36,
                 f"{len(steps)} steps")
    files = [e for e in r.of_type["timer"] if e.flags & 7 == FILE_TIMER and not e.flags & ARMED]
    objects = {e.c for e in files}
    claims.check("a timerfd's expiries name what is read",
                 len(files) >= 15 and bool(objects & set(r.objects("timer-a", TAKE, ANONYMOUS))), f"{len(files)}")
    posix = [e for e in r.of_type["timer"] if e.flags & 7 == POSIX_TIMER and not e.flags & ARMED]
    claims.check("expiries of timer_create are seen", len(posix) >= 15, f"{len(posix)}")


def check_schedstat(r, claims, results):
    """CPU time at exit is what /proc/self/schedstat said shortly before, less interrupts, plus the exit itself."""
    for line in results:
        name, said = line.split()
        tid = r.tid_of[name]
        end = next(e.b for e in r.of_type["exit"] if e.tid == tid)
        stolen = sum(e.b for e in r.of_type["irq"] if e.tid == tid and e.c != tid)
        error = (end + stolen - int(said)) / int(said)
        claims.check(f"CPU time of {name} agrees with schedstat within 1 %", abs(error) < 0.01,
                     f"{end} + {stolen} of interrupts against {said} ns ({error:+.3%})")


def check_lives(r, claims):
    forks = {e.tid: e for e in r.of_type["fork"]}
    mine = [tid for tid, name in r.name_of.items() if name.endswith(("-a", "-b")) and tid in forks]
    exits = {e.tid for e in r.of_type["exit"]}
    claims.check("each task of the workload is seen to be born, named and to exit",
                 len(mine) >= 26 and all(tid in exits for tid in mine), f"{len(mine)}")
    children = [w for w in r.of_type["waking"] if w.a in mine and w.tid == forks[w.a].a]
    claims.check("a parent that waits is woken by its child", len(children) >= 15, f"{len(children)}")


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("events")
    arguments.add_argument("results")
    arguments.add_argument("--no-syscalls", action="store_true", help="recorded without system calls")
    arguments.add_argument("--lost", action="store_true", help="there are gaps")
    chosen = arguments.parse_args()
    recording, claims = Recording(load(chosen.events)), Claims()
    syscalls = not chosen.no_syscalls
    with open(chosen.results, encoding="utf-8") as file:
        results = [line for line in file if line.startswith("spin-")]
    if not chosen.lost:
        check_sequence(recording, claims)
        check_switches(recording, claims)
        check_schedstat(recording, claims, results)
    check_interrupts(recording, claims)
    check_contexts(recording, claims)
    check_ping_pongs(recording, claims, syscalls)
    check_givers(recording, claims, syscalls)
    if syscalls:
        check_results(recording, claims)
        check_cpu_time_at_calls(recording, claims)
    check_sleeps(recording, claims)
    check_lives(recording, claims)
    print(f"{claims.failed} claims do not hold" if claims.failed else "all claims hold")
    return 1 if claims.failed else 0


if __name__ == "__main__":
    sys.exit(main())
