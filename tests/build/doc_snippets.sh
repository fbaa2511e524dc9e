#!/usr/bin/env bash
# Every piece of C in the documents compiles: as it stands where it is a whole
# program, else as the body of a function.
. "$(dirname "$0")/common.sh"

cd "$source_dir"
flags=(-std=gnu11 -I include -fsyntax-only -Wall -Wextra -Werror
  -Wno-unused-result -Wno-unused-value -Wno-unused-variable
  -Wno-unused-function)
bad=0
pieces=0
for page in README.md docs/*.md; do
  rm -f "$scratch"/piece.*
  awk -v out="$scratch/piece." '
    /^ *```c$/ { on = ++n; next }
    /^ *```/ { on = 0 }
    on { print > (out on ".c") }' "$page"
  for piece in "$scratch"/piece.*; do
    [ -e "$piece" ] || continue
    pieces=$((pieces + 1))
    if ! grep -q '#include' "$piece"; then
      { printf '#include "%s"\nvoid piece(void)\n{\n' \
          "$source_dir/tests/build/doc_snippets.h"
        cat "$piece"
        printf ';}\n'; } >"$piece.c"
      mv "$piece.c" "$piece"
    fi
    "$cc" "${flags[@]}" "$piece" ||
      { echo "$page: C does not compile"; bad=$((bad + 1)); }
  done
done
[ "$pieces" -gt 8 ] || fail "only $pieces pieces of C"
[ "$bad" -eq 0 ] || fail "$bad"
