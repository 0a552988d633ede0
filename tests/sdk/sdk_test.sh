#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# sdk_test.sh REPRISE BUILD SOURCE: a policy in a shared object. What fits is used like any other; what does not is refused
# with a reason. Then the newcomer's way: install, copy the template, build it elsewhere. Each check is a claim.

set -uo pipefail

reprise=$1 build=$2 source=$3
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
sample=$source/traces/samples/hackbench.rtrace
checks=0
failures=0

# claim 'TEXT' STATUS 'REGEX in the output' COMMAND...
claim() {
    local text=$1 status=$2 pattern=$3 got
    shift 3
    "$@" >"$folder/out" 2>&1 </dev/null
    got=$?
    checks=$((checks + 1))
    [[ $got == "$status" ]] && grep -Eq -- "$pattern" "$folder/out" && return
    failures=$((failures + 1))
    printf 'FAILED: %s (status %s, not %s; or no "%s")\n' "$text" "$got" "$status" "$pattern"
    sed 's/^/    /' "$folder/out" | head -8
}

# refused 'TEXT' 'REGEX' FILE
refused() { claim "refuses $1" 65 "$2" "$reprise" policies "$3"; }

# Writes FILE: the good object with bytes (printf's notation) at an offset.
patched() {
    cp "$build/mine.so" "$1"
    printf "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

used() {
    claim "policies shows a policy in a shared object, with its hash" 0 'code [0-9a-f]{64}' "$reprise" policies "$build/mine.so"
    claim "policies --json has it, too" 0 '"code"' "$reprise" policies "$build/mine.so" --json
    claim "replay takes it" 3 'diverged' "$reprise" replay "$sample" --policy "$build/mine.so"
    claim "replay twice comes to the same" 3 'twice: the same decisions' \
        "$reprise" replay "$sample" --policy "$build/mine.so" --twice
    claim "sim takes it, with options, among others" 0 'mine.so:slice_us=3000' \
        "$reprise" sim --load hackbench:40 --policy "fifo,$build/mine.so:slice_us=3000" --verify
    claim "a wrong option names policy and file" 2 "policy 'mine' in .*mine.so" \
        "$reprise" replay "$sample" --policy "$build/mine.so:slcie_us=1"
    "$reprise" sim "$sample" --policy "$build/mine.so" -o "$folder/simulated.rtrace" >"$folder/out" 2>&1
    claim "what it decided in a simulation it decides in a replay" 0 '^identical' \
        "$reprise" replay "$folder/simulated.rtrace" --policy "$build/mine.so"
    claim "without the object the trace says what is missing" 2 "unknown policy 'mine'.*|shared object" \
        "$reprise" replay "$folder/simulated.rtrace"
    (cd "$build" && claim "a file in this folder needs no path" 0 'mine' "$reprise" policies mine.so)
}

refusals() {
    local symbol
    claim "a missing file is an I/O error" 74 'none.so' "$reprise" policies "$folder/none.so"
    echo "text" >"$folder/text.so"
    : >"$folder/empty.so"
    head -c 3000 "$build/mine.so" >"$folder/cut.so"
    refused "text" 'is not a shared object' "$folder/text.so"
    refused "an empty file" 'is not a shared object' "$folder/empty.so"
    refused "a file that was cut short" 'cut short|no table' "$folder/cut.so"
    refused "a program" 'not a shared object|no policy|no table' "$reprise"
    patched "$folder/machine.so" 18 '\xb7\x00'
    [[ $(uname -m) == x86_64 ]] && refused "another machine's object" 'made for aarch64' "$folder/machine.so"
    patched "$folder/class.so" 4 '\x01'
    refused "a 32-bit object" '64-bit' "$folder/class.so"
    symbol=$(offset_of reprise_policy)
    patched "$folder/interface.so" $((symbol + 8)) '\x63\x00\x00\x00'
    refused "another interface version" 'version 99 of the policy interface.*' "$folder/interface.so"
    patched "$folder/layout.so" $((symbol + 12)) '\x01\x02\x03\x04'
    refused "other headers" 'other headers' "$folder/layout.so"
    refused "an object without a policy" 'no policy in it' "$build/wrong/wrong_empty.so"
    refused "a clock" 'reads a clock \(clock_gettime' "$build/wrong/wrong_clock.so"
    refused "random numbers" 'random numbers of its own \(rand' "$build/wrong/wrong_random.so"
    refused "files" 'reads or writes files \(open' "$build/wrong/wrong_file.so"
    refused "threads" 'threads or locks \(pthread_mutex_lock' "$build/wrong/wrong_thread.so"
    refused "global variables" 'bytes of global variables' "$build/wrong/wrong_global.so"
    refused "what the engine does not have" 'no_such_thing' "$build/wrong/wrong_engine.so"
    claim "live refuses as well, before anything is loaded" 65 'reads a clock' \
        "$reprise" live --policy "$build/wrong/wrong_clock.so" -- true
}

# What only shows when it decides: the engine ends it, with policy, task and step.
breaches() {
    local how
    local -a says=('' 'dispatches a task twice: task [0-9]+' 'dispatches a task that it does not hold'
        'dispatches to CPU [0-9]+ of [0-9]+: task [0-9]+')
    for how in 1 2 3; do
        claim "a simulation ends when a policy breaks its contract ($how)" 1 "policy 'breach' ${says[how]}" \
            "$reprise" sim --load hackbench:40 --policy "$build/breach.so:how=$how"
        claim "so does a replay ($how)" 1 "policy 'breach' ${says[how]}" \
            "$reprise" replay "$sample" --policy "$build/breach.so:how=$how"
        claim "and the step and the contract are named ($how)" 1 'step [0-9]+' \
            "$reprise" replay "$sample" --policy "$build/breach.so:how=$how"
        checks=$((checks + 1))
        grep -q 'scheduler/core/policy.h' "$folder/out" || { failures=$((failures + 1)) && echo "FAILED: no contract ($how)"; }
    done
}

# live ARGUMENTS...: as a user who may not load a scheduler (69, 77), so that the gate is all that is tried.
live() {
    local drop=()
    ((EUID != 0)) || drop=(setpriv --reuid=65534 --regid=65534 --clear-groups)
    "${drop[@]}" "$folder/gate/reprise" live "$@" -- true
    local got=$?
    [[ $got == 69 || $got == 77 ]]
}

gated() {
    chmod 755 "$folder"
    mkdir -p "$folder/gate/build"
    cp "$build/mine.so" "$folder/gate/build/"
    cp "$reprise" "$folder/gate/"  # where everybody may read it
    cp "$source/tools/sdk/template/suite.toml" "$folder/gate/"
    cd "$folder/gate" || return
    claim "the template's policy passes the template's suite" 0 'passed' "$reprise" test suite.toml -o results.json
    claim "the gate lets pass what passed, and says which suite" 0 'passed suite.toml of 20' \
        live --policy build/mine.so --require results.json
    cp build/mine.so build/longer.so
    printf x >>build/longer.so
    claim "one byte more is other code" 1 'is not the code that passed' \
        "$reprise" live --policy build/longer.so --require results.json -- true
    claim "other options did not pass" 1 'not in suite.toml of .* with these options' \
        "$reprise" live --policy build/mine.so:slice_us=3000 --require results.json -- true
    claim "another policy did not pass" 1 'policy fifo was not in' \
        "$reprise" live --policy fifo --require results.json -- true
    sed 's/"cases": 3/"cases": 4/' results.json >edited.json
    claim "results edited by hand are noticed" 65 'the seal is not that of these results' \
        "$reprise" live --policy build/mine.so --require edited.json -- true
    head -c 200 results.json >cut.json
    claim "results cut short are noticed" 65 'no JSON document' \
        "$reprise" live --policy build/mine.so --require cut.json -- true
    claim "a part of the suite passes" 0 'passed' "$reprise" test suite.toml --case 'messages*' -o part.json
    claim "a part of the suite is not enough" 1 'ran in part only' \
        "$reprise" live --policy build/mine.so --require part.json -- true
    sed 's/^max_gap_ms.*/max_gap_us = 1/' suite.toml >strict.toml
    claim "a stricter suite fails" 1 'max_wait_ns is' "$reprise" test strict.toml -o failed.json
    claim "what failed is not loaded" 1 'did not pass strict.toml' \
        "$reprise" live --policy build/mine.so --require failed.json -- true
    cd "$source" || return
}

# Where the data of a symbol is in the good object.
offset_of() {
    python3 - "$build/mine.so" "$1" <<'END'
import subprocess, sys
for line in subprocess.run(["readelf", "-W", "--dyn-syms", sys.argv[1]], capture_output=True, text=True).stdout.splitlines():
    fields = line.split()
    if fields[-1:] == [sys.argv[2]]:
        address = int(fields[1], 16)
for line in subprocess.run(["readelf", "-W", "-l", sys.argv[1]], capture_output=True, text=True).stdout.splitlines():
    fields = line.split()
    if fields[:1] == ["LOAD"]:
        offset, start, size = (int(fields[i], 16) for i in (1, 2, 4))
        if start <= address < start + size:
            print(address - start + offset)
END
}

newcomer() {
    claim "the SDK is installed" 0 '' cmake --install "$build" --prefix "$folder/reprise"
    cp -r "$folder/reprise/share/reprise/template" "$folder/mine"
    claim "the template is configured with what was installed" 0 '' \
        cmake -S "$folder/mine" -B "$folder/mine/build" "-DCMAKE_PREFIX_PATH=$folder/reprise" -DCMAKE_CXX_COMPILER="${CXX:-g++}" -G "Unix Makefiles"
    claim "it is built and found to fit" 0 'the shortest burst first' cmake --build "$folder/mine/build"
    claim "the program that was installed takes it" 0 'mine' \
        "$folder/reprise/bin/reprise" sim --load hackbench:40 --policy "$folder/mine/build/mine.so"
    sed -i 's/context.now_ns() +/context.now_ns() + static_cast<u64>(rand()) % 100 +/; s/^#include "scheduler.core.list.h"/#include <cstdlib>\n&/' \
        "$folder/mine/mine.cc"
    claim "the build fails when the policy draws lots by itself" 2 'random numbers of its own' \
        cmake --build "$folder/mine/build"
}

used
refusals
breaches
gated
newcomer
echo "$checks checks, $failures failed"
[[ $failures == 0 ]]
