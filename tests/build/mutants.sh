#!/usr/bin/env bash
# The faults of tests/mutants/mutants.txt still fit the source: each one's text
# is there once. (tests/run --mutants applies them.)
. "$(dirname "$0")/common.sh"

have python3 || skip "no python3"
python3 "$source_dir/tests/mutants/run.py" check "$source_dir" ||
  fail "mutants.txt is to follow the source"
