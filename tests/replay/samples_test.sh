#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# samples_test.sh REPRISE: every sample is replayed; the decisions must be identical, and those that decisions.sha256
# names.
set -euo pipefail

reprise=$1
cd "$(dirname "${BASH_SOURCE[0]}")/../../traces/samples"
count=0
for file in *.rtrace; do
    expected=$(awk -v file="$file" '$2 == file { print $1 }' decisions.sha256)
    seen=$("$reprise" replay "$file" --json | sed -n 's/^ *"decisions_sha256": "\(.*\)",*$/\1/p')
    if [[ -z $expected || $seen != "$expected" ]]; then
        echo "$file: decisions have the digest $seen, expected $expected; traces/samples/record makes new samples" >&2
        exit 1
    fi
    recorded=$("$reprise" info "$file" --json |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["sessions"][0]["policy"]["name"])')
    other=fifo
    [[ $recorded != fifo ]] || other=vruntime
    status=0
    "$reprise" replay "$file" --policy "$other" >/dev/null 2>&1 || status=$?
    if ((status != 3)); then
        echo "$file, recorded with $recorded: replay with $other ended with $status, expected 3 (diverged)" >&2
        exit 1
    fi
    count=$((count + 1))
done
((count >= 4)) || { echo "only $count samples" >&2; exit 1; }
echo "$count samples"
