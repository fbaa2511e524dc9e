#!/usr/bin/env bash
# gdb with libcmap-gdb.py shows the entries of maps, plain and typed, locks, who
# holds what, and constructions in flight, of a process and of a core; and stops
# at a function of the library.
. "$(dirname "$0")/common.sh"

have gdb || skip "gdb is not installed"
library=$build_dir/libcmap.so
readelf -S "$library" | grep -q '\.debug_info' ||
  skip "the library has no debug information"

"$cc" -std=gnu11 -g -I "$source_dir/include" "$source_dir/tests/build/gdb/scene.c" \
  "$library" -Wl,-rpath,"$build_dir" -pthread -o "$scratch/scene" ||
  fail "the program does not build"

# ask <arguments of gdb>: what it says about the scene.
ask() {
  gdb -q -nx -batch -iex 'set auto-load no' \
    -ex "source $source_dir/src/package/libcmap-gdb.py" \
    -ex 'set pagination off' -ex 'set print elements 20' "$@" 2>&1
}
questions=(-ex 'info cmap' -ex 'print bank' -ex 'print *numbers'
  -ex 'print *store')

# knows <file>: it has all of these.
knows() {
  local text
  for text in \
      '^thread 1 holds by a guard: write, map at 0x' \
      '^thread [23] holds by a call: write, map or construction at 0x' \
      '^thread [23] holds by a guard: read, map at 0x' \
      '= string keys, values of 16 bytes: 2 entries in 1 shards; shard 0 locked to read by 1\(, biased: [a-z ]*(info cmap)\)\? = {' \
      '\["a name that is too long for the slot it is in"\] = {cents = -5, number = 7}' \
      '\["ada"\] = {cents = 100, number = 7}' \
      '= u32 keys, values of 8 bytes: 3000 entries in [0-9]* shards; shard [0-9]* locked to write = {' \
      '= a store of 1 objects: 1 constructions run, 0 threads wait = {' \
      '\["slow"\] = construction in flight, 0 threads wait'; do
    grep -q -- "$text" "$1" || { cat "$1"; fail "no line '$text'"; }
  done
}

ask -ex 'break stop' -ex run "${questions[@]}" -ex "gcore $scratch/core" \
  -ex 'tbreak libcmap_insert' -ex kill "$scratch/scene" >"$scratch/process"
grep -q 'Breakpoint 1, stop' "$scratch/process" ||
  { cat "$scratch/process"; skip "gdb may not run programs here"; }
knows "$scratch/process"
grep -q '^Temporary breakpoint 2 at 0x' "$scratch/process" ||
  { cat "$scratch/process"; fail "no breakpoint at libcmap_insert"; }

if [ -s "$scratch/core" ]; then
  echo "== the core"
  ask "${questions[@]}" "$scratch/scene" "$scratch/core" >"$scratch/post"
  knows "$scratch/post"
fi
