#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# cli_test.sh REPRISE [TRACE...]: runs the built program with wrong and right arguments; checks exit codes, messages
# and JSON. What needs a trace is done with each TRACE that is given. Simulations: cli_sim_test.sh.

# shellcheck source=tests/unit/cli_lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/cli_lib.sh"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
traces=("${@:2}")

help_and_usage() {
    local name
    claim "no arguments is a usage error with a short help" 2 'usage: reprise'
    silent "the short help goes to stderr"
    claim "--help is no error" 0 '' --help
    prints "--help lists the commands" '^  replay '
    claim "--version says what this build is" 0 '' --version
    prints "--version gives the hashes of the code" '^policies +[0-9a-f]{64}$'
    for name in live record replay sim fidelity compare info dump cut export import policies doctor; do
        claim "$name --help is no error" 0 '' "$name" --help
        prints "$name --help has an example" "^  .*reprise $name"
        prints "$name --help names the exit codes or options" '^(exit status|options)$'
        claim "help $name is the same" 0 '' help "$name"
        claim "$name names the nearest of an unknown option" 2 "unknown option '--versoin'; did you mean --version\?" \
            "$name" --versoin
        claim "$name --json reports a usage error as a document" 2 "^reprise $name: " "$name" --json --versoin
        document "the error of $name has what, hint and exit code" \
            "d['schema'] == 'reprise.$name/1' and d['error']['exit_code'] == 2 and d['error']['hint']"
    done
    claim "an unknown command names the nearest" 2 "unknown command 'repaly'; did you mean replay\?" repaly
    claim "an unknown command that is like none lists them" 2 'one of: live, record, replay' xyzzy
    claim "an unknown option of reprise itself is a usage error" 2 "unknown option '--nosuch'" --nosuch
    claim "options of all commands may stand before the command" 0 '' --json policies
    document "so they do" "d['schema'] == 'reprise.policies/1'"
}

values() {
    claim "a number that is none is refused" 2 '--duration.*whole number' live --policy fifo --duration abc
    claim "a negative number is refused" 2 '--duration.*whole number' live --policy fifo --duration -1
    claim "a number out of range names the range" 2 '--timeout-ms.*100\.\.30000' live --policy fifo --timeout-ms 31000
    claim "a value that is missing is named" 2 '--duration' live --policy fifo --duration
    claim "a choice names what there is" 2 'none,preempt' live --policy fifo --kick often
    claim "an option given twice is refused" 2 '--policy' live --policy fifo --policy fifo
    claim "live needs a policy" 2 '--policy is required' live
    claim "record needs a file" 2 '--output is required' record
    claim "record: a command without -- is pointed to --" 2 'stands after --' record -o "$folder/a" true
    claim "record: a ring that is no power of two names one" 2 'for example --recording-kib 128' \
        record -o "$folder/a" --recording-kib 100
    claim "live names the nearest policy" 2 "fifo" live --policy fifu
    claim "live names the nearest option of a policy" 2 'slice_us' live --policy fifo:slcie_us=3
    claim "live refuses a policy's option out of range" 2 'slice_us' live --policy fifo:slice_us=0
    claim "a command without -- is pointed to --" 2 'stands after --' live --policy fifo true
    claim "--record-last needs seconds" 2 '--record-last needs seconds' live --policy fifo --record-last x "$folder/a"
    claim "--record and --record-last exclude each other" 2 '--record' \
        live --policy fifo --record "$folder/a" --record-last 3 "$folder/b"
    claim "a ring that is no power of two names the next one" 2 '--events-kib 128' live --policy fifo --events-kib 100
    claim "a heartbeat slower than the watchdog is refused" 2 'more than half of --timeout-ms' \
        live --policy fifo --timeout-ms 1000 --heartbeat-ms 900
    claim "an empty range of steps is refused" 2 'lies after' replay "$folder/none" --from-step 3 --to-step 2
    claim "cut needs a range" 2 'neither --from nor --to' cut "$folder/none" -o "$folder/a"
    claim "cut refuses a unit that it does not know" 2 "does not understand '3h'" cut "$folder/none" -o "$folder/a" --to 3h
    claim "cut refuses a fraction of a step" 2 "does not understand '1.5'" cut "$folder/none" -o "$folder/a" --to 1.5
    claim "export: an ending that is not known names those that are" 2 '\.pftrace.*\.csv.*\.jsonl.*\.rtrace' \
        export "$folder/none" -o "$folder/a.json"
    claim "export needs a file to write" 2 '--output is required' export "$folder/none"
    claim "import needs a file to write" 2 '--output is required' import "$folder/none"
    claim "info: two tables at once are refused" 2 'map' info --map --timehist "$folder/none"
    claim "info: tables are for people" 2 'jsonl' info --json --timehist "$folder/none"
    claim "policies lists" 0 '' policies
    prints "policies shows ranges and defaults" 'slice_us +[0-9]+\.\.[0-9]+ us, default [0-9]+'
    claim "policies names the nearest" 2 "fifo" policies fifu
    claim "policies --json is a document" 0 '' policies fifo --json
    document "with units in the options" "d['policies'][0]['options'][0]['unit'] == 'us'"
}

