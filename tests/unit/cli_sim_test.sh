#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# cli_sim_test.sh REPRISE ODD_TRACES TRACE...: sim and compare with wrong and right input; checks exit codes, messages
# and JSON. ODD_TRACES is the program that writes traces that lack something. The first TRACE is simulated; dump has to
# put each in order.

# shellcheck source=tests/unit/cli_lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/cli_lib.sh"
odd=$2
trace=$3
traces=("${@:3}")

# rtapp NAME: a file of that name from stdin.
rtapp() { cat >"$folder/$1.json"; }

# A trace without what a simulation needs, in part or at all.
bad_traces() {
    "$odd" "$folder" || verdict "traces that lack something are written" 0
    claim "a trace without the kernel's events cannot be simulated, and how to record one is said" 65 \
        'holds no scheduler events.*' sim "$folder/steps_only.rtrace" --policy fifo
    verdict "with the commands that record" "$(grep -q 'reprise live --record or reprise record' "$err" && echo 1)"
    claim "so it is for fidelity" 65 'reprise live --record or reprise record' fidelity "$folder/steps_only.rtrace"
    claim "system calls of another kind of machine are not known, and how to record without is said" 65 \
        "recorded on 'aarch64'" sim "$folder/arm.rtrace" --policy fifo
    verdict "with the option" "$(grep -q -- '--no-syscalls' "$err" && echo 1)"
    claim "the same recording of this kind of machine simulates" 0 '' sim "$folder/whole.rtrace" --policy fifo
    claim "lost events are counted, and what that means is said" 0 \
        'lost 7 events of [0-9]+: .*never for longer than was recorded' sim "$folder/lost.rtrace" --policy fifo
    claim "a machine that cannot be is refused" 65 'impossible topology in the trace: the core of CPU 1 has two caches' \
        sim "$folder/topology.rtrace" --policy fifo
    claim "a session that is not there" 65 'no session 9.*' sim "$folder/whole.rtrace" --policy fifo --session 9
    claim "a file that is missing is an I/O error" 74 "$folder/none" sim "$folder/none" --policy fifo
    printf 'neither a trace nor JSON\n' >"$folder/text"
    claim "a file that is neither trace nor rt-app's" 65 'traces \(\.rtrace\) and files of rt-app' \
        sim "$folder/text" --policy fifo
    head -c $(($(stat -c %s "$trace") / 2)) "$trace" >"$folder/half.rtrace"
    claim "what is left of a trace that was cut short simulates, with a warning" 0 'half.rtrace: ' \
        sim "$folder/half.rtrace" --policy fifo
}

bad_machines() {
    local load=(sim --load spinners:4 --policy fifo --duration 1)
    claim "too many CPUs name the range" 2 "--cpus '5000'.*1\.\.1024" "${load[@]}" --cpus 5000
    claim "no CPU at all" 2 "--cpus '0'" "${load[@]}" --cpus 0
    claim "too many tasks name the range" 2 '1\.\.10,000,000 tasks' sim --load spinners:20000000 --policy fifo
    claim "a topology with too many CPUs" 2 'more than 1024 CPUs' "${load[@]}" --topology 64n64l64c2t
    claim "a topology without nodes" 2 'impossible topology: 0 nodes' "${load[@]}" --topology 0n1l1c1t
    claim "a topology with a letter that is none" 2 "impossible topology '4x'.*'x' is none of" "${load[@]}" --topology 4x
    claim "two machines at once" 2 'exclude each other' "${load[@]}" --cpus 2 --topology 1n1l2c1t
    claim "an unknown generator names those there are" 2 "no generator 'spiners'" sim --load spiners:4 --policy fifo
    claim "an unknown cost names the nearest" 2 "no cost 'swich'" "${load[@]}" --cost swich=5
    claim "an unknown fault lists those there are" 2 "one of late, late_us" "${load[@]}" --fault lat=5
    claim "an unknown policy names the nearest" 2 "fifo" sim --load spinners:4 --policy fifu
    claim "more jitter than there may be" 2 '--jitter: Value 91' "${load[@]}" --jitter 91
    claim "less than there is" 2 'below 0.1 percent' "${load[@]}" --jitter 0.01
    claim "a duration that is none" 2 "--duration 'x'" sim --load spinners:4 --policy fifo --duration x
    claim "no workload at all" 2 'either FILE or --load' sim --policy fifo
    claim "two workloads" 2 'either FILE or --load' sim "$trace" --load spinners:4 --policy fifo
    claim "-o takes one simulation" 2 'takes one simulation' sim --load spinners:4 --policy fifo,vruntime -o "$folder/x.rtrace"
}

