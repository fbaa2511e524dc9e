#!/usr/bin/env bash
# No file of the source, the tests, the benchmark and the examples is longer
# than 500 lines.
. "$(dirname "$0")/common.sh"

limit=500
find "$source_dir/src" "$source_dir/tests" "$source_dir/bench" \
  "$source_dir/examples" -type f -exec wc -l {} + >"$scratch/lines"
[ -s "$scratch/lines" ] || fail "found no files"
if awk -v limit="$limit" '$1 > limit && $2 != "total"' "$scratch/lines" |
    grep .; then
  fail "these files have more than $limit lines"
fi
