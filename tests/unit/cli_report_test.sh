#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# cli_report_test.sh REPRISE TRACE: what results hold for reports, and `reprise report` with wrong and right input.

# shellcheck source=tests/unit/cli_lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/cli_lib.sh"
trace=$2
sim=$folder/sim.json
page=$folder/report.html

# made 'TEXT' 'REGEX in the page'
made() { verdict "$1" "$(grep -Eq -- "$2" "$page" && echo 1)" "no '$2' in the page"; }

details() {
    claim "sim --json of $trace" 0 '' sim "$trace" --policy fifo,vruntime,eevdf --json
    cp "$out" "$sim"
    document "has details of each run and of the recording" "all(set(r['details']) == {'histograms', 'tasks',
        'tasks_left_out', 'worst_moment'} for r in d['results'] + [d['recorded']])"
    document "whose histograms hold every value, up to the greatest" "all(
        sum(h['count']) == r['metrics'][k]['count'] and h['upper_ns'][-1] == r['metrics'][k]['max'] and
        h['upper_ns'] == sorted(set(h['upper_ns'])) and 0 not in h['count']
        for r in d['results'] + [d['recorded']] for k, h in r['details']['histograms'].items())"
    document "whose percentiles are within a thirty-second" "all(
        r['metrics'][k]['p99'] <= next(u for i, u in enumerate(h['upper_ns']) if sum(h['count'][:i + 1]) >= 0.99 * sum(h['count']))
        <= r['metrics'][k]['p99'] * 33 / 32 + 1
        for r in d['results'] for k, h in r['details']['histograms'].items())"
    document "whose worst moment is the longest wait" "all(r['details']['worst_moment']['wait_ns'] ==
        r['metrics']['max_wait_ns'] and len(r['details']['worst_moment']['cpus']) == r['cpus']
        for r in d['results'] + [d['recorded']])"
    document "in order, on each CPU one task at a time" "all(a['end_ns'] <= b['begin_ns'] for r in d['results']
        for c in r['details']['worst_moment']['cpus'] for a, b in zip(c['stays'], c['stays'][1:]))"
    document "whose tasks come worst first" "all([t['max_run_delay_ns'] for t in r['details']['tasks']] ==
        sorted((t['max_run_delay_ns'] for t in r['details']['tasks']), reverse=True) for r in d['results'])"
    document "and where it comes from" "d['provenance']['command'].startswith('reprise sim ') and
        len(d['recording']['sha256']) == 64 and len(d['provenance']['code']['engine']) == 64 and
        d['results'][0]['code'] == d['provenance']['code']['policies'] and d['results'][2]['code'] is None"
    claim "of a sweep" 0 '' sim --load ping_pong:4 --policy fifo,eevdf --cpus 1,2 --seed 1-3 --duration 0.05 --json
    document "the first seed of each has details" "[r['details'] is not None for r in d['results']] == [True, False, False] * 4"
    cp "$out" "$folder/sweep.json"
    claim "a recording has the same" 0 '' info "$trace" --metrics --json
    document "in its session" "d['sessions'][0]['details']['worst_moment']['wait_ns'] ==
        d['sessions'][0]['metrics']['max_wait_ns'] and d['provenance']['command'].startswith('reprise info')"
    cp "$out" "$folder/info.json"
    claim "no details without --metrics" 0 '' info "$trace" --json
    document "in no session" "'details' not in d['sessions'][0]"
    cp "$out" "$folder/bare.json"
}