# Inputs that are no trace: never 0, never a crash, and the file is named.
bad_files() {
    local name file
    : >"$folder/empty.rtrace"
    printf 'this is not a trace, only some text that is long enough to hold a header\n' >"$folder/text.rtrace"
    head -c 100000 /dev/urandom >"$folder/noise.rtrace"
    head -c 100000 /dev/zero >"$folder/zeros.rtrace"
    for name in replay info dump; do
        claim "$name: a missing file is an I/O error" 74 "$folder/none" "$name" "$folder/none"
        for file in empty text noise zeros; do
            claim "$name: a file of $file is bad input" 65 "$folder/$file.rtrace" "$name" "$folder/$file.rtrace"
            silent "$name: and nothing is shown of $file"
        done
        claim "$name: /dev/null is bad input" 65 '/dev/null' "$name" /dev/null
        claim "$name: a directory is refused" '65|74' '' "$name" "$folder"
        claim "$name: --json has the error as a document" 65 "^reprise $name: " "$name" --json "$folder/empty.rtrace"
        document "$name: with exit_code, what and where" \
            "d['error']['exit_code'] == 65 and d['error']['what'] and 'empty.rtrace' in d['error']['where']"
        claim "$name: the file is required" 2 'FILE is required' "$name"
        claim "$name: a second file is unexpected" 2 "unexpected argument 'b'" "$name" a b
    done
    for file in empty text noise zeros; do
        claim "export: a file of $file is bad input" 65 "$folder/$file.rtrace" \
            export "$folder/$file.rtrace" -o "$folder/a.csv"
        claim "import: a file of $file is bad input, and a good one is explained" 65 'perf sched record' \
            import "$folder/$file.rtrace" -o "$folder/a.rtrace"
    done
    claim "import: a missing file is an I/O error" 74 "$folder/none" import "$folder/none" -o "$folder/a.rtrace"
    claim "import: a pipe cannot be read twice" 2 'read twice' import /dev/null -o "$folder/a.rtrace"
    claim "import never overwrites its input" 2 'OUT is FILE itself' import "$folder/text.rtrace" -o "$folder/text.rtrace"
    claim "export never overwrites its input" 2 'OUT is FILE itself' export "$folder/text.rtrace" -o "$folder/text.rtrace"
    claim "cut: bad input stays bad input" 65 'text.rtrace' cut "$folder/text.rtrace" -o "$folder/a" --to 10
    claim "cut never overwrites its input" 2 'OUT is FILE itself' \
        cut "$folder/text.rtrace" -o "$folder/../${folder##*/}/text.rtrace" --to 10
    claim "replay names the nearest policy" 2 'fifo' replay "$folder/text.rtrace" --policy fifu
}

