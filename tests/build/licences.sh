#!/usr/bin/env bash
# Each file says, by itself or by .reuse/dep5, whose it is and under which
# licence, as the tool of reuse.software sees it.
. "$(dirname "$0")/common.sh"

have reuse || skip "reuse is not installed"
reuse --root "$source_dir" lint >"$scratch/log" 2>&1 ||
  { cat "$scratch/log"; fail "reuse lint"; }
