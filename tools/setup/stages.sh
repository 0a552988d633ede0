# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Runs named stages one after the other and ends with a table of them, whatever happened. Sourced by tools/dev.

stage_table=()
stage_names=()
stage_passed=0 stage_failed=0
stage_only=()       # if not empty: only these run
stage_keep_going='' # if not empty: a failure does not keep the later ones from running

# stage NAME CMD...: CMD may be a function. There are no skips: what a stage needs and does not find is a failure.
stage() {
    local name=$1 start status seconds
    shift
    stage_names+=("$name")
    if ((${#stage_only[@]} > 0)) && [[ " ${stage_only[*]} " != *" $name "* ]]; then
        return 0
    fi
    if ((stage_failed > 0)) && [[ -z $stage_keep_going ]]; then
        stage_table+=("$(printf '%-10s %10s  not run' "$name" -)")
        return 0
    fi
    printf '\n=== %s\n' "$name"
    start=$(date +%s%N)
    # A subshell outside of any condition, or "set -e" would not hold within CMD.
    set +e
    (
        set -euo pipefail
        "$@"
    )
    status=$?
    set -e
    seconds=$(date +%s%N)
    seconds=$(((seconds - start) / 100000000))
    seconds="$((seconds / 10)).$((seconds % 10)) s"
    case $status in
        0)
            ((++stage_passed))
            status=passed
            ;;
        *)
            ((++stage_failed))
            status="FAILED, status $status"
            ;;
    esac
    stage_table+=("$(printf '%-10s %10s  %s' "$name" "$seconds" "$status")")
    printf -- '--- %s: %s after %s\n' "$name" "$status" "$seconds"
}

# stages_end: the table and the count. Returns 1 if a stage failed or none ran, 2 if one was asked for that is not there.
stages_end() {
    local name
    for name in "${stage_only[@]}"; do
        if [[ " ${stage_names[*]} " != *" $name "* ]]; then
            say "no stage $name; there are: ${stage_names[*]}"
            return 2
        fi
    done
    printf '\nstage            time  result\n'
    ((${#stage_table[@]} == 0)) || printf '%s\n' "${stage_table[@]}"
    printf '\n%d passed, %d failed\n' "$stage_passed" "$stage_failed"
    ((stage_failed == 0 && stage_passed > 0))
}
