#!/usr/bin/env bash
# spin finds no error in the models of docs/model, nor in the cases of them that
# their heads list as
#   *   case -DNAME  text
# and finds one when a model is broken by a flag, some of them in a case:
#   *   -DNAME  text
#   *   -DNAME -DCASE  text
. "$(dirname "$0")/common.sh"

have spin || skip "spin is not installed"

# Enough for the models as they are; a search that needs more has failed.
limits=(-DMEMLIM=1500 -DSAFETY)

# errors <model> [flag ...]: searches all states, prints the number of errors.
errors() {
  local dir=$scratch/run
  rm -rf "$dir"
  mkdir "$dir"
  (cd "$dir" && spin -a "${@:2}" "$1") >"$scratch/log" 2>&1 ||
    { cat "$scratch/log"; fail "spin does not take ${1##*/} ${2:-}"; }
  (cd "$dir" && "$cc" -w "$optimise" "${limits[@]}" -o pan pan.c) \
    >"$scratch/log" 2>&1 ||
    { cat "$scratch/log"; fail "${1##*/} ${2:-}: pan.c does not compile"; }
  (cd "$dir" && ./pan "${room[@]}") >"$scratch/log" 2>&1 || true
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
  # All states: the search takes longer than the compiler.
  optimise=-O1 room=(-m1000000)
  mapfile -t cases < <(sed -n 's/^ \*   case \(-D[A-Z_]*\) .*/\1/p' "$model")
  for case in "" "${cases[@]}"; do
    found=$(errors "$model" ${case:+"$case"})
    if [ "$found" != 0 ]; then
      cat "$scratch/log"
      fail "$name $case has errors"
    fi
    states=$(sed -n 's/ *\([0-9e+.]*\) states, stored.*/\1/p' "$scratch/log")
    printf '%s %s: no errors in %s states\n' "$name" "$case" "$states"
  done

  # An error is found soon: most of the time is for memory.
  optimise=-O0 room=(-m300000 -w20)
  mapfile -t broken < <(
    sed -n 's/^ \*   \(-D[A-Z_]*\( -D[A-Z_]*\)\{0,1\}\) .*/\1/p' "$model")
  [ "${#broken[@]}" -gt 0 ] || fail "$name names no flags"
  for line in "${broken[@]}"; do
    read -ra flags <<<"$line"
    found=$(errors "$model" "${flags[@]}")
    [[ "$found" =~ ^[1-9][0-9]*$ ]] ||
      fail "$name is as good with $line as without"
    printf '%s %s: found\n' "$name" "$line"
  done
done
[ "$models" -gt 0 ] || fail "no models"
