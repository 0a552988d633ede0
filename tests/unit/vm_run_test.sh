#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# vm_run_test.sh RUN: what tools/vm/run refuses before it boots anything, with exit codes and messages.

# shellcheck source=tests/unit/cli_lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/cli_lib.sh"

claim "a command is required" 2 'no command: put it behind --' --cpus 1
claim "an empty one is none" 2 'no command' -- ''
claim "an unknown option" 2 'unrecognized arguments: --cpu' --cpu 3 -- true
claim "a number out of range names the range" 2 "'65' is not a whole number from 1 to 64" --cpus 65 -- true
claim "a number that is none" 2 "'x' is not a whole number" --timeout x -- true
claim "a folder for the files that cannot be made" 2 '^tools/vm/run: --out /dev/null/out cannot be written: Not a directory' \
    --out /dev/null/out -- true
: >"$folder/file"
claim "a file where the folder should be" 2 "--out $folder/file cannot be written: File exists" --out "$folder/file" -- true
claim "a folder that takes no file" '2|77' '--out /proc/self cannot be written: ' --out /proc/self -- true
mkdir "$folder/locked" && chmod 555 "$folder/locked"
if [[ $(id -u) != 0 ]]; then
    claim "a folder that is not ours" 77 'cannot be written: Permission denied' --out "$folder/locked" -- true
fi
claim "a file to take along that is not there" 2 '--with /no/such/file: no file or folder that can be read' \
    --with /no/such/file -- true
claim "a build that is not there" 2 '--build /no/such/build: no such folder' --build /no/such/build -- true
claim "a kernel that was not fetched names those that were, and how to get it" 69 \
    'no kernel 1\.2\.3 in .*tools/dev setup --kernel|is not installed; tools/dev setup' --kernel 1.2.3 -- true
claim "a kernel file that is not there" 69 '/no/such/vmlinuz is not a file|is not installed' --kernel /no/such/vmlinuz -- true
claim "a kernel file that is none" '2|69' 'is not an x86 kernel image|is not installed' --kernel "$folder/file" -- true
summary