# Files of rt-app: refused by name, with line and column.
rtapp_files() {
    rtapp good <<'JSON'
{ "global": { "duration": 2 },
  "tasks": {
    "frame": { "instance": 2, "loop": 40, "run": 3000, "timer": { "ref": "unique", "period": 10000 } },
    "batch": { "loop": -1, "run": 5000, "sleep": 500 } } }
JSON
    claim "a file of rt-app simulates" 0 '' sim "$folder/good.json" --policy fifo,vruntime,eevdf --cpus 1,2 --json
    document "for each policy and CPU count" "len(d['results']) == 6 and d['file'].endswith('good.json') and
        all(r['events'] > 100 and r['finished'] for r in d['results'])"
    rtapp unknown <<'JSON'
{ "tasks": { "a": {
    "run": 1000,
    "slepe": 500 } } }
JSON
    claim "an unknown key has line and column" 65 "unknown\.json:3:5" sim "$folder/unknown.json" --policy fifo
    verdict "and its name" "$(grep -q slepe "$err" && echo 1)"
    rtapp syntax <<'JSON'
{ "tasks": {
    "a": { "run" 1000 } } }
JSON
    claim "what is not JSON has line and column" 65 "no JSON.*" sim "$folder/syntax.json" --policy fifo
    verdict "where it stops being JSON" "$(grep -Eq 'syntax\.json:2:1[0-9]' "$err" && echo 1)"
    rtapp realtime <<'JSON'
{ "tasks": { "a": { "policy": "SCHED_FIFO", "loop": 3, "run": 1000 } } }
JSON
    claim "what is not supported is refused by name" 65 'SCHED_FIFO' sim "$folder/realtime.json" --policy fifo
    rtapp pinned <<'JSON'
{ "tasks": { "a": { "cpus": [3], "loop": 3, "phases": { "p": { "loop": 3, "run": 1000 } } } } }
JSON
    claim "a task bound to a CPU that is not there" 65 'pinned\.json:1' sim "$folder/pinned.json" --policy fifo --cpus 2
    claim "is fine where it is" 0 '' sim "$folder/pinned.json" --policy fifo --cpus 4
    rtapp endless <<'JSON'
{ "tasks": { "a": { "run": 1000, "sleep": 500 } } }
JSON
    claim "a workload without end needs --duration" 2 'never ends by itself' sim "$folder/endless.json" --policy fifo
    verdict "and says so" "$(grep -q -- '--duration SECONDS' "$err" && echo 1)"
    claim "with it, it ends" 0 '' sim "$folder/endless.json" --policy fifo --duration 1.5 --json
    document "when it was told to" "d['results'][0]['simulated_ns'] == 1_500_000_000"
    rtapp many <<'JSON'
{ "tasks": { "a": { "instance": 100000000, "loop": 1, "run": 1000 } } }
JSON
    claim "too many tasks name the limit" 65 'must be 0 to 1048576' sim "$folder/many.json" --policy fifo
    rtapp empty </dev/null
    claim "an empty file" 65 'empty\.json' sim "$folder/empty.json" --policy fifo
    claim "a result is no workload" 0 '' sim "$folder/good.json" --policy fifo --json
    cp "$out" "$folder/result.json"
    claim "and that is said" 65 'is a result that reprise wrote' sim "$folder/result.json" --policy fifo
}

# A policy whose decisions are never carried out: the kernel's watchdog, in simulated time.
starved() {
    claim "the watchdog fires in simulated time and names the task" 1 \
        'threw the scheduler out: spinner/0\[[0-9]+\] failed to run for [5-9]\.[0-9]{3}s' \
        sim --load spinners:4 --policy fifo --cpus 2 --fault busy=1000
    verdict "and the decision that it begins with" "$(grep -Eq 'the policy was told of spinner/0\[[0-9]+\] in step [0-9]+' "$err" && echo 1)"
    claim "the other runs of a sweep go on" 1 'fifo on 2 CPUs, seed 1: ' \
        sim --load hackbench:40 --policy fifo,eevdf --cpus 2 --fault busy=1000 --json
    document "with their results" "[('metrics' in r, 'error' in r) for r in d['results']] == [(False, True), (True, False)]"
}

