#!/usr/bin/env bash
# Each file says, by itself or by .reuse/dep5, whose it is and under which
# licence, as the tool of reuse.software sees it.
. "$(dirname "$0")/common.sh"

have reuse || skip "reuse is not installed"
git -C "$source_dir" rev-parse >/dev/null 2>&1 ||
  skip "without git, reuse takes what was built for a part of it"
reuse --root "$source_dir" lint >"$scratch/log" 2>&1 ||
  { cat "$scratch/log"; fail "reuse lint"; }
