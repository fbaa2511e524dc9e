#!/usr/bin/env bash
# Every C file is formatted as .clang-format says. Versions of clang-format
# disagree in details, so that only one of them decides.
. "$(dirname "$0")/common.sh"

version=14
if have "clang-format-$version"; then
  formatter=clang-format-$version
elif have clang-format; then
  formatter=clang-format
else
  skip "clang-format is not installed"
fi
"$formatter" --version | grep -q "version $version\." ||
  skip "clang-format is not version $version"

find "$source_dir/include" "$source_dir/src" "$source_dir/tests" \
  "$source_dir/bench" "$source_dir/examples" \
  -name '*.[ch]' -type f -print0 | sort -z >"$scratch/files"
[ -s "$scratch/files" ] || fail "found no C files"
# Forty files a process: on some machines one takes as long to begin as to end.
xargs -0 -n 40 "$formatter" --style=file --dry-run -Werror \
  <"$scratch/files" || fail "$formatter -i mends these files"
