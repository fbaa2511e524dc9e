#!/usr/bin/env bash
# Every public function has a comment in the header, a page of the manual, and
# an example that CI compiles; the pages are free of errors, and so is the HTML.
. "$(dirname "$0")/common.sh"

have awk || skip "awk is not installed"
mkdir "$scratch/man3" "$scratch/man7"
awk -f "$source_dir/src/package/man.awk" -v out="$scratch" -v version=1.2.3 \
  "$source_dir"/examples/reference/*.c "$source_dir/include/cmap.h" ||
  fail "the pages are not made"

bad=0
functions=$(sed -n 's/^libcmap_\([a-z0-9_]*\).*/cmap_\1/p' \
  "$source_dir/tests/build/exported_symbols.txt")
functions+=$'\n'$(sed -n 's/^static inline.*[ *]\(cmap_[a-z0-9_]*\)(.*/\1/p' \
  "$source_dir/include/cmap.h" | grep -v '^cmap__')
[ "$(wc -l <<<"$functions")" -gt 100 ] || fail "only these: $functions"
cat "$source_dir"/examples/*.c "$source_dir"/examples/reference/*.[ch] \
  >"$scratch/examples"
for function in $functions; do
  [ -s "$scratch/man3/$function.3" ] ||
    { echo "$function: no page"; bad=$((bad + 1)); }
  grep -qwF -e "$function" "$scratch/examples" ||
    { echo "$function: in no example"; bad=$((bad + 1)); }
done

# Each example is in the page of its section.
examples=("$source_dir"/examples/reference/*.c)
[ "$(cat "$scratch"/man3/*.3 | grep -c '^\.SH EXAMPLE')" -eq ${#examples[@]} ] ||
  { echo "not ${#examples[@]} pages with an example"; bad=$((bad + 1)); }

if have groff; then
  for page in "$scratch"/man3/*.3 "$scratch"/man7/*.7; do
    if ! grep -q '^\.so ' "$page"; then
      groff -man -Tutf8 -ww -z "$page" 2>&1
    fi
  done >"$scratch/warnings"
  grep -v 'cannot adjust\|cannot break' "$scratch/warnings" &&
    { echo "groff warns"; bad=$((bad + 1)); }
fi
if have doxygen; then
  sed -e "s|@PROJECT_VERSION@|1.2.3|; s|@CMAP_AWK@|awk|" \
    -e "s|@CMAKE_CURRENT_SOURCE_DIR@|$source_dir|" \
    -e "s|@CMAKE_CURRENT_BINARY_DIR@|$scratch|" \
    "$source_dir/src/package/Doxyfile.in" >"$scratch/Doxyfile"
  doxygen "$scratch/Doxyfile" || { echo "doxygen warns"; bad=$((bad + 1)); }
  cat "$scratch"/reference/html/group__*.html >"$scratch/html"
  for function in $functions; do
    grep -qwF -e "$function" "$scratch/html" ||
      { echo "$function: not in HTML"; bad=$((bad + 1)); }
  done
fi
[ "$bad" -eq 0 ] || fail "$bad"