pages() {
    claim "a result becomes a page" 0 '' report "$sim" -o "$page"
    prints "and where it is, is said" "report\.html: 1 result, [0-9.]+ KiB"
    made "with the policies" '<th scope="row"[^>]*>vruntime</th>'
    made "the recording" '>recorded</th>'
    made "the best of a column" 'aria-label="best"'
    made "a timeline" 'could have run and waited'
    made "and the command" 'reprise sim .*--policy fifo,vruntime,eevdf --json'
    verdict "below 2 MiB" "$(($(stat -c %s "$page") < 2 << 20))"
    cp "$page" "$folder/first.html"
    claim "again" 0 '' report "$sim" -o "$page"
    verdict "it is the same" "$(cmp -s "$page" "$folder/first.html" && echo 1)"
    claim "a sweep becomes one, too" 0 '' report "$folder/sweep.json" -o "$page"
    made "with the seeds apart" 'fifo, 2 CPUs, seed 3'
    claim "a recording does" 0 '' report "$folder/info.json" -o "$page"
    claim "replay --json" '0|3' '' replay "$trace" --json
    cp "$out" "$folder/replay.json"
    claim "compare --json" '0|1' '' compare "$sim" "$sim" --policy-a fifo --policy-b vruntime --json
    cp "$out" "$folder/compare.json"
    claim "fidelity --json" '0|1' '' fidelity "$trace" --json
    cp "$out" "$folder/fidelity.json"
    printf '[defaults]\npolicy = "fifo"\ncpus = 2\ngate = { all = "off" }\n[[case]]\nname = "a <b> case"\nload = "spinners:6"\nduration_ms = 40\nexpect = { max_gap_us = 1 }\n' \
        >"$folder/suite.toml"
    claim "test --json of a suite that fails" 1 '' test "$folder/suite.toml" --json
    cp "$out" "$folder/test.json"
    document "has the command for the case" "\"--case 'a <b> case'\" in d['cases'][0]['again'] and
        d['cases'][0]['findings'][0]['unit'] == 'ns'"
    claim "several results become one page" 0 '' report "$sim" "$folder/replay.json" "$folder/compare.json" \
        "$folder/fidelity.json" "$folder/test.json" -o "$page" --json
    document "as the document says" "d['results'] == 5 and d['bytes'] < 2 << 20"
    for title in 'Simulation of' 'Replay' 'Comparison' 'Fidelity' 'Suite'; do
        made "with a section" "<h2[^>]*>$title"
    done
    made "markup in a name is text" 'a &lt;b&gt; case'
    made "the failure has its command" 'reprise test .*--case &#39;a &lt;b&gt; case&#39;'
    "$reprise" report - -o "$folder/piped.html" <"$sim" >"$out" 2>"$err"
    verdict "standard input is a result, too" "$([[ -s $folder/piped.html ]] && echo 1)"
}

refusals() {
    rm -f "$page"
    claim "no result at all" 2 'RESULT' report -o "$page"
    claim "no output" 2 '--output' report "$sim"
    claim "the output is not the result itself" 2 'names the result' report "$sim" -o "$sim"
    verdict "which stays as it was" "$(python3 -m json.tool "$sim" >/dev/null && echo 1)"
    claim "a result that is missing is an I/O error" 74 "$folder/none" report "$folder/none" -o "$page"
    claim "a folder that is missing is one" 74 'is the folder there' report "$sim" -o "$folder/none/report.html"
    head -c 3000 "$sim" >"$folder/cut.json"
    claim "a result that was cut" 65 'is not JSON: .*line [0-9]+' report "$folder/cut.json" -o "$page"
    : >"$folder/empty.json"
    claim "an empty one asks whether the command failed" 65 'did the command before fail' report "$folder/empty.json" -o "$page"
    claim "a trace is no result" 65 'is not JSON' report "$trace" -o "$page"
    echo '{"schema": "reprise.sim/9", "results": []}' >"$folder/new.json"
    claim "an unknown schema is named" 65 "'reprise\.sim/9'" report "$folder/new.json" -o "$page"
    echo '{"tasks": {}}' >"$folder/rtapp.json"
    claim "JSON of something else" 65 'without a "schema"' report "$folder/rtapp.json" -o "$page"
    claim "info without metrics says how to get them" 65 'reprise info --metrics --json' report "$folder/bare.json" -o "$page"
    claim "a command that failed leaves a document" 74 '' info "$folder/none" --json
    cp "$out" "$folder/error.json"
    claim "which is no result either" 65 'holds no result but an error' report "$folder/error.json" -o "$page"
    sed 's/"makespan_ns": [0-9]*/"makespan_ns": "long"/' "$sim" >"$folder/edited.json"
    claim "one that was edited" 65 'is not as reprise writes it: .*must be number' report "$folder/edited.json" -o "$page"
    verdict "and no page is left behind" "$([[ ! -e $page ]] && echo 1)"
}

details
pages
refusals
summary
