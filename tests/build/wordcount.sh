#!/usr/bin/env bash
# examples/wordcount prints byte for byte what the standard tools print, with
# 1, 2 and 16 threads, for a tree of awkward files and, unless the work is
# scaled down, for folders of /usr/include; and it says what it could not read.
# After the usual arguments comes the command to run.
. "$(dirname "$0")/common.sh"

wordcount=("$@")
tree=$scratch/tree

# --------------------------------------------------------------------------
# A tree
# --------------------------------------------------------------------------

mkdir -p "$tree/empty folder" "$tree/deep/er"
cp -r "$source_dir/include" "$source_dir/src" "$source_dir/examples" "$tree"
printf 'no newline at the End' >"$tree/deep/end"
printf 'ends HERE' >"$tree/deep/er/ends"
printf 'a\0b\377c d3e-f_g\303\244h @[`{ \n\n' >"$tree/bytes and spaces"
printf 'lines of\nthe name' >"$tree/deep/a
name with
lines"
: >"$tree/nothing"
printf '\n' >"$tree/one byte"
printf 'x' >"$tree/one letter"

# None of these may be read.
printf 'only through a symbolic link' >"$scratch/outside"
ln -s "$scratch/outside" "$tree/link"
ln -s .. "$tree/deep/loop"
ln -s nowhere "$tree/dangling"
mkfifo "$tree/fifo"

# dots <n>, letters <n>
dots() {
  head -c "$1" /dev/zero | tr '\0' '.'
}
letters() {
  head -c "$1" /dev/zero | tr '\0' 'X'
}

# Words that end before, on and behind every size that a buffer might have,
# unless the work is scaled down.
sizes=(4096 65536)
[ "${CMAP_TEST_SCALE:-100}" -lt 100 ] || sizes+=(131072 262144 524288 1048576)
for size in "${sizes[@]}"; do
  for before in 0 1 2 7; do
    { dots $((size - before)); printf 'Across'; } >"$tree/$size-$before"
    { letters $((size - before)); printf ' next'; } >"$tree/$size+$before"
  done
done
# Words longer than any buffer of a reader, between others.
{ printf 'Before '; letters 1048576; printf ' after'; } >"$tree/long"
[ "${CMAP_TEST_SCALE:-100}" -lt 10 ] ||
  { letters 3000000; dots 1; letters 700000; dots 1; } >"$tree/longer"

# --------------------------------------------------------------------------
# The same list
# --------------------------------------------------------------------------

# reference <folder>: sed ends each file with a newline, as words do not go on
# in the next file.
reference() {
  find "$1" -type f -print0 | xargs -0 sed -s '$a\' |
    tr '[:upper:]' '[:lower:]' | tr -cs '[:lower:]' '\n' | grep . |
    sort -S 512M | uniq -c | awk '{ print $1 "\t" $2 }' | sort -k1,1nr -k2,2
}

# compare <folder>: wordcount says what reference says, whoever counts.
compare() {
  reference "$1" >"$scratch/expected"
  local threads words
  words=$(awk '{ n += $1 } END { print n }' "$scratch/expected")
  for threads in 1 2 16; do
    "${wordcount[@]}" -t "$threads" --all "$1" >"$scratch/got" \
      2>"$scratch/messages" ||
      { cat "$scratch/messages"; fail "$1, $threads threads: status $?"; }
    cmp "$scratch/expected" "$scratch/got" ||
      fail "$1, $threads threads: differs"
    printf '%s, %s threads: ' "$1" "$threads"
    cat "$scratch/messages"
    grep -qE "^$words words, $(wc -l <"$scratch/expected") distinct, [0-9.]+ \
seconds, [0-9]+ words per second$" "$scratch/messages" ||
      fail "the last line is not about $words words"
  done
}

if [ "${CMAP_TEST_SCALE:-100}" -ge 100 ]; then
  for folder in /usr/include/linux /usr/include/c++; do
    [ ! -d "$folder" ] || compare "$folder"
  done