results() {
    claim "sim --json of $trace" 0 '' sim "$trace" --policy fifo,vruntime --seed 1-2 --json
    cp "$out" "$folder/sim.json"
    document "has the promised keys" "len(d['results']) == 4 and all(set(r) >= {'policy', 'seed', 'events',
        'simulated_ns', 'wall_ns', 'state_hash', 'metrics'} for r in d['results'])"
    document "and metrics as a recording has" "all(set(r['metrics']) == {'context_switches', 'voluntary_switches',
        'involuntary_switches', 'migrations', 'cpu_utilisation', 'makespan_ns', 'fairness_jain', 'max_wait_ns',
        'wakeup_latency_ns', 'run_delay_ns', 'slice_ns'} and set(r['metrics']['slice_ns']) == {'count', 'min', 'mean',
        'p50', 'p90', 'p95', 'p99', 'p999', 'max'} for r in d['results'])"
    claim "the same again" 0 '' sim "$trace" --policy fifo,vruntime --seed 1-2 --json
    verdict "has the same hashes" "$(python3 -c '
import json, sys
a, b = ([r["state_hash"] for r in json.load(open(f))["results"]] for f in sys.argv[1:])
assert a == b' "$out" "$folder/sim.json" 2>>"$err" && echo 1)"
    claim "run times change with the seed" 0 '' sim "$trace" --policy fifo --seed 1-3 --jitter 0.5 --json
    document "and with them the results" "len({r['state_hash'] for r in d['results']}) == 3"
    claim "a seed with jitter" 0 '' sim "$trace" --policy fifo --seed 1 --jitter 0.5 --json
    cp "$out" "$folder/jitter.json"
    claim "a run without" 0 '' sim "$trace" --policy fifo --seed 7 --json
    verdict "is another one" "$(python3 -c '
import json, sys
a, b = ([r["state_hash"] for r in json.load(open(f))["results"]] for f in sys.argv[1:])
assert a != b' "$out" "$folder/jitter.json" 2>>"$err" && echo 1)"
    claim "--verify says that two runs were the same" 0 'verified: 1 simulation ran twice' sim "$trace" --policy fifo --verify
    claim "the table" 0 '' sim "$trace" --policy fifo,vruntime,eevdf
    prints "has a row per policy" '^eevdf '
    prints "and the recording's" '^recorded '
    prints "the best of a column is marked" '[0-9a-z]\*'
    claim "a run that is saved" 0 '' sim "$trace" --policy vruntime -o "$folder/saved.rtrace"
    claim "replays" 0 '' replay "$folder/saved.rtrace"
}

