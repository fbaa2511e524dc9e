#!/usr/bin/env bash
# spin finds no error in the models of docs/model, and finds one in each of
# them when it is broken by one of the flags that its head lists as
#   *   -DNAME  text
. "$(dirname "$0")/common.sh"

have spin || skip "spin is not installed"

# Enough for the models as they are; a search that needs more has failed.
limits=(-DMEMLIM=1500 -DSAFETY)

# errors <model> [flag]: searches all states, prints the number of errors.
errors() {
  local dir=$scratch/run
  rm -rf "$dir"
  mkdir "$dir"
  (cd "$dir" && spin -a "${@:2}" "$1") >"$scratch/log" 2>&1 ||
    { cat "$scratch/log"; fail "spin does not take ${1##*/} ${2:-}"; }
  (cd "$dir" && "$cc" -w -O1 "${limits[@]}" -o pan pan.c) \
    >"$scratch/log" 2>&1 ||
    { cat "$scratch/log"; fail "${1##*/} ${2:-}: pan.c does not compile"; }
  (cd "$dir" && ./pan -m1000000) >"$scratch/log" 2>&1 || true
  if grep -qE 'max search depth too small|out of memory|reached -DMEMLIM' \
      "$scratch/log"; then
    cat "$scratch/log"
    fail "${1##*/} ${2:-}: the search is not complete"
  fi
  sed -n 's/.*errors: \([0-9]*\).*/\1/p' "$scratch/log"
}

models=0
for model in "$source_dir"/docs/model/*.pml; do
  [ -e "$model" ] || continue
  models=$((models + 1))
  name=${model##*/}
  found=$(errors "$model")
  if [ "$found" != 0 ]; then
    cat "$scratch/log"
    fail "$name has errors"
  fi
  states=$(sed -n 's/ *\([0-9e+.]*\) states, stored.*/\1/p' "$scratch/log")
  printf '%s: no errors in %s states\n' "$name" "$states"

  flags=$(sed -n 's/^ \*   \(-D[A-Z_]*\) .*/\1/p' "$model")
  [ -n "$flags" ] || fail "$name names no flags"
  for flag in $flags; do
    found=$(errors "$model" "$flag")
    [[ "$found" =~ ^[1-9][0-9]*$ ]] ||
      fail "$name is as good with $flag as without"
    printf '%s %s: found\n' "$name" "$flag"
  done
done
[ "$models" -gt 0 ] || fail "no models"
