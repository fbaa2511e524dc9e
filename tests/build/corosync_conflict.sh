#!/usr/bin/env bash
# corosync has a libcmap too, with functions cmap_get and others. A program
# that links both, in either order, gets the right function from each.
. "$(dirname "$0")/common.sh"

program=$source_dir/tests/build/corosync
flags=(-std=c11 -Wall -Wextra -Wpedantic -I "$source_dir/include")

printf 'int main(void) { return 0; }\n' >"$scratch/probe.c"
"$cc" "$scratch/probe.c" -o "$scratch/probe" -l:libcmap.so.4 \
  2>/dev/null || skip "corosync's libcmap.so.4 (libcmap4) is not installed"

for half in ours corosync; do
  "$cc" "${flags[@]}" -c "$program/$half.c" -o "$scratch/$half.o" ||
    fail "$half.c does not compile"
done

# try <name> <libraries in their order>
try() {
  local name=$1
  shift
  "$cc" "$scratch/ours.o" "$scratch/corosync.o" -o "$scratch/$name" \
    -Wl,--no-as-needed "$@" -Wl,-rpath,"$build_dir" ||
    fail "$name does not link"
  "$scratch/$name" || fail "$name: exit status $?"
}

try ours_first "$build_dir/libcmap.so" -l:libcmap.so.4
try corosync_first -l:libcmap.so.4 "$build_dir/libcmap.so"
