#!/usr/bin/env bash
# An example prints the lines of tests/example/<name>.expect, one extended
# regular expression a line, and ends with 0; in every one of a few runs. It
# reads <name>.input, if there is one.
#
#   outcome.sh <source folder> <name> <program and what it runs under> ...
#
# CMAP_TEST_EXAMPLE_RUNS: how many runs (3). CMAP_TEST_SCALE: percent of the
# usual amount of work, for the example that takes it as an argument.
set -euo pipefail

source_dir=$1
name=$2
program=("${@:3}")
expect=$source_dir/tests/example/$name.expect
runs=${CMAP_TEST_EXAMPLE_RUNS:-3}

fail() {
  printf 'FAIL: %s, run %s: %s\n' "$name" "$run" "$*" >&2
  printf '%s\n' "$output" >&2
  exit 1
}

# The scale is a percentage of 1,000,000 transfers; below 1,000 threads hardly
# meet.
if [ "$name" = 04_transfer ]; then
  transfers=$((10000 * 10#${CMAP_TEST_SCALE:-100}))
  program+=("$((transfers < 1000 ? 1000 : transfers))")
fi

mapfile -t wanted <"$expect"
input=$source_dir/tests/example/$name.input
[ -e "$input" ] || input=/dev/null
for ((run = 1; run <= runs; run++)); do
  status=0
  output=$("${program[@]}" <"$input") || status=$?
  [ "$status" -eq 0 ] || fail "exit status $status"
  mapfile -t lines <<<"$output"
  [ ${#lines[@]} -eq ${#wanted[@]} ] ||
    fail "${#lines[@]} lines, ${#wanted[@]} expected"
  for i in "${!wanted[@]}"; do
    [[ ${lines[i]} =~ ^${wanted[i]}$ ]] ||
      fail "'${lines[i]}' does not match '${wanted[i]}'"
  done
done
printf '%s: %s runs as expected\n' "$name" "$runs"
