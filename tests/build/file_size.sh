#!/usr/bin/env bash
# No file of the source, the tests, the benchmark and the examples is longer
# than 500 lines.
. "$(dirname "$0")/common.sh"

limit=500
long=0
while IFS= read -r -d '' file; do
  lines=$(wc -l <"$file")
  if [ "$lines" -gt "$limit" ]; then
    printf '%s: %s lines\n' "${file#"$source_dir"/}" "$lines"
    long=$((long + 1))
  fi
done < <(find "$source_dir/src" "$source_dir/tests" "$source_dir/bench" \
  "$source_dir/examples" -type f -print0)

[ "$long" -eq 0 ] || fail "$long files have more than $limit lines"
