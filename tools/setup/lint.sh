# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# What can be said about the sources without compiling them. Sourced by tools/dev.

lint_lines_max=600

# Files of the project, those not yet added to git included; samples and golden data are no sources.
lint_files() {
    git -C "$REPRISE_ROOT" ls-files -co --exclude-standard -- "$@" |
        while read -r file; do [[ ! -f $REPRISE_ROOT/$file ]] || printf '%s\n' "$file"; done
}

lint_format() {
    local files
    mapfile -t files < <(lint_files '*.c' '*.h' '*.cc')
    ((${#files[@]} == 0)) || clang-format-19 --dry-run -Werror "${files[@]}"
}

lint_text() {
    local file first bad=0 lines
    while read -r file; do
        case $file in
            *.c | *.h | *.cc | *.py | *.sh | *.cmake | *.capnp | CMakeLists.txt | */CMakeLists.txt) ;;
            *)
                # Scripts have no suffix when they are commands.
                IFS= read -r -n 2 -d '' first <"$file" || true
                [[ $first == '#!' ]] || continue
                ;;
        esac
        if ! head -5 "$file" | grep -q 'SPDX-License-Identifier: GPL-2.0-only'; then
            say "$file: no SPDX-License-Identifier line within the first five"
            bad=1
        fi
        lines=$(wc -l <"$file")
        if ((lines > lint_lines_max)); then
            say "$file: $lines lines, more than $lint_lines_max: it is two things"
            bad=1
        fi
    done < <(lint_files)
    return "$bad"
}

lint_shell() {
    local file first scripts=()
    while read -r file; do
        IFS= read -r first <"$file" || true
        case $first in '#!'*bash | '#!'*/sh) scripts+=("$file") ;; esac
    done < <(lint_files 'tools/*' 'tests/*' .ci/run)
    mapfile -t -O "${#scripts[@]}" scripts < <(lint_files '*.sh')
    ((${#scripts[@]} == 0)) || shellcheck -x -S warning "${scripts[@]}"
}

# All of them run, so that one pass shows everything there is to mend.
lint_all() {
    local bad=0
    cd "$REPRISE_ROOT" || return
    lint_format || bad=1
    lint_text || bad=1
    lint_shell || bad=1
    if [[ -x tools/lint/check ]]; then
        tools/lint/check || bad=1
    fi
    ((bad == 0)) && say "lint: nothing to mend"
    return "$bad"
}