compare_results() {
    local sim=$folder/sim.json
    claim "a result is as good as itself" 0 '' compare "$sim" "$sim" --json
    document "for each policy, seeds taken together" "d['verdict'] == 'pass' and d['broken'] == 0 and
        [r['a']['policy'].split(':')[0] for r in d['results']] == ['fifo', 'vruntime'] and
        d['results'][0]['a']['seeds'] == [1, 2]"
    python3 - "$sim" "$folder/worse.json" <<'PYTHON'
import json, sys
d = json.load(open(sys.argv[1]))
for r in d["results"]:
    m = r["metrics"]
    m["makespan_ns"] = m["makespan_ns"] * 3 + 10_000_000
    m["run_delay_ns"].update(p50=1, count=5_000)
json.dump(d, open(sys.argv[2], "w"))
PYTHON
    claim "what is worse breaks its gate" 1 '' compare "$sim" "$folder/worse.json"
    prints "and is named first" '^metric'
    verdict "worst first" "$(grep -A1 '^metric' "$out" | grep -q '^makespan_ns.*WORSE' && echo 1)"
    prints "with the sum below" '^2 gates broken'
    claim "as JSON, too" 1 '' compare "$sim" "$folder/worse.json" --json
    document "worst first" "d['verdict'] == 'fail' and d['broken'] == 2 and
        d['results'][0]['metrics'][0]['name'] == 'makespan_ns' and d['results'][0]['metrics'][0]['verdict'] == 'fail'"
    claim "a gate can be taken out" 0 '' compare "$sim" "$folder/worse.json" --gate makespan=off
    claim "all can" 0 '' compare "$sim" "$folder/worse.json" --gate none
    claim "and one be set" 1 '' compare "$folder/worse.json" "$sim" --gate none --gate p50_run_delay=10%,1us
    claim "a metric that is not known names the nearest" 2 "unknown metric 'p99_rundelay'; did you mean p99_run_delay\?" \
        compare "$sim" "$sim" --gate p99_rundelay=10%
    claim "a threshold without a unit" 2 'needs a unit' compare "$sim" "$sim" --gate p99_run_delay=50
    claim "two policies of one result" '0|1' '' compare "$sim" "$sim" --policy-a fifo --policy-b vruntime --json
    document "are compared" "d['results'][0]['b']['policy'].startswith('vruntime')"
    claim "what was recorded is one of them" '0|1' '' compare "$sim" "$sim" --policy-a recorded --policy-b fifo
    claim "a policy that is not there" 2 "holds no run of 'fifi'; did you mean" compare "$sim" "$sim" --policy-a fifi
    claim "a trace compares with itself" 0 '' compare "$trace" "$trace"
    claim "info --metrics --json" 0 '' info --metrics --json "$trace"
    cp "$out" "$folder/info.json"
    claim "compares with the trace" 0 '' compare "$folder/info.json" "$trace" --json
    document "and is the same" "all(m['a'] == m['b'] for m in d['results'][0]['metrics'])"
    claim "fidelity with no simulation" 2 '--runs: needs a whole number, 1' fidelity "$trace" --runs 0
    claim "fidelity --json" '0|1' '' fidelity "$trace" --json
    cp "$out" "$folder/fidelity.json"
    claim "compares with itself" 0 '' compare "$folder/fidelity.json" "$folder/fidelity.json"
    claim "but with nothing else" 65 'of fidelity and' compare "$folder/fidelity.json" "$sim"
    claim "info without metrics says what to add" 0 '' info --json "$trace"
    cp "$out" "$folder/bare.json"
    claim "so it does" 65 'info --metrics --json' compare "$folder/bare.json" "$sim"
    printf '{ "schema": "reprise.sim/1",\n  "results": [ }\n' >"$folder/broken.json"
    claim "wrong JSON has line and column" 65 'line 2, column 16' compare "$sim" "$folder/broken.json"
    printf '{ "schema": "reprise.policies/1" }\n' >"$folder/policies.json"
    claim "a document of another kind is named" 65 "reprise.policies/1" compare "$sim" "$folder/policies.json"
    printf '{ "results": [] }\n' >"$folder/noschema.json"
    claim "JSON of nobody's" 65 'without a "schema"' compare "$sim" "$folder/noschema.json"
    printf '{ "schema": "reprise.sim/1", "results": [ { "policy": 5 } ] }\n' >"$folder/edited.json"
    claim "a result that is not as it was written" 65 'not as reprise writes it' compare "$sim" "$folder/edited.json"
    claim "a trace without switches" 65 'no context switches' compare "$folder/steps_only.rtrace" "$trace"
    claim "a file that is no trace" 65 'compare reads traces' compare "$folder/text" "$trace"
    claim "a missing file is an I/O error" 74 "$folder/none" compare "$folder/none" "$trace"
    claim "B is required" 2 'B is required' compare "$trace"
}

