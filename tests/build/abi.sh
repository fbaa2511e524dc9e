#!/usr/bin/env bash
# The shared library can stand in the place of the recorded one, abi.xml.gz: no
# function is gone, and no function, struct or enumeration of the header is
# another. New functions are well. With --update as fourth argument, writes the
# record anew.
. "$(dirname "$0")/common.sh"

record=$source_dir/tests/build/abi.xml.gz
library=$build_dir/libcmap.so
have abidw && have abidiff || skip "libabigail's tools are not installed"
[ "$(uname -m)" = x86_64 ] || skip "the record is of x86_64"
# Others say of some functions that they are declared inline, or are not.
"$cc" --version | grep -qE "^g?cc .* 12[.]" ||
  skip "the record is of gcc 12"
readelf -S "$library" | grep -q '\.debug_info' || skip "no debug information"

abidw --no-corpus-path --no-comp-dir-path --no-show-locs --drop-private-types \
  --headers-dir "$source_dir/include" "$library" >"$scratch/now.xml" ||
  fail "abidw"
grep -q "name='cmap_scan_buffer'" "$scratch/now.xml" ||
  fail "abidw does not see the header's structs"

if [ "${1:-}" = --update ]; then
  gzip -9n <"$scratch/now.xml" >"$record"
  printf 'wrote %s\n' "$record"
  exit 0
fi

gzip -d <"$record" >"$scratch/recorded.xml"
status=0
abidiff --no-added-syms "$scratch/recorded.xml" "$scratch/now.xml" ||
  status=$?
[ "$status" -eq 0 ] ||
  fail "abidiff ends with $status; if that is meant, run this with --update"
