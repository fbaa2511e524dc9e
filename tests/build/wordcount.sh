#!/usr/bin/env bash
# examples/wordcount prints byte for byte what the standard tools print, with
# 1, 2 and 16 threads. After the usual arguments comes the command to run.
. "$(dirname "$0")/common.sh"

wordcount=("$@")
tree=$scratch/tree
mkdir -p "$tree/empty folder" "$tree/deep/er"
cp -r "$source_dir/include" "$source_dir/src" "$source_dir/examples" "$tree"
printf 'no newline at the End' >"$tree/deep/end"
printf 'ends HERE' >"$tree/deep/er/ends"
printf 'a\0b\377c d3e-f_g\n\n' >"$tree/bytes and spaces"
: >"$tree/nothing"
printf 'only through a symbolic link' >"$scratch/outside"
ln -s "$scratch/outside" "$tree/link"
ln -s .. "$tree/deep/loop"
# Words longer than any buffer of a reader.
head -c 300000 /dev/zero | tr '\0' 'x' >"$tree/long"
printf '%65535s Word' '' | tr ' ' '\n' >"$tree/edge"
printf '%65534sSplit' '' | tr ' ' '.' >"$tree/across"

find "$tree" -type f -exec sh -c 'for f; do cat "$f"; echo; done' sh {} + |
  tr '[:upper:]' '[:lower:]' | tr -cs '[:lower:]' '\n' | grep . | sort | uniq -c |
  awk '{ print $1 "\t" $2 }' | sort -k1,1nr -k2,2 >"$scratch/expected"

for threads in 1 2 16; do
  "${wordcount[@]}" -t "$threads" --all "$tree" >"$scratch/got" \
    2>"$scratch/messages" ||
    { cat "$scratch/messages"; fail "$threads threads: exit status $?"; }
  cmp "$scratch/expected" "$scratch/got" || fail "$threads threads: differs"
done

"${wordcount[@]}" -t 2 -n 5 "$tree" 2>/dev/null >"$scratch/got" || fail "-n 5"
head -n 5 "$scratch/expected" | cmp - "$scratch/got" || fail "-n 5: differs"

status=0
"${wordcount[@]}" --all "$tree" "$scratch/missing" >"$scratch/got" \
  2>"$scratch/messages" || status=$?
[ "$status" -eq 1 ] || fail "a missing file: exit status $status, not 1"
grep -qF "$scratch/missing" "$scratch/messages" ||
  fail "a missing file is not named"
cmp "$scratch/expected" "$scratch/got" || fail "a missing file: differs"