# A stdout that nobody reads, or that cannot be written to; a machine that may lack what live needs.
surroundings() {
    local code
    { sleep 0.2 && "$reprise" policies 2>"$err"; echo $? >"$folder/code"; } | true
    : >"$out"
    code=$(cat "$folder/code")
    verdict "a closed pipe is no error" "$([[ $code == 0 ]] && echo 1)" "status $code"
    verdict "a closed pipe makes no noise" "$([[ ! -s $err ]] && echo 1)"
    "$reprise" policies >/dev/full 2>"$err"
    code=$?
    verdict "a full disk is an I/O error" "$([[ $code == 74 ]] && echo 1)" "status $code"
    verdict "a full disk is reported" "$(grep -q 'cannot write the output' "$err" && echo 1)"
    if "$reprise" --version | grep -q 'live runtime: no'; then
        claim "live in a build without the live runtime says so" 69 'no live runtime' live --policy fifo -- true
        claim "so does doctor" 69 '' doctor
    fi
    claim "record: a folder that is not there, where a recording is possible" '74|69|77' 'what to do: ' \
        record -o "$folder/none/a.rtrace" -- true
    claim "record: a command that does not exist, where a recording is possible" '2|69|77' 'what to do: ' \
        record -o "$folder/a.rtrace" -- /no/such/command
    claim "record: a full disk, where a recording is possible" '74|69|77' 'what to do: ' record -o /dev/full -- true
    claim "doctor ends with 0, 69 or 77" '0|69|77' '' doctor
    claim "doctor --json is a document" '0|69|77' '' doctor --json
    document "with findings and the exit code" "d['findings'] and d['exit_code'] in (0, 69, 77)"
}

# Needs the trace's first step.
from_the_start() {
    local trace=$1
    claim "another policy diverges" 3 '' replay --policy fifo:slice_us=12345 "$trace"
    prints "replay shows the first divergence" '^first divergence: '
    claim "replay --json of a divergence" 3 '' replay --json --policy fifo:slice_us=12345 "$trace"
    document "it names step, time, event and both decisions" "all(k in d['first_divergence'] for k in
        ('step', 'time_ns', 'event', 'recorded', 'replayed', 'field', 'tid', 'comm', 'sentence'))"
    claim "cut from $trace" 0 '' cut "$trace" -o "$folder/piece.rtrace" --to 100 --json
    document "cut says what it holds" "d['first_step'] == 1 and d['last_step'] <= 100 and d['steps'] > 0"
    claim "the piece replays" 0 '' replay "$folder/piece.rtrace" --json
    document "and holds as many steps" "d['steps'] <= 100 and d['decisions'] == d['identical']"
    claim "cut by time from $trace" 0 '' cut "$trace" -o "$folder/piece.rtrace" --from 0ms --to 1.5s
    claim "the piece replays, too" 0 '' replay "$folder/piece.rtrace"
}

# From the text of another tool, and to the formats of others.
imported() {
    claim "import takes the text of perf script" 0 '' import "$here/../interchange/perf/script.txt" -o "$folder/i.rtrace" --json
    document "and says what it found" "d['switches'] == 54 and d['not_understood'] == 0 and d['lost'] == 0 and d['cpus'] == 2"
    claim "what is imported has metrics" 0 '' info --metrics --json "$folder/i.rtrace"
    document "as a recording has" "d['complete'] and d['metrics']['context_switches'] == 54 and d['sessions'][0]['kind'] == 'imported'"
    claim "what is imported holds nothing to replay" 65 '' replay "$folder/i.rtrace"
    { echo 'this is no event'; cat "$here/../interchange/perf/script.txt"; echo 'CPU:1 [LOST 7 EVENTS]'; } >"$folder/odd.txt"
    claim "import names the lines that it does not understand" 0 'not understood: number 1; the first is: this is no event' \
        import "$folder/odd.txt" -o "$folder/i.rtrace"
    claim "a loss that the other tool counted is shown" 0 '7 kernel events found no room' info "$folder/i.rtrace"
    claim "import to a full disk is an I/O error" 74 '' import "$here/../interchange/perf/script.txt" -o /dev/full
    for file in pftrace csv jsonl rtrace; do
        claim "export to .$file" 0 '' export "$folder/i.rtrace" -o "$folder/o.$file" --json
        document "says what it wrote" "d['switches'] == 54 and d['bytes'] > 0 and not d['anonymized']"
        ln -sf /dev/full "$folder/full.$file"
        claim "export of .$file to a full disk is an I/O error" 74 '' export "$folder/i.rtrace" -o "$folder/full.$file"
        claim "export of .$file into a folder that is not there" 74 '' export "$folder/i.rtrace" -o "$folder/none/x.$file"
    done
}

