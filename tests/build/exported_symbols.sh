#!/usr/bin/env bash
# The shared library exports exactly the names in exported_symbols.txt, each
# with the version LIBCMAP_0. With --update as fourth argument, writes the
# list anew.
. "$(dirname "$0")/common.sh"

list=$source_dir/tests/build/exported_symbols.txt
library=$build_dir/libcmap.so
[ -e "$library" ] || fail "no $library"

# "address type name@@version" becomes "name@@version"; the version node's own
# absolute symbol is no function.
nm -D --defined-only --with-symbol-versions "$library" |
  awk '$2 != "A" { print $3 }' | sort >"$scratch/versioned"

if grep -v '@@LIBCMAP_0$' "$scratch/versioned"; then
  fail "these symbols lack the version LIBCMAP_0"
fi
sed 's/@@.*//' "$scratch/versioned" >"$scratch/names"
[ -s "$scratch/names" ] || fail "the library exports nothing"
if grep -v '^libcmap_' "$scratch/names"; then
  fail "these symbols lack the prefix libcmap_"
fi

if [ "${1:-}" = --update ]; then
  cp "$scratch/names" "$list"
  printf 'wrote %s: %s names\n' "$list" "$(wc -l <"$list")"
  exit 0
fi

[ -e "$list" ] || fail "no $list; the option --update writes it"
if ! diff -u "$list" "$scratch/names"; then
  fail "exported symbols differ; if that is meant, run this with --update"
fi
printf '%s exported symbols\n' "$(wc -l <"$list")"