# Traces that are whole and hold nothing, of another version, or cut: every command says what, where and what to do.
odd_traces() {
    local name
    local -a to_json=(-o "$folder/o.jsonl") fifo=(--policy fifo)
    for name in info dump replay fidelity "sim ${fifo[*]}" "export ${to_json[*]}"; do
        # shellcheck disable=SC2086
        claim "$name: a newer schema is refused with both numbers" 65 '1\.2.*reads 1\.1' $name "$folder/schema.rtrace"
        verdict "$name: with the file and a way out" "$(grep -q 'where: .*schema.rtrace' "$err" && grep -q newer "$err" && echo 1)"
        # shellcheck disable=SC2086
        claim "$name: a cut within the first frame is damage" 65 'cut after the header at byte 24: the 9 bytes|holds no session' \
            $name "$folder/cut_header.rtrace"
    done
    claim "info shows a trace of 0 events" 0 '' info "$folder/no_events.rtrace"
    prints "info: with that count" '^  0 events \(0 for the engine, 0 of the kernel\)'
    claim "dump: 0 events are said" 0 'no_events.rtrace holds no step and no event' dump "$folder/no_events.rtrace"
    claim "replay: 0 events are nothing to replay" 65 'holds no steps' replay "$folder/no_events.rtrace"
    verdict "replay: and how to record some is said" "$(grep -q 'reprise live --record' "$err" && echo 1)"
    claim "sim: 0 events are nothing to simulate" 65 'reprise live --record' sim "$folder/no_events.rtrace" --policy fifo
    claim "fidelity: 0 events are nothing to judge" 65 'reprise live --record' fidelity "$folder/no_events.rtrace"
    claim "compare: 0 events are nothing to compare" 65 'no context switches' compare "$folder/no_events.rtrace" "$trace"
    claim "cut: 0 events are nothing to cut" 65 "$folder/no_events.rtrace" \
        cut "$folder/no_events.rtrace" -o "$folder/piece.rtrace" --to 10
    claim "a cut trace replays up to the cut" 65 'cut after frame [0-9]+ at byte [0-9]+, last time 1\.0' \
        replay "$folder/cut.rtrace" --json
    document "and all that is left decides the same" "d['steps'] > 50 and d['identical'] == d['decisions'] > 0 and
        d['divergent'] == 0 and d['error']['exit_code'] == 65 and 'cut.rtrace at byte' in d['error']['where']"
    verdict "and how many steps that was is said" "$(grep -q 'what was replayed is right: [0-9]' "$err" && echo 1)"
    claim "a trace that is cut before its first step is damaged, not without an engine" 65 \
        'is damaged, and no step of an engine is left' replay "$folder/cut_early.rtrace"
    verdict "and the last time is one of the recording" "$(grep -q 'last time 1\.0' "$err" && echo 1)"
    for name in 'sim --policy fifo' 'cut --to 100'; do
        # shellcheck disable=SC2086
        claim "$name: a full disk is an I/O error" 74 'No space left on device' $name "$trace" -o /dev/full
        verdict "$name: with the file and a way out" "$(grep -q 'where: /dev/full' "$err" && grep -q 'free some space' "$err" && echo 1)"
        # shellcheck disable=SC2086
        claim "$name: a folder that is not there is an I/O error" 74 "$folder/none/x.rtrace" \
            $name "$trace" -o "$folder/none/x.rtrace"
    done
}

# A gap in one session is no reason to leave out the next.
gaps() {
    claim "replay goes on with the next session" 65 \
        'session 1: steps 21\.\.23 are missing .*, so the [0-9]+ steps behind them could not be replayed' \
        replay "$folder/gap.rtrace" --json
    document "and says both" "d['sessions'] == 2 and d['divergent'] == 0 and d['identical'] == d['decisions'] > 0 and
        d['gap']['first_step'] == 21 and d['gaps'][0]['session'] == 1 and d['gaps'][0]['steps_not_replayed'] > 0"
}

# Steps stand between the kernel's events of their time.
ordered() {
    "$reprise" dump --jsonl "$1" >"$out" 2>"$err"
    verdict "dump --jsonl of $1 is in the order of time" "$(python3 -c '
import json, sys
last = steps = events = turns = 0
before = None
for line in open(sys.argv[1]):
    item = json.loads(line)
    if item.get("item") not in ("step", "kernel_event"):
        continue
    time = item.get("now_ns", item.get("time_ns"))
    assert time >= last, (last, item)
    last = time
    turns += before not in (None, item["item"])
    before = item["item"]
    steps += before == "step"
    events += before == "kernel_event"
assert steps > 100 and events > 100 and turns > 100, (steps, events, turns)' "$out" 2>>"$err" && echo 1)"
}

bad_traces
bad_machines
rtapp_files
starved
results
compare_results
odd_traces
gaps
for trace in "${traces[@]}"; do
    ordered "$trace"
done
summary