# A byte here and there is another one: never 0 and never a crash.
damaged() {
    local trace=$1 bytes part name
    bytes=$(stat -c %s "$trace")
    for part in 3 5 8; do
        head -c $((bytes * part / 9)) "$trace" >"$folder/damaged.rtrace"
        for name in replay info dump; do
            claim "$name: $trace cut after $part/9 is bad input" 65 'damaged|nothing was compared|no steps' \
                "$name" "$folder/damaged.rtrace"
        done
        cp "$trace" "$folder/damaged.rtrace"
        printf '\xa5\x5a\xa5\x5a' |
            dd of="$folder/damaged.rtrace" bs=1 seek=$((bytes * part / 9)) conv=notrunc status=none
        claim "export: $trace with other bytes at $part/9 is bad input" 65 "damaged" \
            export "$folder/damaged.rtrace" -o "$folder/a.jsonl"
        for name in replay info dump; do
            claim "$name: $trace with other bytes at $part/9 is bad input" 65 'damaged' "$name" "$folder/damaged.rtrace"
        done
    done
    claim "replay --json of damage says so beside what could be replayed" 65 '' replay --json "$folder/damaged.rtrace"
    document "in the promised form" "d['error']['exit_code'] == 65 and d.get('divergent', 0) == 0"
}

with_trace() {
    local trace=$1
    claim "info: $trace is whole" 0 '' info "$trace"
    prints "info shows the policy" '^  policy '
    claim "info --json of $trace" 0 '' info --json "$trace"
    document "info --json has sessions and counts" "d['complete'] and d['sessions'] and d['counts']['steps'] > 0"
    claim "info --metrics of $trace" 0 '' info --metrics --json "$trace"
    document "metrics have the promised keys" "len(d['sessions']) != 1 or d['metrics']['context_switches'] >=
        d['metrics']['voluntary_switches'] + d['metrics']['involuntary_switches'] and
        set(d['metrics']['run_delay_ns']) == {'count', 'min', 'mean', 'p50', 'p90', 'p95', 'p99', 'p999', 'max'} and
        0 <= d['metrics']['cpu_utilisation'] <= 1 and 0 <= d['metrics']['fairness_jain'] <= 1"
    claim "info --latency of $trace" 0 '' info --latency "$trace"
    prints "the table has a sum" '^  TOTAL:'
    claim "info --timehist of $trace" 0 '' info --timehist "$trace"
    prints "the table has perf's columns" '^ +time +cpu +task name +wait time +sch delay +run time$'
    claim "info --map of $trace" 0 '' info --map "$trace"
    prints "the map introduces tasks" ' secs [A-Z][0-9] => '
    claim "anonymize $trace" 0 '' export "$trace" -o "$folder/anonymous.rtrace" --anonymize
    claim "what is anonymized replays" 0 '' replay "$folder/anonymous.rtrace"
    claim "replay: $trace is identical" 0 '' replay "$trace"
    prints "replay says so" '^identical: '
    claim "replay --json of $trace" 0 '' replay --json "$trace"
    document "replay --json has the promised keys" "d['decisions'] == d['identical'] > 0 and d['divergent'] == 0 and
        len(d['decisions_sha256']) == 64 and d['first_divergence'] is None"
    if python3 -c 'import json, sys; sys.exit(json.load(open(sys.argv[1]))["started_after_step"] != 0)' "$out"; then
        from_the_start "$trace"
    fi
    claim "dump --json of $trace" 0 '' dump --json --limit 50 "$trace"
    document "dump --json has items" "len(d['items']) >= 50 and all('item' in i for i in d['items'])"
    claim "dump --jsonl of $trace" 0 '' dump --jsonl --limit 50 "$trace"
    verdict "dump --jsonl is a JSON object per line" "$(
        python3 -c 'import json, sys; [json.loads(line) for line in open(sys.argv[1])]' "$out" 2>>"$err" && echo 1
    )"
    "$reprise" dump "$trace" 2>"$err" | head -1 >"$out"
    verdict "dump into head makes no noise" "$([[ ! -s $err ]] && echo 1)"
}

help_and_usage
values
bad_files
surroundings
imported
for trace in "${traces[@]}"; do
    with_trace "$trace"
done
for ((i = 0; i < ${#traces[@]}; i += 4)); do
    damaged "${traces[i]}"
done
summary