fi
compare "$tree"

# --------------------------------------------------------------------------
# Options
# --------------------------------------------------------------------------

# says <what> <command>: the command succeeds and prints $scratch/expected.
says() {
  local what=$1
  shift
  "$@" >"$scratch/got" 2>"$scratch/messages" ||
    { cat "$scratch/messages"; fail "$what: status $?"; }
  cmp "$scratch/expected" "$scratch/got" || fail "$what: differs"
}

cp "$scratch/expected" "$scratch/everything"
ln -s "$tree" "$scratch/tree link"
says "a PATH that is a symbolic link" \
  "${wordcount[@]}" --all "$scratch/tree link"
head -n 5 "$scratch/everything" >"$scratch/expected"
says "-n 5" "${wordcount[@]}" -t 2 -n 5 "$tree"
says "options behind the PATH" "${wordcount[@]}" "$tree" -n 5
head -n 20 "$scratch/everything" >"$scratch/expected"
says "the default" "${wordcount[@]}" "$tree"
: >"$scratch/expected"
says "-n 0" "${wordcount[@]}" -n 0 "$tree"
says "no words" "${wordcount[@]}" --all "$tree/nothing" "$tree/empty folder"
printf 'the end' >"$scratch/the end"
printf '2\tend\n2\tthe\n1\tat\n1\tends\n1\there\n1\tnewline\n1\tno\n' \
  >"$scratch/expected"
says "several PATHs" "${wordcount[@]}" --all "$tree/deep/end" \
  "$scratch/the end" "$tree/deep/er"

# usage_error <arguments>
usage_error() {
  local status=0
  "${wordcount[@]}" "$@" >"$scratch/got" 2>"$scratch/messages" || status=$?
  [ "$status" -eq 2 ] || fail "'$*': exit status $status, not 2"
  grep -q '^Usage:' "$scratch/messages" || fail "'$*': no usage"
  [ ! -s "$scratch/got" ] || fail "'$*': something on standard output"
}

usage_error
usage_error --all
usage_error -t
usage_error -t 0 "$tree"
usage_error -t 1025 "$tree"
usage_error -t -1 "$tree"
usage_error -t 2x "$tree"
usage_error -n '' "$tree"
usage_error -n 99999999999999999999 "$tree"
usage_error --what "$tree"

# --------------------------------------------------------------------------
# What cannot be read
# --------------------------------------------------------------------------

cp "$scratch/everything" "$scratch/expected"

# unreadable <PATH>: it is named, the rest is counted, the status is 1.
unreadable() {
  local status=0
  "${wordcount[@]}" -t 2 --all "$tree" "$1" >"$scratch/got" \
    2>"$scratch/messages" || status=$?
  [ "$status" -eq 1 ] || fail "$1: exit status $status, not 1"
  grep -qF "wordcount: $1: " "$scratch/messages" || fail "$1 is not named"
  cmp "$scratch/expected" "$scratch/got" || fail "beside $1: differs"
}

unreadable "$scratch/missing"
unreadable "$tree/nothing/below"
unreadable "$tree/dangling"
unreadable "$tree/fifo"
unreadable ""
ln -s itself "$scratch/itself"
unreadable "$scratch/itself"
if [ -e /proc/self/mem ]; then
  unreadable /proc/self/mem # opens, but its first page cannot be read
fi
if [ "$(id -u)" -ne 0 ]; then
  printf 'secret' >"$scratch/secret"
  mkdir "$scratch/closed"
  chmod 000 "$scratch/secret" "$scratch/closed"
  unreadable "$scratch/secret"
  unreadable "$scratch/closed"
  chmod 700 "$scratch/closed"
fi

if [ -e /dev/full ]; then
  status=0
  "${wordcount[@]}" "$tree" >/dev/full 2>"$scratch/messages" || status=$?
  [ "$status" -eq 1 ] || fail "a full device: exit status $status, not 1"
fi
